"""Parse the output lines of a look into an `ObservedHost`. Pure."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal, cast, get_args

from regfleet import htpasswd, record, roles
from regfleet.engines import docker_info
from regfleet.errors import HostError, cut
from regfleet.model.observed import (
    ADDRESS,
    DOCKER_PLACE,
    Boot,
    EngineState,
    Holds,
    Machine,
    ObservedData,
    ObservedEngine,
    ObservedHost,
    ObservedPath,
    ObservedService,
    ObservedSpace,
    ObservedTimer,
    OtherEngine,
)
from regfleet.model.service import ServiceKind
from regfleet.services.container import API_CONTAINERS, API_IMAGE, API_IMAGES
from regfleet.shell.frame import framed, stray

MOST_ID = 1 << 32  # user and group ids are 32 bits (credentials(7))
_MOST_PORT = 1 << 16
MOST_SECONDS = 1 << 40  # no clock shows the year 36812
# What Python raises on values of another type, size or depth than the look prints.
_MOST_BYTES = 2**63  # what a file system can hold, and more
PARSE_ERRORS = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)

FOUND = "200"  # the API's status of a good answer
COMPOSE_LABEL = "com.docker.compose.project"  # Compose's own (docker/compose, pkg/api/labels.go)

_MACHINE = {
    "machine": re.compile("[0-9a-f]{32}"),
    "boot": re.compile("[0-9a-f-]{36}"),
    "processes": re.compile(r"pid:\[[0-9]{1,20}\]"),
}

_INT64 = 2**63 - 1


def parse(host: str, lines: Iterable[str], mark: str) -> ObservedHost:
    """Parse the look's output.

    Args:
        lines: what the command printed.
        mark: of this look; what stands outside its frame is noise.

    Raises:
        HostError: the lines are no look (the shell failed, sudo refused) or an incomplete one, or
            a file or the ownership record on the host cannot be decoded.
    """
    fields: dict[str, list[str]] = defaultdict(list)
    answer = framed(lines, mark)
    for line in answer.lines:
        if line.startswith("@"):
            key, _, rest = line[1:].partition(" ")
            fields[key].append(rest)
    if not answer.begun:
        raise _failed_shell(host, stray(answer) or "no output")
    if not answer.ended or not {"uid", "end"} <= set(fields):  # the unread would look missing
        raise HostError(
            host,
            f"the look at the host ended early ({stray(answer) or 'no error text'})",
            "run this again; if it fails again, check the host's log for the connection",
        )
    try:
        return _observed(host, fields)
    except PARSE_ERRORS as error:
        raise HostError(
            host,
            f"the look's output cannot be parsed: {type(error).__name__}: {cut(str(error))}",
            "this is a defect of regfleet, or another program writes into the host's output",
        ) from error


def _timer(value: str) -> tuple[str, ObservedTimer]:
    name, found, kept = (*value.split(" "), "", "")[:3]
    state = cast(
        "Literal['active', 'inactive', 'none']", _one_of(found, ("active", "inactive", "none"))
    )
    return name, ObservedTimer(state, base64.b64decode(kept).decode("utf-8", "replace"))


def _observed(host: str, fields: dict[str, list[str]]) -> ObservedHost:
    _expand_api_answers(fields)
    whole = dict(_split_once(value) for value in fields["whole"])
    written = _decode(host, "the ownership record", whole.get("owned"))
    try:
        owned = record.parse(written)
    except record.RecordError as error:
        raise HostError(
            host,
            f"{record.PATH} cannot be read: {error}",
            "it was written by another version of regfleet, or edited; restore it, "
            "or move it away: then the fleet owns nothing on the host",
        ) from error
    os_id, _, os_version = (fields["os"] or ["unknown"])[0].partition(" ")
    return ObservedHost(
        uid=_number(fields["uid"][0], MOST_ID),
        clock=_number((fields["clock"] or ["0"])[0], MOST_SECONDS),
        os=os_id,
        os_version=os_version,
        init=cast(
            "Literal['systemd', 'openrc', 'scripts']",
            _one_of((fields["init"] or ["scripts"])[0], ("systemd", "openrc", "scripts")),
        ),
        machine=_machine(fields),
        packages=(fields["packages"] or [""])[0],
        paths=_paths(fields["stat"], fields["sum"]),
        pending="pending" in fields,
        busy=(fields["busy"] or [""])[0].strip(),
        record=written,
        owned=owned,
        brought=record.parse_brought(_decode(host, record.BROUGHT, whole.get("brought"))),
        space=dict(map(_space, fields["space"])),
        engine=_engine(fields),
        services={service.name: service for service in _services(fields)},
        images=dict(_split_once(value) for value in fields["image"]),
        logins=dict(_login(value) for value in fields["login"]),
        others=_other_engines(fields["of"]),
        texts=_texts(host, whole, "text:"),
        originals=_texts(host, whole, "original:"),
        data=dict(storage_data(value) for value in fields["data"]),
        users=_users(whole),
        roles=_roles(whole),
        holds=dict(_directory_entries(value) for value in fields["holds"]),
        listening=_listening(fields["port"]),
        timers=dict(map(_timer, fields["timer"])),
        read_only=frozenset(fields["read-only"]),
        python=(fields["python"] or [""])[0],
        cron="cron" in fields,
    )


def _machine(fields: dict[str, list[str]]) -> Machine:
    """What is malformed (`uninitialized` is in images that never booted) counts as unknown."""
    return Machine(
        *(
            text if (text := (fields[key] or [""])[0]) and pattern.fullmatch(text) else ""
            for key, pattern in _MACHINE.items()
        )
    )


def _space(value: str) -> tuple[str, ObservedSpace]:
    """`SIZE BLOCKS FREE USABLE INODES FREE_INODES PATH`, as `stat -f` prints them.

    As in df(1), the size is the used blocks and those that any user may still use.
    """
    *numbers, path = value.split(" ", 6)
    unit, blocks, free, usable, inodes, free_inodes = (min(int(each), _INT64) for each in numbers)
    if min(unit, blocks, free, usable, inodes, free_inodes) < 0:
        raise ValueError(f"a file system of {value}")
    size = (blocks - min(free, blocks) + usable) * unit
    return path, ObservedSpace(size, usable * unit, inodes, min(free_inodes, inodes))


def _other_engines(values: list[str]) -> dict[str, OtherEngine]:
    """Engines by shell word, from `WORD NAME VALUE` lines."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for value in values:
        word, _, rest = value.partition(" ")
        name, _, text = rest.partition(" ")
        found[word][name] = text
    return {
        word: OtherEngine(
            _engine_state(facts.pop("state", "missing")),
            facts.pop("version", ""),
            facts.pop("detail", ""),
            facts,
        )
        for word, facts in found.items()
    }


