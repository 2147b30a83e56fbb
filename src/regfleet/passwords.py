"""Reads each password from its declared source into a `Secret` that htpasswd can hold.

Nothing here prints, logs or quotes a password, nor the standard output of a password command.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path

from regfleet import local_command, state_paths
from regfleet.errors import PasswordError
from regfleet.fleet.registries import PasswordSource
from regfleet.given_files import open_given
from regfleet.secret import Secret
from regfleet.state import StateDirectory

MAX_BYTES = 72
"""bcrypt hashes the first 72 bytes and ignores the rest (Provos and Mazières, "A Future-Adaptable
Password Scheme", 1999); a longer password would be weaker than it looks, so it is refused."""

COMMAND_TIMEOUT = 30.0
COMMAND_BYTES = 64 << 10
_GENERATED_BYTES = 24  # 192 bits, 32 characters in URL-safe base64


def resolve(
    source: PasswordSource,
    *,
    state: StateDirectory,
    registry: str,
    user: str,
    save: bool,
    environment: Mapping[str, str] | None = None,
) -> Secret:
    """The password of one user of one registry.

    * `env`: the variable's value.
    * `file`: the file's content without its last line end.
    * `command`: the first line of its output, where `pass show` and similar programs print it.
    * `generate`: the password in the state directory, else a new one of 192 random bits.

    Args:
        source: the source in the fleet file. Only `source.kind == "generate"` is random enough
            for a low bcrypt cost (see `htpasswd.cost_of`).
        state: keeps generated passwords.
        registry: the registry's name, for messages and for the file in `state`.
        user: the user's name, likewise.
        save: whether to keep a new password. Without it (`plan`), each call makes another one
            until one is kept.
        environment: the variables; `os.environ` by default.

    Raises:
        PasswordError: the source cannot be read, or the password is empty, over 72 bytes of
            UTF-8, or contains a NUL or a line end.
        StateError: the state directory cannot be used.
    """
    whose = f"password of user {user!r} of registry {registry!r}"
    if source.kind == "generate":
        value = _read_or_generate(state, registry, user, save=save)
        return Secret(_require_usable(value, whose, MAX_BYTES))
    return read(source, whose, limit=MAX_BYTES, environment=environment)


def read(
    source: PasswordSource,
    whose: str,
    *,
    limit: int = COMMAND_BYTES,
    environment: Mapping[str, str] | None = None,
) -> Secret:
    """A password that somebody else has made: from `env`, `file` or `command`, as in `resolve`.

    Args:
        whose: what it is, for messages: `password of user 'ci' of registry 'main'`.
        limit: how many bytes of UTF-8 it may have. Access tokens may be long.
        environment: as in `resolve`.

    Raises:
        PasswordError: as `resolve`.
    """
    if source.kind == "env":
        value = _from_env(source.value, whose, os.environ if environment is None else environment)
    elif source.kind == "file":
        value = _from_file(source.value, whose)
    else:
        value = _from_command(source.value, whose)
    return Secret(_require_usable(value, whose, limit))


def retired(state: StateDirectory, registry: str, users: Collection[str]) -> dict[str, Secret]:
    """Generated passwords of users who are no longer declared, by user.

    The smoke test uses them to prove that the registry refuses these users.

    Args:
        users: the declared users.

    Raises:
        StateError: the state directory cannot be used.
    """
    place = state_paths.passwords(registry)
    found = {}
    for file in state.names(place):
        user = state_paths.user_of(file)
        kept = state.read_text(f"{place}/{file}")
        if user not in users and kept and not file.endswith(".new"):
            found[user] = Secret(_without_line_end(kept))
    return found


def _from_env(name: str, whose: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name)
    if not value:
        found = "is not set" if value is None else "is empty"
        raise PasswordError(
            f"{whose}: the environment variable {name} {found}",
            f"export {name}=... and run this again",
        )
    return value


def _from_file(path: str, whose: str) -> str:
    try:
        with open_given(path) as file:
            content = file.read(64 * 1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise PasswordError(
            f"{whose}: cannot read {path}: {reason}",
            "relative paths start at the fleet file's directory",
        ) from error
    return _without_line_end(_decode(content, f"{whose}: {path}"))


def _from_command(command: str, whose: str) -> str:
    try:
        output = local_command.run(command, seconds=COMMAND_TIMEOUT, limit=COMMAND_BYTES)
    except local_command.LocalCommandError as error:
        raise PasswordError(
            f"{whose}: the command {command!r} {error.message}",
            error.hint or "run the command by hand; its first line of output is the password",
        ) from None
    first, _, _ = _decode(output, f"{whose}: the output of {command!r}").partition("\n")
    return first.removesuffix("\r")


def _read_or_generate(state: StateDirectory, registry: str, user: str, *, save: bool) -> str:
    name = state_paths.password(registry, user)
    kept = state.read_text(name)
    if kept is not None:
        return _without_line_end(kept)
    made = secrets.token_urlsafe(_GENERATED_BYTES)
    if save:
        state.write_text(name, f"{made}\n")
    return made


def generated_file(state: StateDirectory, registry: str, user: str) -> Path:
    """The file of a generated password, readable by its owner alone."""
    return state.path_of(state_paths.password(registry, user))


def _decode(content: bytes, what: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise PasswordError(f"{what}: not UTF-8 text", "store the password as UTF-8") from None


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _require_usable(value: str, whose: str, limit: int) -> str:
    if not value:
        raise PasswordError(f"{whose} is empty", "set one, or write password = 'generate'")
    if any(character in value for character in "\0\n\r"):
        raise PasswordError(
            f"{whose} contains a line end or a NUL character",
            "store the password alone, on one line",
        )
    try:
        size = len(value.encode())
    except UnicodeEncodeError:  # lone surrogates: how os.environ shows undecodable bytes
        raise PasswordError(f"{whose}: not UTF-8 text", "set it in UTF-8") from None
    if size > limit and limit != MAX_BYTES:
        raise PasswordError(f"{whose} has {size} bytes", f"{limit} are the most")
    if size > limit:
        raise PasswordError(
            f"{whose} has {size} bytes; bcrypt takes no more than {MAX_BYTES}",
            "shorten it, or write password = 'generate'",
        )
    return value
