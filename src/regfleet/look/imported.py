"""The look of `regfleet import`: the program, and what it said. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from regfleet import shell
from regfleet.documents import json_document
from regfleet.documents.interface import NotReadableError
from regfleet.engines import ENGINES
from regfleet.errors import HostError
from regfleet.fleet.engine_rules import rules_of
from regfleet.look import foreign
from regfleet.look.parse import PARSE_ERRORS
from regfleet.model.foreign import Foreign
from regfleet.model.imported import Imported, OwnDocker
from regfleet.shell import frame

# Docker that accounts run without root.
_OWN = next(each for each in ENGINES.values() if rules_of(each.name).account)


def render(mark: str) -> str:
    """The program for standard input; `mark` frames its answer."""
    names = ("ports.sh", "foreign.sh", "import.sh")
    program = shell.program("regfleet.look", *names, engines=(_OWN.shell,))
    return f"{program}\n{frame.around(mark, 'import_host </dev/null')}"


def parse(host: str, lines: Iterable[str], mark: str) -> Imported:
    """What the program said.

    Raises:
        HostError: it did not come to its end, or another program wrote into its answer.
    """
    answer = frame.framed(lines, mark)
    if not answer.ended:
        raise HostError(
            host,
            f"the look at the host ended early ({frame.stray(answer) or 'no output'})",
            "log in by hand and check that `sh` works, as root or by sudo without a password",
        )
    try:
        return _imported(answer.lines)
    except PARSE_ERRORS as error:
        raise HostError(
            host,
            f"the look's output cannot be parsed: {type(error).__name__}: {error}",
            "this is a defect of regfleet, or another program writes into the host's output",
        ) from error


def _imported(lines: Iterable[str]) -> Imported:
    said: dict[str, list[str]] = {}
    blocks: list[list[str]] = []
    own: list[dict[str, list[str]]] = []
    for line in lines:
        word, _, rest = line.removeprefix("@").rstrip().partition(" ")
        if word == "own":
            own.append({"account": [rest]})
        elif own and word.startswith("own-"):
            own[-1].setdefault(word.removeprefix("own-"), []).append(rest)
        elif word == "found":
            blocks.append([])
        elif word in ("name", "engine", "ours", "daemon", "insecure", "mirror", "trusted", "login"):
            said.setdefault(word, []).append(rest)
        elif blocks:
            blocks[-1].append(line)
    insecure, mirrors, obstacle = _daemon((said.get("daemon") or [""])[0])
    ours = {}
    for line in said.get("ours", ()):
        name, _, fleet = line.partition(" ")
        ours[name.lstrip("/")] = fleet
    return Imported(
        (said.get("name") or [""])[0],
        engine="engine" in said,
        registries=tuple(_registries(blocks, ours)),
        ours=ours,
        insecure=tuple(dict.fromkeys((*insecure, *said.get("insecure", ())))),
        mirrors=tuple(dict.fromkeys((*mirrors, *said.get("mirror", ())))),
        trusted=dict(reversed([_pair(line) for line in said.get("trusted", ())])),
        logins=tuple(_login(line) for line in said.get("login", ())),
        obstacle=obstacle,
        own=tuple(map(_own, own)),
    )


def _own(said: dict[str, list[str]]) -> OwnDocker:
    insecure, mirrors, obstacle = _daemon((said.get("daemon") or [""])[0])
    return OwnDocker(
        said["account"][0],
        _OWN.name,
        tuple(dict.fromkeys((*insecure, *said.get("insecure", ())))),
        tuple(dict.fromkeys((*mirrors, *said.get("mirror", ())))),
        dict(reversed([_pair(line) for line in said.get("trusted", ())])),
        obstacle,
    )


def _registries(blocks: Iterable[list[str]], ours: dict[str, str]) -> Iterable[Foreign]:
    for block in blocks:
        found = foreign.parse(block)
        if found and found.name not in ours and not found.name.startswith("regfleet-"):
            yield found


def _pair(line: str) -> tuple[str, str]:
    first, _, second = line.partition(" ")
    return first, second


def _login(line: str) -> tuple[str, str, str]:
    account, endpoint, user = line.split(" ", 2)
    return account, endpoint, user


def _daemon(text: str) -> tuple[list[str], list[str], str]:
    """Insecure registries and mirrors of daemon.json, and why it could not be read."""
    if not text:
        return [], [], ""
    try:
        tree = json_document.parse(base64.b64decode(text, validate=True).decode()).tree()
    except (NotReadableError, UnicodeDecodeError) as error:
        return [], [], str(error)
    return _texts(tree.get("insecure-registries")), _texts(tree.get("registry-mirrors")), ""


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