def _texts(host: str, whole: dict[str, str], kind: str) -> dict[str, str]:
    found = {}
    for name, value in whole.items():
        path = name.removeprefix(kind)
        text = _decode(host, path, value) if path != name else None
        if text is not None:
            found[path] = text
    return found


def _listening(values: list[str]) -> dict[int, frozenset[str]]:
    """`PORT ADDRESS` lines; addresses as in /proc/net/tcp, words in the host's byte order."""
    found: dict[int, set[str]] = defaultdict(set)
    for value in values:
        port, _, digits = value.partition(" ")
        words = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
        address = ipaddress.ip_address(b"".join(words))
        mapped = getattr(address, "ipv4_mapped", None)
        found[int(port)].add(str(mapped or address))
    return {port: frozenset(addresses) for port, addresses in found.items()}


def _directory_entries(value: str) -> tuple[str, tuple[str, ...]]:
    lines = base64.b64decode(value, validate=True).decode(errors="replace").splitlines()
    return lines[0], tuple(lines[1:])


def _users(whole: dict[str, str]) -> dict[str, dict[str, str]]:
    return {
        name.removeprefix("users:"): htpasswd.marks_of_users(
            base64.b64decode(value, validate=True).decode(errors="replace")
        )
        for name, value in whole.items()
        if name.startswith("users:")
    }


