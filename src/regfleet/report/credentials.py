"""A user's credentials in the formats that other programs read. Pure; the texts are secrets."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable, Mapping

from regfleet.registry_api.target import Credentials


def dockerconfigjson(endpoint: str, credentials: Credentials) -> str:
    """As in `~/.docker/config.json` and in a Secret of type `kubernetes.io/dockerconfigjson`.

    `kubectl create secret docker-registry` writes the same fields (kubernetes.io, "Pull an Image
    from a Private Registry").
    """
    user, password = credentials.user, credentials.password.reveal()
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    entry = {"username": user, "password": password, "auth": auth}
    return json.dumps({"auths": {endpoint: entry}}, indent=2) + "\n"


def env(endpoint: str, credentials: Credentials) -> str:
    """Variables that a shell reads with `.`; values that need it are quoted for a shell."""
    values = {
        "REGISTRY": endpoint,
        "REGISTRY_USER": credentials.user,
        "REGISTRY_PASSWORD": credentials.password.reveal(),
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def netrc(endpoint: str, credentials: Credentials) -> str:
    """A line of a netrc file, as curl reads it: by the host's name, without its port.

    curl takes quoted tokens with backslashes in them (everything.curl.dev, "netrc").
    """
    host = endpoint.rpartition(":")[0] if ":" in endpoint.rpartition("]")[2] else endpoint
    words = (credentials.user, credentials.password.reveal())
    user, password = map(_netrc_token, words)
    return f"machine {host.strip('[]')} login {user} password {password}\n"


def _netrc_token(word: str) -> str:
    if word and not any(each.isspace() or each in '"\\#' for each in word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'"{escaped}"'


FORMATS: Mapping[str, Callable[[str, Credentials], str]] = {
    "dockerconfigjson": dockerconfigjson,
    "env": env,
    "netrc": netrc,
}
