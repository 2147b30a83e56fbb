"""How often somebody gave a wrong password at a registry: asked of its gateway's log. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from shlex import quote

from regfleet import shell
from regfleet.model.desired import DesiredHost
from regfleet.model.status import WrongLogins
from regfleet.shell import frame
from regfleet.shell.frame import framed

_KIND = "container"  # the one kind of service that gateways are today
GATEWAY = ".gateway"  # how the names of gateways' services end
_LINE = re.compile(r"@guesses ([0-9]{1,9}) ([0-9]{1,9})")


def gateway_of(want: DesiredHost, registry: str) -> str:
    """The container of a registry's gateway on a host; empty where it has none."""
    names = (
        service.name
        for service in want.services
        if service.registry == registry and service.kind == _KIND and service.name.endswith(GATEWAY)
    )
    return next(names, "")


def program() -> str:
    """The shell functions."""
    own = shell.program("regfleet.look", "guesses.sh")
    return f"{own}\n{shell.text('regfleet.services', f'{_KIND}.guesses.sh')}"


def render(container: str, mark: str) -> str:
    """The whole program for standard input.

    Args:
        mark: this program's own, which frames its answer.
    """
    body = f"find_engine\n  guesses {_KIND} {quote(container)}"
    return f"{program()}\nasked() {{\n  {body}\n}}\n" + frame.around(mark, "asked </dev/null")


def parse(lines: Iterable[str], mark: str) -> WrongLogins | None:
    """What a host answered; None where it did not count."""
    for line in framed(lines, mark).lines:
        if found := _LINE.fullmatch(line):
            return WrongLogins(int(found[1]), int(found[2]))
    return None
