"""MSAL Python, unmodified. It gives refusals as dictionaries; raised here to be told from tokens."""

import msal
import requests

from play import play, read


class Refused(Exception):
    """The dictionary that came instead of a token."""


def source_of(case, scene):
    credential = case["credential"]
    if credential["kind"] == "managedIdentity":
        client = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=requests.Session())
        resource = case["scope"].removesuffix("/.default")
        return lambda claims: token(client.acquire_token_for_client(resource=resource))
    app = msal.ConfidentialClientApplication(
        case["clientId"],
        client_credential=own_words(credential),
        authority=f"{scene['authority']}/{case['tenant']}",
        instance_discovery=False,
        verify=scene["caFile"],
        client_capabilities=["CP1"] if case.get("challenge") else None,
    )
    return lambda claims: token(app.acquire_token_for_client(scopes=[case["scope"]], claims_challenge=claims))


def own_words(credential):
    match credential["kind"]:
        case "secret":
            return credential["secret"]
        case "certificate" if credential["hash"] == "sha1":  # RS256, x5t
            return {"private_key": read(credential["privateKeyFile"]), "thumbprint": credential["thumbprintSha1"]}
        case "certificate":  # PS256, x5t#S256
            return {
                "private_key": read(credential["privateKeyFile"]),
                "public_certificate": read(credential["certificateFile"]),
            }
        case "assertion" | "federated":
            return {"client_assertion": credential["assertion"]}


def token(result):
    if "access_token" not in result:
        raise Refused(result)
    return result["access_token"]


def shown(error):
    if not isinstance(error, Refused):
        return {}
    result = error.args[0]
    return {
        "type": "a dictionary",
        "text": result.get("error_description"),
        "error": result.get("error"),
        "codes": result.get("error_codes"),
        "correlation": result.get("correlation_id"),
        "trace": result.get("trace_id"),
        "suberror": result.get("suberror"),
        "claims": result.get("claims"),
    }


play(f"MSAL Python {msal.__version__}", source_of, shown)
