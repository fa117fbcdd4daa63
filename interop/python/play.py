"""Plays the cases that `cargo xtask interop` wrote down with one client library; one line of JSON for each."""

import base64
import json
import re
import sys

import jwt
import requests


def play(client, source_of, shown):
    """`source_of(case, scene)` makes the library's client and gives a function from claims (or None) to a token;
    `shown(error)` says what of a refusal the library shows beside its type and its text."""
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    say({"client": client})
    for case in job["cases"]:
        scene = job["scene"]
        source = None
        try:
            source = source_of(case, scene)
            came = challenged(source, case, scene) if case.get("challenge") else granted(source, case)
        except Exception as error:  # whatever it is, it is what the library raises
            came = {"raised": raised(error, shown)}
            if case.get("again") and source:
                came["raisedAgain"] = again(source, shown)
        say({"case": case["id"], **came})


def granted(source, case):
    """Two requests for one token, which the API is called with."""
    token = source(None)
    return {
        "claims": jwt.decode(token, options={"verify_signature": False}),
        "cached": source(None) == token,
        "api": call(case["call"], token).status_code,
    }


def challenged(source, case, scene):
    """Continuous access evaluation: the API refuses a token that was revoked and says what the next one must have."""
    token = source(None)
    before = call(case["call"], token).status_code
    requests.post(f"{scene['revoke']}/{case['clientId']}", timeout=30).raise_for_status()
    refusal = call(case["call"], token)
    challenge = re.search(r'claims="([^"]*)"', refusal.headers.get("WWW-Authenticate", ""))
    claims = base64.b64decode(challenge[1]).decode() if challenge else None
    renewed = source(claims)
    return {
        "claims": jwt.decode(renewed, options={"verify_signature": False}),
        "renewed": renewed != token,
        "api": [before, refusal.status_code, call(case["call"], renewed).status_code],
    }


def again(source, shown):
    try:
        source(None)
    except Exception as error:
        return raised(error, shown)
    return None


def raised(error, shown):
    return {"type": type(error).__name__, "text": str(error), **shown(error)}


def call(api, token):
    return requests.get(
        api["url"], headers={"Authorization": f"Bearer {token}"}, verify=api.get("caFile", True), timeout=30
    )


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def say(line):
    print(json.dumps(line), flush=True)
