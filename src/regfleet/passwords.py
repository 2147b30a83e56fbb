"""Passwords: from where the fleet file says they come to a `Secret` fit for htpasswd.

Nothing here prints, logs or quotes a password, nor what a password command wrote on its standard
output.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Collection, Mapping
from urllib.parse import quote, unquote

from regfleet.errors import PasswordError
from regfleet.fleet.model import PasswordSource
from regfleet.secret import Secret
from regfleet.state import StateDirectory

MAX_BYTES = 72
"""bcrypt hashes the first 72 bytes and ignores the rest (Provos and Mazières, "A Future-Adaptable
Password Scheme", 1999); a longer password would be weaker than it looks, so it is refused."""

COMMAND_TIMEOUT = 30.0
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

    * `env`: the variable's value as it is.
    * `file`: the file's content without its last line end.
    * `command`: the first line that `sh -c` writes, as `pass show` and its like have it.
    * `generate`: what the state directory keeps, else a new one of 192 random bits.

    Args:
        source: what the fleet file says; `source.kind == "generate"` is what makes it random
            enough for a low bcrypt cost (see `htpasswd.cost_of`).
        state: where generated passwords are kept.
        registry: the registry's name, for messages and for the place in `state`.
        user: the user's name, likewise.
        save: whether a newly generated password is kept. Without it (`plan`), each call gives
            another one as long as none is kept.
        environment: the variables; `os.environ` by default.

    Raises:
        PasswordError: the source cannot be read, or the password is empty, over 72 bytes of
            UTF-8, or contains a NUL or a line end.
        StateError: the state directory cannot be used.
    """
    whose = f"password of user {user!r} of registry {registry!r}"
    if source.kind == "env":
        value = _from_env(source.value, whose, os.environ if environment is None else environment)
    elif source.kind == "file":
        value = _from_file(source.value, whose)
    elif source.kind == "command":
        value = _from_command(source.value, whose)
    else:
        value = _generated(state, registry, user, save=save)
    return Secret(_checked(value, whose))


def retired(state: StateDirectory, registry: str, users: Collection[str]) -> dict[str, Secret]:
    """Generated passwords that are kept for users who are declared no more, by user.

    The smoke test proves with them that those users are let in no more.

    Args:
        users: the users who are declared.

    Raises:
        StateError: the state directory cannot be used.
    """
    folder = f"passwords/{_as_file_name(registry)}"
    found = {}
    for file in state.names(folder):
        user = unquote(file)
        kept = state.read_text(f"{folder}/{file}")
        if user not in users and kept and not file.endswith(".new"):
            found[user] = Secret(_without_line_end(kept))
    return found


def _from_env(name: str, whose: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name)
    if not value:
        found = "is not set" if value is None else "is empty"
        raise PasswordError(
            f"{whose}: the environment variable {name} {found}", f"export {name}=... and run again"
        )
    return value


def _from_file(path: str, whose: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - also /dev/fd/N of a process substitution
            content = file.read(64 * 1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise PasswordError(
            f"{whose}: cannot read {path}: {reason}",
            "relative paths start at the fleet file's directory",
        ) from error
    return _without_line_end(_decoded(content, f"{whose}: {path}"))


def _from_command(command: str, whose: str) -> str:
    """Run a password command in a process group of its own, so that a timeout ends all of it."""
    with subprocess.Popen(
        ["sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=COMMAND_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise PasswordError(
                f"{whose}: the command {command!r} has not finished in {COMMAND_TIMEOUT:.0f} s",
                "it gets no standard input and no terminal; unlock the password store before",
            ) from None
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines()
        said = f": {lines[-1].strip()}" if lines else ""
        raise PasswordError(
            f"{whose}: the command {command!r} failed with exit code {process.returncode}{said}",
            "run the command by hand; its first line of output is the password",
        )
    first, _, _ = _decoded(output, f"{whose}: the output of {command!r}").partition("\n")
    return first.removesuffix("\r")


def _generated(state: StateDirectory, registry: str, user: str, *, save: bool) -> str:
    name = f"passwords/{_as_file_name(registry)}/{_as_file_name(user)}"
    kept = state.read_text(name)
    if kept is not None:
        return _without_line_end(kept)
    made = secrets.token_urlsafe(_GENERATED_BYTES)
    if save:
        state.write_text(name, f"{made}\n")
    return made


def _as_file_name(name: str) -> str:
    """Percent-encoded, so that any name is one file name, and no two names share one."""
    encoded = quote(name, safe="@+")
    return encoded.replace(".", "%2E") if encoded.startswith(".") else encoded


def _decoded(content: bytes, what: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise PasswordError(f"{what}: not UTF-8 text", "store the password as UTF-8") from None


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _checked(value: str, whose: str) -> str:
    if not value:
        raise PasswordError(f"{whose} is empty", "give one, or write password = 'generate'")
    if any(character in value for character in "\0\n\r"):
        raise PasswordError(
            f"{whose} contains a line end or a NUL character",
            "give the password alone, on one line",
        )
    try:
        size = len(value.encode())
    except UnicodeEncodeError:  # lone surrogates: how os.environ shows undecodable bytes
        raise PasswordError(f"{whose}: not UTF-8 text", "set it in UTF-8") from None
    if size > MAX_BYTES:
        raise PasswordError(
            f"{whose} has {size} bytes; bcrypt takes no more than {MAX_BYTES}",
            "shorten it, or write password = 'generate'",
        )
    return value
