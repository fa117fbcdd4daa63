"""azure-identity for Python as in Microsoft's samples: DefaultAzureCredential, which knows what its environment says."""

import os

import azure.identity
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, DefaultAzureCredential

from unmodified import report

credential = DefaultAzureCredential()
refused = None
if "AZURE_CLIENT_ID" in os.environ:
    wrong = ClientSecretCredential(os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], "not the secret")
    try:
        wrong.get_token("api://todolist/.default")
    except ClientAuthenticationError as error:
        refused = str(error)
report(f"azure-identity Python {azure.identity.__version__}", lambda s: credential.get_token(s).token, refused)
