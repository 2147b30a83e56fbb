"""How to log in to the registries that a run set up. Passwords are never printed."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path

from rich.console import Console
from rich.text import Text

from regfleet import state_paths
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry, User
from regfleet.model.names import counted
from regfleet.passwords import generated_file
from regfleet.report.lines import show, show_whole
from regfleet.state import StateDirectory

_MOST_USERS = 3  # named users of a registry; the others are in the fleet file
_PASSWORD_PLACES = {
    "env": "in the variable {value}",
    "file": "in the file {value}",
    "command": "what its command prints",
}


def show_access(
    fleet: Fleet, registries: Collection[str], state: StateDirectory, console: Console
) -> None:
    """Print each own registry's endpoint, its users, and where their passwords are kept.

    Args:
        registries: names of the registries to print.
        state: holds generated passwords; its path is printed relative to the working directory.
    """
    for registry in fleet.declared:
        if not registry.external and registry.name in registries:
            _show_registry(registry, state, console)


def _show_registry(registry: Registry, state: StateDirectory, console: Console) -> None:
    head = ("The registry ", (registry.endpoint, "bold"), " is up.")
    show(console, "", Text.assemble(*head))
    show_whole(console, f"  push:      docker push {shlex.quote(registry.endpoint)}/NAME:TAG")
    if registry.tls.source == "fleet-ca":
        authority = shlex.quote(str(_relative(state.path_of(state_paths.CA_CERTIFICATE))))
        show(console, "  elsewhere: ", "a machine that is not in the fleet needs the file")
        show_whole(console, f"             {authority}")
        show_whole(console, f"             as /etc/docker/certs.d/{registry.endpoint}/ca.crt")
    for user in registry.users[:_MOST_USERS]:
        where = _password(state, registry, user)
        show(console, f"  {'log in:':<10} ", f"as {user.name}; the password is {where}")
        if user.password.kind == "generate":
            path = shlex.quote(str(_relative(generated_file(state, registry.name, user.name))))
            endpoint = shlex.quote(registry.endpoint)
            login = f"docker login {endpoint} -u {shlex.quote(user.name)} --password-stdin"
            show_whole(console, f"             {login} < {path}")
    more = len(registry.users) - _MOST_USERS
    if more > 0:
        show(console, "             ", f"and {counted(more, 'further user')}")


def _password(state: StateDirectory, registry: Registry, user: User) -> str:
    if user.password.kind == "generate":
        return f"in {_relative(generated_file(state, registry.name, user.name))}"
    return _PASSWORD_PLACES[user.password.kind].format(value=user.password.value)


def _relative(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
