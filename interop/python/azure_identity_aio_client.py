"""azure-identity for Python, unmodified: the asynchronous credentials of azure.identity.aio."""

import asyncio

import azure.identity.aio

from azure_identity_play import play_with

loop = asyncio.new_event_loop()
play_with(azure.identity.aio, "azure-identity Python aio", loop.run_until_complete)
