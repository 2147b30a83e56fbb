"""`regfleet import`: a fleet file from what a host has."""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timezone
from pathlib import Path

from regfleet.cli.inspect import reading
from regfleet.errors import EXIT_OK, RegfleetError, UsageError
from regfleet.fleet.build import build
from regfleet.fleet.findings import Table
from regfleet.look import imported
from regfleet.report import fleet_file
from regfleet.ssh.limits import LOOK_SECONDS
from regfleet.terminal.cleaning import clean_lines
from regfleet.terminal.streams import out, say

_HOST = re.compile(r"[A-Za-z0-9.:@-]+")


def import_host(
    *,
    host: str,
    user: str | None,
    key: Path | None,
    known_hosts: Path | None,
    output: Path | None,
    verbose: int,
) -> int:
    """Look at a host, and write or print a fleet file of what it has.

    Raises:
        UsageError: HOST is no name or address, or the file exists or cannot be written.
        HostError: the host cannot be reached or looked at.
    """
    if not _HOST.fullmatch(host) or (host.startswith("@") and host != "@local"):
        raise UsageError(f"{host!r} is no host", "give its name or address, or @local")
    if output and output.exists():
        raise UsageError(f"{output} already exists", "give another name, or move it away")
    ssh: dict[str, object] = {}
    for name, given in (("user", user), ("key", key), ("known_hosts", known_hosts)):
        if given:
            ssh[name] = given if isinstance(given, str) else str(given.expanduser().absolute())
    document: Table = {
        "version": 1,
        "name": "import",
        "ssh": ssh,
        "client": {"host": {"hosts": [host]}},
    }
    fleet = build(document, Path.cwd() / "fleet.toml")
    mark = f"import-{secrets.token_hex(6)}"
    with reading(fleet, None, verbose, as_json=False) as session:
        say(f"looking at {host}")
        program = imported.render(mark)
        work = session.each(lambda name: session.run(name, program, LOOK_SECONDS), [host])
        ((_, lines),) = work
    if isinstance(lines, RegfleetError):
        raise lines
    found = imported.parse(host, lines, mark)
    name = host if host == "@local" or not re.fullmatch("[0-9.:]+", host) else found.name or host
    when = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    text = clean_lines(fleet_file.render(found, name, host, ssh, when))
    if output is None:
        out(text.removesuffix("\n"))
        return EXIT_OK
    try:
        with output.open("x", encoding="utf-8") as written:
            written.write(text)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}", "name another") from error
    say(f"{output} is written. Check it, then: regfleet validate {output}")
    return EXIT_OK
