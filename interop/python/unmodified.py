"""MSAL Python and azure-identity with their own settings, nothing about a local authority: for `apptoken run`."""

import azure.identity
import msal
import requests
from azure.identity import CertificateCredential, ClientSecretCredential

from common import call_api_and_report, connection, read

demo, kind = connection()
tenant, daemon, scope = demo["tenantId"], demo["daemon"], demo["api"]["scope"]

if kind == "secret":
    by_msal = daemon["clientSecret"]
    by_azure = ClientSecretCredential(tenant, daemon["clientId"], daemon["clientSecret"])
else:
    by_msal = {"private_key": read(daemon["privateKeyFile"]), "public_certificate": read(daemon["certificateFile"])}
    by_azure = CertificateCredential(tenant, daemon["clientId"], certificate_path=daemon["certificateAndKeyFile"])

app = msal.ConfidentialClientApplication(
    daemon["clientId"],
    client_credential=by_msal,
    authority=f"https://login.microsoftonline.com/{demo['tenantDomain']}",
)
result = app.acquire_token_for_client(scopes=[scope])
if "access_token" not in result:
    raise SystemExit(f"no token: {result}")
wrong = msal.ConfidentialClientApplication(
    daemon["clientId"],
    client_credential="not the secret",
    authority=f"https://login.microsoftonline.com/{tenant}",
).acquire_token_for_client(scopes=[scope])
if wrong.get("error_codes") != [7000215]:
    raise SystemExit(f"a wrong secret is not refused with 7000215: {wrong}")

token = by_azure.get_token(scope).token
graph_token = by_azure.get_token("https://graph.microsoft.com/.default").token
me = requests.get(
    "https://graph.microsoft.com/v1.0/organization",
    headers={"Authorization": f"Bearer {graph_token}"},
    timeout=30,
)
if me.headers.get("x-ms-ags-diagnostic", "").find("apptoken-emulator") < 0:
    raise SystemExit(f"graph.microsoft.com is not the local one: {me.status_code} {me.text}")

# the environment's certificates, not a file that the program names
client = f"MSAL Python {msal.__version__}, azure-identity {azure.identity.__version__}"
call_api_and_report(client, token, {**demo, "caFile": True})