def _roles(whole: dict[str, str]) -> dict[str, roles.Roles]:
    """The roles on record, by path; what is no record is left out."""
    found = {
        name.removeprefix("roles:"): roles.parse(
            base64.b64decode(value, validate=True).decode(errors="replace")
        )
        for name, value in whole.items()
        if name.startswith("roles:")
    }
    return {path: each for path, each in found.items() if each}


def _failed_shell(host: str, text: str) -> HostError:
    if "sudo" in text and any(word in text for word in ("password", "authentic", "askpass")):
        return HostError(
            host,
            f"sudo asks for a password ({text})",
            "run it with --ask-sudo-password, give the user NOPASSWD in sudoers for `sh`, or log "
            "in as root with `sudo = false`",
        )
    if "doas" in text and "no doas" not in text:
        return HostError(
            host,
            f"doas does not let us in without a password ({text})",
            "run it with --ask-sudo-password, write `permit nopass USER as root` into doas.conf "
            "there, or log in as root with `sudo = false`",
        )
    if "sudo" in text:
        return HostError(
            host,
            f"sudo does not work ({text})",
            "install and configure sudo or doas on the host, or log in as root with `sudo = false`",
        )
    return HostError(
        host, f"looking at the host failed: {text}", "log in by hand and check that `sh` works"
    )


