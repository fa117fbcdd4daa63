"""MSAL Python in a file that others write too: `FILE write APP SECONDS` puts tokens into it, `FILE read APPS` says how
many of each app's tokens it has in its cache, and how many it serves."""

import json
import logging
import random
import sys
import time

import msal
from msal_extensions import FilePersistence, PersistedTokenCache

TENANT = "11111111-2222-3333-4444-555555555555"
ENDPOINT = f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0"
# its lock is one by courtesy: who has not had it within five seconds goes on without
forced = []
logging.getLogger("msal_extensions.cache_lock").addHandler(
    type("Forced", (logging.Handler,), {"emit": lambda self, record: forced.append(record.getMessage())})()
)


class NoNetwork:
    """The authority's metadata, and no token."""

    def get(self, *_, **__):
        return Answer({"issuer": ENDPOINT, "authorization_endpoint": f"{ENDPOINT}/authorize", "token_endpoint": f"{ENDPOINT}/token"})

    def post(self, *_, **__):
        return Answer({"error": "not_in_the_file"})


class Answer:
    status_code, headers = 200, {}

    def __init__(self, body):
        self.text = json.dumps(body)

    def raise_for_status(self):
        pass


def write(cache, app, seconds):
    written, end = 0, time.time() + seconds
    while time.time() < end:
        # what has no lock around it, its search, is left out: who reads while another writes may miss that write for good
        cache.add(
            {
                "client_id": app,
                "scope": [f"api://{written}/.default"],
                "token_endpoint": f"{ENDPOINT}/token",
                "response": {"access_token": f"{app}/{written}", "expires_in": 3600, "token_type": "Bearer"},
                "grant_type": "client_credentials",
            }
        )
        written += 1
        time.sleep(random.uniform(0, 0.5))
    return {"written": written, "forced": len(forced)}


def read(cache, apps):
    rows = cache.search(msal.TokenCache.CredentialType.ACCESS_TOKEN)
    secrets = {(row["client_id"], row["secret"]) for row in rows}
    held, served = {}, {}
    for app, count in apps.items():
        held[app] = sum((app, f"{app}/{number}") in secrets for number in range(count))
        client = msal.ConfidentialClientApplication(
            app,
            client_credential="a secret",
            authority=f"https://login.microsoftonline.com/{TENANT}",
            instance_discovery=False,
            http_client=NoNetwork(),
            token_cache=cache,
        )
        tokens = (client.acquire_token_for_client(scopes=[f"api://{number}/.default"]) for number in range(count))
        served[app] = sum(token.get("access_token") == f"{app}/{number}" for number, token in enumerate(tokens))
    return {"held": held, "served": served}


path, what, *rest = sys.argv[1:]
cache = PersistedTokenCache(FilePersistence(path))
said = write(cache, rest[0], float(rest[1])) if what == "write" else read(cache, json.loads(rest[0]))
print(json.dumps({"client": f"MSAL Python {msal.__version__}", **said}))
