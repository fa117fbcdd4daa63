"""What the synchronous and the asynchronous half of azure-identity have in common: names and options."""

import azure.identity
from play import play


def play_with(module, name, waited):
    """`waited` turns what `get_token` of a credential of `module` gives into the token."""

    def source_of(case, scene):
        credential = credential_of(module, case, scene)
        cae = {"enable_cae": True} if case.get("challenge") else {}

        def token(claims):
            challenge = {"claims": claims} if claims else {}
            return waited(credential.get_token(case["scope"], **cae, **challenge)).token

        return token

    play(f"{name} {azure.identity.__version__}", source_of, shown)


def credential_of(module, case, scene):
    credential, tenant, client = case["credential"], case["tenant"], case["clientId"]
    local = {
        "authority": scene["authority"],
        "disable_instance_discovery": True,
        "connection_verify": scene["caFile"],
    }
    match credential["kind"]:
        case "secret":
            return module.ClientSecretCredential(tenant, client, credential["secret"], **local)
        case "certificate":
            file = credential["certificateAndKeyFile"]
            return module.CertificateCredential(tenant, client, certificate_path=file, **local)
        case "assertion":
            return module.ClientAssertionCredential(tenant, client, lambda: credential["assertion"], **local)
        case "federated":
            file = credential["tokenFile"]
            return module.WorkloadIdentityCredential(
                tenant_id=tenant, client_id=client, token_file_path=file, **local
            )
        case "managedIdentity":
            return module.ManagedIdentityCredential()


def shown(error):
    response = getattr(error, "response", None)
    return {
        "status": getattr(response, "status_code", None),
        "claims": getattr(error, "claims", None),
    }
