"""MSAL Python with the file that it shares with the program: says where its token came from."""

import json
import sys

import msal
from msal_extensions import FilePersistence, PersistedTokenCache

from common import connection

demo, path = connection()
app = msal.ConfidentialClientApplication(
    demo["daemon"]["clientId"],
    client_credential=demo["daemon"]["clientSecret"],
    authority=f"{demo['authority']}/{demo['tenantId']}",
    instance_discovery=False,
    verify=demo["caFile"],
    token_cache=PersistedTokenCache(FilePersistence(path)),
)
result = app.acquire_token_for_client(scopes=[demo["api"]["scope"]])
if "access_token" not in result:
    raise SystemExit(f"no token: {result}")
print(json.dumps({"client": f"MSAL Python {msal.__version__}", "cached": result["token_source"] == "cache"}))