def _decode(host: str, what: str, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise HostError(
            host, f"{what} is not UTF-8 text: {error}", "the file on the host is broken; repair it"
        ) from error


def _paths(stats: list[str], sums: list[str]) -> dict[str, ObservedPath]:
    digests = {path: digest for digest, path in (line.split("  ", 1) for line in sums)}
    found = {}
    for line in stats:
        mode, uid, gid, path = line.split(" ", 3)
        bits = int(mode, 16)
        found[path] = ObservedPath(
            path,
            directory=stat.S_ISDIR(bits),
            mode=stat.S_IMODE(bits),
            owner=(_number(uid, MOST_ID), _number(gid, MOST_ID)),
            digest=digests.get(path, ""),
        )
    return found


def _engine(fields: dict[str, list[str]]) -> ObservedEngine:
    state = _engine_state((fields["engine"] or ["missing"])[0])
    flags = tuple(fields["flag"])
    config = (fields["daemon"] or [record.DAEMON_JSON])[0]
    unit = (fields["unit"] or [""])[0]
    address = (fields["address"] or [ADDRESS])[0]
    boot = cast("Boot", _one_of((fields["starts"] or ["unknown"])[0], get_args(Boot)))
    start = _properties(fields["start"])
    place = (fields["etc"] or [DOCKER_PLACE])[0]
    programs = (fields["programs"] or [""])[0]
    engine = ObservedEngine(
        state,
        flags=flags,
        place=place,
        programs=programs,
        config=config,
        unit=unit,
        address=address,
        boot=boot,
        start=start,
    )
    if state == "up":
        return docker_info.with_info(engine, json.loads(fields["info"][0]))
    return replace(
        engine,
        version=(fields["version"] or [""])[0].removeprefix("Docker version ").partition(",")[0],
        detail=(fields["silent"] or fields["client"] or [""])[0],
        instead=(fields["instead"] or [""])[0],
    )


def _properties(lines: list[str]) -> dict[str, tuple[str, ...]]:
    """`NAME=VALUE` of `systemctl show`; some names come several times, empty values are none."""
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        name, _, value = line.partition("=")
        if value:
            found[name] = (*found.get(name, ()), value)
    return found


def _expand_api_answers(fields: dict[str, list[str]]) -> None:
    """Turn answers of the engine's API (`STATUS PATH ANSWER`) into the lines of its client."""
    for value in fields["api"]:
        status, path, answer = value.split(" ", 2)
        if status != FOUND:
            continue
        if path.startswith(API_CONTAINERS):
            fields["listed"].append(answer)
        elif path.startswith(API_IMAGES):
            name = path.removeprefix(API_IMAGES).removesuffix(API_IMAGE)
            fields["image"].append(f"{name} {json.loads(answer)['Id']}")
        else:
            fields["info"].append(answer)


def _services(fields: dict[str, list[str]]) -> Iterator[ObservedService]:
    """All services; containers as the engine's client prints them or as its API lists them."""
    yield from map(_service, fields["service"])
    yield from map(_container_from_client, fields["container"])
    for listed in fields["listed"]:
        for item in json.loads(listed):
            # Names with two slashes are links between containers: /web/alias.
            names = [name[1:] for name in item["Names"] if name.count("/") == 1]
            yield from (_container_from_api(name, item) for name in names)


def _container_from_api(name: str, item: dict[str, Any]) -> ObservedService:
    """An item of the API's ContainerList (moby, api/swagger.yaml, ContainerSummary).

    A container that is paused or about to be restarted counts as running, as with `docker
    inspect` (moby, container/state.go).
    """
    labels = item.get("Labels") or {}
    return ObservedService(
        name,
        _kind(labels.get(COMPOSE_LABEL, "")),
        item["State"] in ("running", "paused", "restarting"),
        labels.get("regfleet.specification", ""),
        labels.get("regfleet.fleet", ""),
        item["ImageID"],
        frozenset(
            port["PublicPort"]
            for port in item.get("Ports") or ()
            if isinstance(port.get("PublicPort"), int) and port.get("Type") == "tcp"
        ),
    )


def _kind(project: str) -> ServiceKind:
    """What made a container: Compose names its project in a label."""
    return "compose" if project else "container"


def _service(value: str) -> ObservedService:
    """`KIND NAME RUNNING SPECIFICATION FLEET`, `-` for an empty field."""
    kind, name, running, specification, fleet = value.split(" ", 4)
    return ObservedService(
        name,
        cast("ServiceKind", _one_of(kind, get_args(ServiceKind))),
        running == "true",
        _empty_for_dash(specification),
        _empty_for_dash(fleet),
    )


def _empty_for_dash(word: str) -> str:
    return "" if word == "-" else word


def _container_from_client(value: str) -> ObservedService:
    """`/NAME RUNNING IMAGE ports:PORT, PROJECT SPECIFICATION FLEET`, `-` for an empty field."""
    name, running, image, ports, project, specification, fleet = value.split(" ", 6)
    numbers = filter(None, ports.removeprefix("ports:").split(","))
    return ObservedService(
        name.removeprefix("/"),
        _kind(_empty_for_dash(project)),
        running == "true",
        _empty_for_dash(specification),
        _empty_for_dash(fleet),
        image,
        frozenset(_number(port, _MOST_PORT) for port in numbers),
    )


def _engine_state(text: str) -> EngineState:
    return cast("EngineState", _one_of(text, get_args(EngineState)))


def _one_of(text: str, words: tuple[str, ...]) -> str:
    """The text itself. Raises ValueError if it is not one of the words."""
    if text not in words:
        raise ValueError(f"{cut(text, 40)!r} is not one of {', '.join(words)}")
    return text


def _number(text: str, most: int) -> int:
    """A whole number. Raises ValueError if the text is not one, or out of range."""
    number = int(text)
    if not 0 <= number < most:
        raise ValueError(f"{cut(text, 40)} is out of range")
    return number


def storage_data(value: str) -> tuple[str, ObservedData]:
    """A storage's path and content, from a line of `look_data` (data.sh)."""
    holds, repositories, size, all_counted, path = value.split(" ", 4)
    found = ObservedData(
        cast("Holds", _one_of(holds, get_args(Holds))),
        _number(repositories, _MOST_BYTES),
        _number(size, _MOST_BYTES),
        all_counted == "yes",
    )
    return path, found


def _split_once(value: str) -> tuple[str, str]:
    first, _, second = value.partition(" ")
    return first, second


def _login(value: str) -> tuple[tuple[str, str], str]:
    account, endpoint, digest = value.split(" ", 2)
    return (account, endpoint), digest
