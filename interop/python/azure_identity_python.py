"""azure-identity for Python, unmodified: ClientSecretCredential and CertificateCredential."""

import azure.identity
from azure.identity import CertificateCredential, ClientSecretCredential

from common import call_api_and_report, connection

demo, kind = connection()
daemon = demo["daemon"]
local = {
    "authority": demo["authority"],
    "disable_instance_discovery": True,
    "connection_verify": demo["caFile"],
}
if kind == "secret":
    credential = ClientSecretCredential(demo["tenantId"], daemon["clientId"], daemon["clientSecret"], **local)
else:
    credential = CertificateCredential(
        demo["tenantId"], daemon["clientId"], certificate_path=daemon["certificateAndKeyFile"], **local
    )
token = credential.get_token(demo["api"]["scope"])
call_api_and_report(f"azure-identity Python {azure.identity.__version__}", token.token, demo)
