"""What a change is about: a kind and a name. `report` alone puts it in words for people.

What a host and the state directory keep of earlier changes has a text form of its own (`note_of`,
`from_note`); it stays as it is, since what is kept was written by other versions too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

from regfleet.model.desired import PROXIES
from regfleet.model.service import ServiceKind

Kind = Literal[
    ServiceKind,
    "daemon.json",
    "data",
    "directory",
    "file",
    "image",
    "interrupted",
    "login",
    "other",
    "package",
    "password",
    "proxies",
    "role",
    "service",
    "timer",
    "user",
]


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """One thing on a host.

    Attributes:
        kind: `data` is what a registry keeps in a directory, `daemon.json` one key of it,
            `interrupted` a change that was cut off, `user` and `password` those of an htpasswd
            file, `role` what somebody is in a project (`team-a: bob guest`), `proxies` the HTTP
            proxies that an account's containers are told of; `other` is what a note says that this
            version does not know.
        name: a path, a key, a container's or user's name, an image's reference; of a login
            ACCOUNT@ENDPOINT (see `login_resource`); of `other` the whole note.
    """

    kind: Kind
    name: str


INTERRUPTED = Resource("interrupted", "change")


def login_resource(account: str, endpoint: str) -> Resource:
    """The login of a host's account at a registry; its `PROXIES` are a kind of their own."""
    if endpoint == PROXIES:
        return Resource("proxies", account)
    return Resource("login", f"{account}@{endpoint}")


def note_of(resource: Resource) -> str:
    """A resource as hosts and the state directory keep it."""
    return resource.name if resource.kind == "other" else f"{resource.kind} {resource.name}"


def of_kind(kind: str, name: str) -> Resource:
    """A resource of a kind that a host or a file names."""
    known = name and kind != "other" and kind in get_args(Kind)
    return Resource(cast("Kind", kind), name) if known else Resource("other", f"{kind} {name}")


def from_note(text: str) -> Resource:
    """The resource of which a note was made, by this version or another."""
    kind, blank, name = text.partition(" ")
    return of_kind(kind, name) if blank else Resource("other", text)
