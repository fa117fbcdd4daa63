"""MSAL Python puts tokens into the shared file for some seconds, as another app; prints how many."""

import json
import sys
import time

from msal_extensions import FilePersistence, PersistedTokenCache

path, client_id, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
cache = PersistedTokenCache(FilePersistence(path))
written, end = 0, time.time() + seconds
while time.time() < end:
    cache.add(
        {
            "client_id": client_id,
            "scope": [f"api://{written}/.default"],
            "token_endpoint": "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token",
            "response": {"access_token": "a", "expires_in": 3600, "token_type": "Bearer"},
            "grant_type": "client_credentials",
        }
    )
    written += 1
print(json.dumps({"written": written}))
