"""PyJWT accepts the tokens by the keys that it fetches, and refuses what was changed. One line of JSON for each check."""

import base64
import json
import ssl
import sys

import jwt
import requests

with open(sys.argv[1], encoding="utf-8") as file:
    job = json.load(file)
base, ca_file = f"{job['authority']}/{job['tenantId']}", job["caFile"]


def token_for(scope):
    form = {
        "grant_type": "client_credentials",
        "client_id": job["clientId"],
        "client_secret": job["clientSecret"],
        "scope": scope,
    }
    return requests.post(f"{base}/oauth2/v2.0/token", data=form, verify=ca_file, timeout=30).json()["access_token"]


def changed(token):
    """With one role more, and the old signature."""
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    payload = base64.urlsafe_b64encode(json.dumps({**claims, "roles": ["Admin"]}).encode()).decode().rstrip("=")
    return ".".join([header, payload, signature])


def report(what, refusal, token, audience):
    """`refusal` is the exception that must come, or None."""
    wrong = None
    try:
        key = keys.get_signing_key_from_jwt(token)
        jwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=metadata["issuer"])
        wrong = "accepted" if refusal else None
    except jwt.PyJWTError as error:
        wrong = None if refusal and isinstance(error, refusal) else repr(error)
    print(json.dumps({"who": f"PyJWT {jwt.__version__}", "what": what, "wrong": wrong}))


for resource in job["resources"]:
    version, audience = resource["version"], resource["audience"]
    path = "" if version == "1.0" else "v2.0/"
    metadata = requests.get(f"{base}/{path}.well-known/openid-configuration", verify=ca_file, timeout=30).json()
    keys = jwt.PyJWKClient(metadata["jwks_uri"], ssl_context=ssl.create_default_context(cafile=ca_file))
    token = token_for(resource["scope"])
    report(f"token {version}", None, token, audience)
    report(f"token {version}, for another", jwt.InvalidAudienceError, token, "api://another")
    report(f"token {version}, changed", jwt.InvalidSignatureError, changed(token), audience)
