"""`regfleet credentials`: a user's login at a registry, for other programs."""

from __future__ import annotations

from pathlib import Path

from regfleet.cli.options import file_and_name
from regfleet.errors import EXIT_OK, UsageError
from regfleet.fleet.findings import did_you_mean
from regfleet.fleet.load import load
from regfleet.fleet.registries import Registry, User
from regfleet.registry_api.target import Credentials
from regfleet.report.credentials import FORMATS
from regfleet.run import images, known
from regfleet.state import StateDirectory, replace_file
from regfleet.terminal.cleaning import clean_lines
from regfleet.terminal.streams import out, say


def credentials(
    *,
    file: Path,
    registry: str,
    user: str | None,
    format: str,  # noqa: A002 - the option's name
    output: Path | None,
    show: bool,
    state_dir: Path | None,
) -> int:
    """Write one user's credentials to a file of mode 0600, or print them with --show.

    Raises:
        UsageError: there is no such registry or user, or neither a file nor --show is given.
    """
    if (output is None) != show:
        raise UsageError(
            "credentials prints a password: say where it goes",
            "--output FILE writes a file with mode 0600; --show prints it",
        )
    file, registry = file_and_name(file, registry)
    fleet = load(file)
    if not registry and len(fleet.declared) != 1:
        raise UsageError(
            "name one of the fleet's registries",
            f"registries are {', '.join(fleet.registries)}",
        )
    found = images.chosen(fleet, registry)[0][0]
    state = StateDirectory.beside(fleet.path, fleet.name, state_dir)
    chosen = _user(found, user)
    password = known.password_of(chosen, found, state)
    text = FORMATS[format](found.endpoint, Credentials(chosen.name, password))
    if output is None:
        _show(text)
    else:
        _write(output, text)
        say(f"{output}: user {chosen.name} of {found.endpoint}, mode 0600")
    return EXIT_OK


def _user(registry: Registry, name: str | None) -> User:
    """The user that is asked for; the only one where none is named."""
    users = {each.name: each for each in registry.users}
    if not users:
        raise UsageError(
            f"registry {registry.name} has no users", "declare one, as in users.ci.password"
        )
    if name is None:
        if len(users) > 1:
            raise UsageError(
                f"registry {registry.name} has several users: {', '.join(users)}", "add --user NAME"
            )
        return registry.users[0]
    if name not in users:
        hint = did_you_mean(name, users, f"users are {', '.join(users)}")
        raise UsageError(f"registry {registry.name} has no user {name}", hint)
    return users[name]


def _show(text: str) -> None:
    shown = text.removesuffix("\n")
    if clean_lines(shown) != shown:  # what a terminal must not get would be changed
        raise UsageError(
            "the password has characters that act on a terminal", "write it with --output FILE"
        )
    out(shown)


def _write(path: Path, text: str) -> None:
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is not a file", "name a file; it is replaced")
        replace_file(path.absolute(), text.encode(), 0o600)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "name another") from error
