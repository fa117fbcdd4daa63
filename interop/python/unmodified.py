"""What a daemon in Python does with its tokens; the line that `cargo xtask interop` reads."""

import base64
import json

import requests


def report(client, token, refused):
    payload = token("api://todolist/.default").split(".")[1]
    graph = {"Authorization": f"Bearer {token('https://graph.microsoft.com/.default')}"}
    users = requests.get("https://graph.microsoft.com/v1.0/users", headers=graph, timeout=30)
    line = {
        "client": client,
        "claims": json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))),
        "users": [user["displayName"] for user in users.json().get("value", [])],
        "refused": refused,
    }
    print(json.dumps(line))
