"""What the Python drivers share: the connection file, the call of the API, the line that is printed."""

import json
import sys

import jwt
import requests


def connection():
    """The first argument names the file that `apptoken demo --connection-file` wrote; the second one the credential."""
    with open(sys.argv[1], encoding="utf-8") as file:
        return json.load(file), sys.argv[2]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def call_api_and_report(client, token, demo):
    """Calls the TodoList API with the token and prints one JSON line for `cargo xtask interop`."""
    answer = requests.get(
        demo["api"]["url"], headers={"Authorization": f"Bearer {token}"}, verify=demo["caFile"], timeout=30
    )
    claims = jwt.decode(token, options={"verify_signature": False})
    print(
        json.dumps(
            {
                "client": client,
                "status": answer.status_code,
                "todos": len(answer.json()) if answer.ok else 0,
                "proof": claims.get("azpacr", claims.get("appidacr")),
            }
        )
    )
