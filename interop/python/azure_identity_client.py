"""azure-identity for Python, unmodified: the credentials of azure.identity."""

import azure.identity

from azure_identity_play import play_with

play_with(azure.identity, "azure-identity Python", lambda result: result)
