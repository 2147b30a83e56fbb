"""The `format`s of the schema: what a single string may look like, and what to say otherwise.

A name here is a `format` in fleet.schema.json; a unit test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from regfleet.fleet import addresses, hosts
from regfleet.fleet.findings import RefusedError
from regfleet.fleet.toml_text import shown

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?", re.ASCII)
_LONGEST_NAME = 63
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ACCOUNT = re.compile(r"[^\s:/-][^\s:/]*")
_PERCENT = re.compile(r"([1-9][0-9]?|100)%", re.ASCII)
# distribution/reference, grammar: path-component, tag, digest.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", re.ASCII)


def check_name(text: str) -> None:
    """A fleet's, registry's or client's name: it becomes a directory, a container, a group."""
    if not _NAME.fullmatch(text) or len(text) > _LONGEST_NAME:
        raise RefusedError(
            f"{shown(text)} cannot be a name",
            f"lower-case letters and digits, - and _ between them, up to {_LONGEST_NAME}",
        )


def check_account(text: str) -> None:
    """A Unix account. Directory services allow more than useradd does, so little is refused."""
    if not _ACCOUNT.fullmatch(text) or _CONTROL.search(text):
        raise RefusedError(
            f"{shown(text)} cannot be an account's name",
            "no blanks, colons or slashes, no hyphen at its beginning",
        )


def check_registry_user(text: str) -> None:
    """A name in an htpasswd file, whose lines are trimmed and end at `#` or the first colon."""
    if not text:
        raise RefusedError("a user's name cannot be empty", "as in ci")
    if ":" in text:
        raise RefusedError(
            f"the user's name {shown(text)} has a colon in it", "a colon ends it in htpasswd"
        )
    if _CONTROL.search(text) or text != text.strip() or text.startswith("#"):
        raise RefusedError(
            f"the user's name {shown(text)} cannot be in an htpasswd file",
            "no control characters, no blanks at its ends, no # before it",
        )


def check_password(text: str) -> None:
    """The one string that stands for a password. The text itself is never shown."""
    if text != "generate":
        raise RefusedError(
            "is a string: passwords do not belong in the file",
            'write "generate", { env = "NAME" }, { file = "PATH" } or { command = "COMMAND" }',
        )


def check_variable(text: str) -> None:
    """An environment variable's name."""
    if not _VARIABLE.fullmatch(text):
        # Not shown: what is no variable's name may be the password itself.
        raise RefusedError(
            "is not the name of an environment variable",
            "letters, digits and _, as in REG_PASSWORD",
        )


def check_command(text: str) -> None:
    """A shell command."""
    if not text.strip() or "\x00" in text:
        raise RefusedError("is not a command", "as in pass show registry/alice")


def check_path(text: str) -> None:
    """A path on this machine."""
    if not text.strip():
        raise RefusedError("is empty", "a file's path belongs here")
    if _CONTROL.search(text):
        raise RefusedError("has a control character in it", "write the path as ls shows it")


def check_absolute_path(text: str) -> None:
    """A directory on a host, which a container gets as a volume."""
    check_path(text)
    parts = text.strip("/").split("/")
    if not text.startswith("/") or not text.strip("/"):
        raise RefusedError(f"{shown(text)} is not a directory from / on", "as in /var/lib/registry")
    if ".." in parts or "." in parts or "" in parts:
        raise RefusedError(f"{shown(text)} has a part that is empty, . or ..", "write it out")
    if re.search(r"[:,\"'\\]", text):
        raise RefusedError(
            f"{shown(text)} has one of : , ' \" \\ in it, which a volume cannot",
            "give it another name",
        )


def check_percent(text: str) -> None:
    """A percentage of the hosts."""
    if not _PERCENT.fullmatch(text):
        raise RefusedError(f"{shown(text)} is not a batch", 'a number, or "1%" to "100%"')


def check_image(text: str) -> None:
    """An image's reference: `[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]`."""
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        # Not shown: before an @ there may be a password.
        raise RefusedError("has a digest that cannot be", "as in sha256: and 64 digits")
    head, slash, tail = rest.partition("/")
    if slash and (re.search(r"[.:]", head) or head == "localhost" or head != head.lower()):
        addresses.check_endpoint(head)
        rest = tail
    repository, colon, tag = rest.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise RefusedError(f"{shown(text)} has a tag that cannot be", "as in registry:2")
    if not _REPOSITORY.fullmatch(repository):
        hint = (
            "an image's repository is written in lower case"
            if repository != repository.lower()
            else ""
        )
        raise RefusedError(f"{shown(text)} is not an image", hint or "as in registry:2")


def check_mirror(text: str) -> None:
    """A mirror's URL. Names of registries are looked up later."""
    if "://" in text:
        addresses.check_mirror_url(text)


def check_upstream(text: str) -> None:
    """A pull-through cache's upstream: a URL like a mirror's."""
    addresses.check_mirror_url(text)


FORMATS: Mapping[str, Callable[[str], None]] = {
    "absolute-path": check_absolute_path,
    "account": check_account,
    "address": hosts.check_host_address,
    "command": check_command,
    "endpoint": addresses.check_endpoint,
    "host": hosts.check_host,
    "image": check_image,
    "mirror": check_mirror,
    "name": check_name,
    "password": check_password,
    "path": check_path,
    "percent": check_percent,
    "registry-user": check_registry_user,
    "tls-name": addresses.check_tls_name,
    "upstream": check_upstream,
    "variable": check_variable,
}
