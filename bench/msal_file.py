"""MSAL Python's cache over a file of many entries: how long it takes to load it, and to put one token in and save it."""

import json
import statistics
import sys
import time

import msal

path, beside, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
load, save = [], []
for number in range(rounds):
    cache = msal.SerializableTokenCache()
    began = time.perf_counter()
    with open(path, encoding="utf-8") as file:
        cache.deserialize(file.read())
    loaded = time.perf_counter()
    cache.add(
        {
            "client_id": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "scope": [f"api://new-{number}/.default"],
            "token_endpoint": "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token",
            "response": {"access_token": "a" * 1400, "expires_in": 3600, "token_type": "Bearer"},
            "grant_type": "client_credentials",
        }
    )
    with open(beside, "w", encoding="utf-8") as file:
        file.write(cache.serialize())
    save.append((time.perf_counter() - loaded) * 1000)
    load.append((loaded - began) * 1000)
for name, times in (("load", load), ("save", save)):
    line = {"peer": "msal-python", "version": msal.__version__, "case": f"msal-file.{name}", "n": rounds}
    print(json.dumps({**line, "value": statistics.median(times), "unit": "ms"}))
