"""MSAL Python, unmodified: secret, certificate by SHA-1 thumbprint (RS256, x5t), certificate alone (PS256, x5t#S256)."""

import msal

from common import call_api_and_report, connection, read

demo, kind = connection()
daemon = demo["daemon"]
key = read(daemon["privateKeyFile"])
credential = {
    "secret": daemon["clientSecret"],
    "certificate-sha1": {"private_key": key, "thumbprint": daemon["thumbprintSha1"]},
    "certificate-sha256": {"private_key": key, "public_certificate": read(daemon["certificateFile"])},
}[kind]

app = msal.ConfidentialClientApplication(
    daemon["clientId"],
    client_credential=credential,
    authority=f"{demo['authority']}/{demo['tenantDomain']}",
    instance_discovery=False,
    verify=demo["caFile"],
)
result = app.acquire_token_for_client(scopes=[demo["api"]["scope"]])
if "access_token" not in result:
    raise SystemExit(f"no token: {result}")
again = app.acquire_token_for_client(scopes=[demo["api"]["scope"]])
if again.get("token_source") != "cache":
    raise SystemExit("the second token did not come from MSAL's cache")
call_api_and_report(f"MSAL Python {msal.__version__}", result["access_token"], demo)
