"""MSAL Python as in Microsoft's samples: it knows tenant, client id and a secret or a certificate."""

import os

import msal

from unmodified import report

tenant, client_id = os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"]


def own_credential():
    if "AZURE_CLIENT_SECRET" in os.environ:
        return os.environ["AZURE_CLIENT_SECRET"]
    with open(os.environ["AZURE_CLIENT_CERTIFICATE_PATH"], encoding="utf-8") as file:
        key, begin, certificate = file.read().partition("-----BEGIN CERTIFICATE")
    return {"private_key": key, "public_certificate": begin + certificate}


def application(credential):
    return msal.ConfidentialClientApplication(
        client_id, client_credential=credential, authority=f"https://login.microsoftonline.com/{tenant}"
    )


app = application(own_credential())


def token(scope):
    result = app.acquire_token_for_client(scopes=[scope])
    return result.get("access_token") or exit(f"no token: {result}")


wrong = application("not the secret").acquire_token_for_client(scopes=["api://todolist/.default"])
report(f"MSAL Python {msal.__version__}", token, wrong.get("error_description"))
