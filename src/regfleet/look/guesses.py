"""How often somebody gave a wrong password at a registry: asked of its gateway's log. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from shlex import quote

from regfleet import shell
from regfleet.model.desired import DesiredHost
from regfleet.model.service import Service, ServiceKind
from regfleet.model.status import WrongLogins
from regfleet.services import shell_of
from regfleet.shell import frame
from regfleet.shell.frame import framed

GATEWAY = ".gateway"  # how the names of gateways' services end
_LINE = re.compile(r"@guesses ([0-9]{1,9}) ([0-9]{1,9})")


def gateway_of(want: DesiredHost, registry: str) -> Service | None:
    """The service of a registry's gateway on a host; None where it has none."""
    found = (
        service
        for service in want.services
        if service.registry == registry and service.name.endswith(GATEWAY)
    )
    return next(found, None)


def program(kind: ServiceKind) -> str:
    """The shell functions, for a gateway of that kind."""
    own = shell.program("regfleet.look", "guesses.sh")
    texts = [shell.text("regfleet.services", f"{each}.guesses.sh") for each in shell_of([kind])]
    if kind == "unit":
        texts.insert(0, shell.text("regfleet.services", "unit.sh"))
    return "\n".join((own, *texts))


def render(gateway: Service, mark: str) -> str:
    """The whole program for standard input.

    Args:
        gateway: as `gateway_of` gives it.
        mark: this program's own, which frames its answer.
    """
    body = f"find_engine\n  guesses {gateway.kind} {quote(gateway.name)}"
    asked = frame.around(mark, "asked </dev/null")
    return f"{program(gateway.kind)}\nasked() {{\n  {body}\n}}\n{asked}"


def parse(lines: Iterable[str], mark: str) -> WrongLogins | None:
    """What a host answered; None where it did not count."""
    for line in framed(lines, mark).lines:
        if found := _LINE.fullmatch(line):
            return WrongLogins(int(found[1]), int(found[2]))
    return None
