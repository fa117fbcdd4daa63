"""MSAL Python's cache over a file of many entries: how long it takes to load it, and to put one token in and save it.

Once as MSAL's documentation has it (`SerializableTokenCache`: the whole text is read, and written in place, without a
lock), once with MSAL's extensions (`PersistedTokenCache`: under a lock file, private; it writes for the token and once
more for the app's metadata). Neither replaces the file in one step nor waits for the disk.
"""

import json
import statistics
import sys
import time

import msal
import msal_extensions
from msal_extensions import FilePersistence, PersistedTokenCache

path, beside, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
CLIENT = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
TENANT = "11111111-2222-3333-4444-555555555555"
HOST = "login.microsoftonline.com"


def event(number):
    return {
        "client_id": CLIENT,
        "scope": [f"api://new-{number}/.default"],
        "token_endpoint": f"https://{HOST}/{TENANT}/oauth2/v2.0/token",
        "response": {"access_token": "a" * 1400, "expires_in": 3600, "token_type": "Bearer"},
        "grant_type": "client_credentials",
    }


def documented(number):
    cache = msal.SerializableTokenCache()
    with open(path, encoding="utf-8") as file:
        cache.deserialize(file.read())
    yield
    cache.add(event(number))
    with open(beside, "w", encoding="utf-8") as file:
        file.write(cache.serialize())
    yield


def extensions(number):
    cache = PersistedTokenCache(FilePersistence(beside))
    query = {"client_id": CLIENT, "environment": HOST, "realm": TENANT, "home_account_id": None}
    found = cache.search("AccessToken", target=["api://5000/.default"], query=query)
    assert next(iter(found))["secret"].startswith("5000")
    yield
    cache.add(event(number))
    yield


for peer, version, way in (
    ("msal-python", msal.__version__, documented),
    ("msal-extensions-python", msal_extensions.__version__, extensions),
):
    laps = []
    for number in range(rounds):
        began = time.perf_counter()
        laps.append([time.perf_counter() - began for _ in way(number)])
    load = statistics.median(loaded for loaded, _ in laps)
    save = statistics.median(saved - loaded for loaded, saved in laps)
    for case, seconds in (("load", load), ("save", save)):
        line = {"peer": peer, "version": version, "case": f"msal-file.{case}", "n": rounds}
        print(json.dumps({**line, "value": seconds * 1000, "unit": "ms"}))
