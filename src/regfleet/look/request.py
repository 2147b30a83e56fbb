"""The program that looks at one host: `look.sh` and the calls for what is wanted of it. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.parse
from shlex import quote

from regfleet import shell
from regfleet.desired.model import DesiredHost, Directory, File, LoginEntry
from regfleet.engines import ENGINES
from regfleet.look.parse import API_CONTAINERS, API_IMAGE, API_IMAGES


def program(*engines: str) -> str:
    """The look's shell functions, with those of engines (their shell words)."""
    return shell.program("regfleet.look", "look.sh", engines=engines)


def render(want: DesiredHost, salt: str) -> str:
    """The whole program for standard input; see `define`."""
    return f"{define(want, salt)}look </dev/null\n"


def define(want: DesiredHost, salt: str) -> str:
    """The program up to its shell function `look`, which is not called yet.

    Args:
        want: what the host should have; the look asks about just that.
        salt: the fleet's salt for the digests of logins.
    """
    things: tuple[Directory | File, ...] = (*want.directories, *want.files, *want.conditional)
    paths = dict.fromkeys(thing.path for thing in things)
    words = [ENGINES[name].shell for name in want.engines]
    images = {("docker", container.image.reference) for container in want.containers}
    images |= {(words[-1], image.reference) for image in want.images}
    names = [container.name for container in want.containers]
    calls = ["look_host", " ".join(["look_paths", *map(quote, paths)])]
    asked = [f"{API_IMAGES}{name}{API_IMAGE}" for word, name in sorted(images) if word == "docker"]
    asked += [_listing(name) for name in names]
    calls += [" ".join(["docker_wants", *map(quote, asked)])] if asked else []
    calls += [
        " ".join(["look_login", *map(quote, (each.account, each.endpoint, salt, each.file))])
        for each in want.logins
    ]
    # Engines that share their shell functions are told apart by name. Docker tells of itself at
    # once with all that was asked for before it.
    calls += [
        f"{word}_look" if word == name else f"{word}_look {quote(name)}"
        for word, name in zip(words, want.engines, strict=True)
    ]
    calls += [f"look_container {quote(name)}" for name in names]
    calls += [f"look_image {word} {quote(reference)}" for word, reference in sorted(images)]
    body = "\n  ".join([*calls, "tell", "say end"])
    return f"{program(*words)}\nlook() {{\n  {body}\n}}\n"


def _listing(name: str) -> str:
    """The API's path for the containers that have this in their names (moby, ContainerList)."""
    filters = json.dumps({"name": [name]}, separators=(",", ":"))
    return f"{API_CONTAINERS}?all=1&filters={urllib.parse.quote(filters, safe='')}"


def login_digest(login: LoginEntry, salt: str) -> str:
    """What the look says of a login that is in place: SHA-256 of a line, salt and `auth` value.

    `auth` is base64 of `user:password` (Docker's config.json, `docker login` reference).
    """
    auth = base64.b64encode(f"{login.user}:{login.password.reveal()}".encode()).decode()
    return hashlib.sha256(f"{salt}{auth}\n".encode()).hexdigest()
