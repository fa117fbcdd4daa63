"""A container and a blob in Azurite, with a token that azure-identity got."""

import json
import sys

import azure.identity
import azure.storage.blob
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobServiceClient

with open(sys.argv[1], encoding="utf-8") as file:
    job = json.load(file)
credential = ClientSecretCredential(
    job["tenantId"],
    job["clientId"],
    job["clientSecret"],
    authority=job["authority"],
    disable_instance_discovery=True,
    connection_verify=job["caFile"],
)
service = BlobServiceClient(job["storage"], credential=credential, connection_verify=job["caFile"])
container = service.create_container("made-by-azure-identity")
container.upload_blob("greeting.txt", b"hello")
found = container.download_blob("greeting.txt").readall()
client = f"azure-identity {azure.identity.__version__}, azure-storage-blob {azure.storage.blob.__version__}"
print(json.dumps({"client": client, "found": found.decode()}))
