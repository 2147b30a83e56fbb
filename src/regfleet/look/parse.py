"""From the look's lines to an `ObservedHost`. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Literal, cast

from regfleet import record
from regfleet.errors import HostError
from regfleet.look.observed import (
    EngineState,
    ObservedContainer,
    ObservedEngine,
    ObservedHost,
    ObservedPath,
    OtherEngine,
)

# daemon.json keys whose live value `docker info` shows, and its name there.
SHOWN = {
    "live-restore": "LiveRestoreEnabled",
    "debug": "Debug",
    "log-driver": "LoggingDriver",
    "storage-driver": "Driver",
    "data-root": "DockerRootDir",
    "default-runtime": "DefaultRuntime",
}

SNAPSHOTTER = ["driver-type", "io.containerd.snapshotter.v1"]


# Paths of the engine's API, in front of and behind what is asked for, and the status of an answer.
API_CONTAINERS = "/containers/json"
API_IMAGES, API_IMAGE = "/images/", "/json"
FOUND = "200"


def parse(host: str, lines: Iterable[str]) -> ObservedHost:
    """An `ObservedHost` from the look's output.

    Raises:
        HostError: the lines are not a look's (the shell failed, sudo refused) or not all of
            it, or the host's daemon.json or record cannot be decoded.
    """
    fields: dict[str, list[str]] = defaultdict(list)
    stray: list[str] = []
    for line in lines:
        if line.startswith("@"):
            key, _, rest = line[1:].partition(" ")
            fields[key].append(rest)
        elif line.strip():
            stray.append(line.strip())
    if "uid" not in fields:
        raise _no_look(host, stray)
    if "end" not in fields:  # what it did not come to would be taken for missing
        raise HostError(
            host,
            f"the look at the host ended early ({'; '.join(stray[-3:]) or 'no error text'})",
            "run it again; if it stays so, see what the host's log says of the connection",
        )
    try:
        return _observed(host, fields)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise HostError(
            host,
            f"what the look found cannot be understood: {type(error).__name__}: {error}",
            "this is a defect of regfleet, or something writes into the host's output",
        ) from error


def _observed(host: str, fields: dict[str, list[str]]) -> ObservedHost:
    _told_by_api(fields)
    whole = dict(_pair(value) for value in fields["whole"])
    written = _decode(host, "the ownership record", whole.get("owned"))
    try:
        owned = record.parse(written)
    except record.RecordError as error:
        raise HostError(
            host,
            f"{record.PATH} cannot be read: {error}",
            "it was written by another version of regfleet, or edited; restore it, "
            "or move it away to start without ownership of what is there",
        ) from error
    os_id, _, os_version = (fields["os"] or ["unknown"])[0].partition(" ")
    return ObservedHost(
        uid=int(fields["uid"][0]),
        clock=int((fields["clock"] or ["0"])[0]),
        os=os_id,
        os_version=os_version,
        init=cast("Literal['systemd', 'scripts']", (fields["init"] or ["scripts"])[0]),
        packages=(fields["packages"] or [""])[0],
        paths=_paths(fields["stat"], fields["sum"]),
        daemon_json=_decode(host, "daemon.json", whole.get("daemon")),
        original_daemon_json=_decode(host, "the original daemon.json", whole.get("original")),
        pending="pending" in fields,
        busy=(fields["busy"] or [""])[0].strip(),
        record=written,
        owned=owned,
        engine=_engine(fields),
        containers={container.name: container for container in _containers(fields)},
        images=dict(_pair(value) for value in fields["image"]),
        logins=dict(_login(value) for value in fields["login"]),
        others=_others(fields["of"]),
        texts=_texts(host, whole, "text:"),
        originals=_texts(host, whole, "original:"),
    )


def _others(values: list[str]) -> dict[str, OtherEngine]:
    """`WORD NAME VALUE` lines as engines by word."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for value in values:
        word, _, rest = value.partition(" ")
        name, _, text = rest.partition(" ")
        found[word][name] = text
    return {
        word: OtherEngine(
            cast("EngineState", facts.pop("state", "missing")),
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


def _no_look(host: str, stray: list[str]) -> HostError:
    text = "; ".join(stray[-3:]) or "no output"
    if "sudo" in text and any(word in text for word in ("password", "authentic", "askpass")):
        return HostError(
            host,
            f"sudo asks for a password ({text})",
            "give the user NOPASSWD in sudoers for `sh`, or log in as root with `sudo = false`",
        )
    if "sudo" in text:
        return HostError(
            host,
            f"sudo does not work ({text})",
            "install and configure sudo there, or log in as root with `sudo = false`",
        )
    return HostError(
        host, f"looking at the host failed: {text}", "log in by hand and see whether `sh` works"
    )


def _decode(host: str, what: str, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise HostError(
            host, f"{what} is not UTF-8 text: {error}", "look at the file on the host; it is broken"
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
            owner=(int(uid), int(gid)),
            digest=digests.get(path, ""),
        )
    return found


def _engine(fields: dict[str, list[str]]) -> ObservedEngine:
    state = cast("EngineState", (fields["engine"] or ["missing"])[0])
    flags = tuple(fields["flag"])
    config = (fields["daemon"] or ["/etc/docker/daemon.json"])[0]
    unit = (fields["unit"] or [""])[0]
    if state != "up":
        version = (fields["version"] or [""])[0].removeprefix("Docker version ").partition(",")[0]
        detail = (fields["silent"] or fields["client"] or [""])[0]
        return ObservedEngine(state, version, detail, flags, config, unit)
    info = json.loads(fields["info"][0])
    unanswered = info.get("ServerErrors")  # docker info before 23.0 fails so, with exit code 0
    if unanswered:
        return ObservedEngine("silent", "", str(unanswered[0]), flags, config, unit)
    registry = info.get("RegistryConfig") or {}
    insecure = {
        name
        for name, index in (registry.get("IndexConfigs") or {}).items()
        if not index.get("Secure", True)
    }
    return ObservedEngine(
        state,
        version=str(info.get("ServerVersion", "")),
        flags=flags,
        config=config,
        unit=unit,
        insecure=frozenset(insecure | set(registry.get("InsecureRegistryCIDRs") or ())),
        mirrors=tuple(registry.get("Mirrors") or ()),
        values={key: info[name] for key, name in SHOWN.items() if name in info},
        containerd_store=SNAPSHOTTER in (info.get("DriverStatus") or ()),
        running=int(info.get("ContainersRunning") or 0),
        live_restore=bool(info.get("LiveRestoreEnabled")),
    )


def _told_by_api(fields: dict[str, list[str]]) -> None:
    """Lines of the engine's API, `STATUS PATH ANSWER`, as the lines that its client would give."""
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


def _containers(fields: dict[str, list[str]]) -> Iterator[ObservedContainer]:
    """Containers as the engine's client tells of them, or as its API lists them."""
    yield from map(_container, fields["container"])
    for listed in fields["listed"]:
        for item in json.loads(listed):
            # Others are what containers call each other by: /web/alias.
            names = [name[1:] for name in item["Names"] if name.count("/") == 1]
            yield from (_listed(name, item) for name in names)


def _listed(name: str, item: dict[str, Any]) -> ObservedContainer:
    """An item of the API's ContainerList (moby, api/swagger.yaml, ContainerSummary).

    A container that is paused or about to be restarted counts as running, as with `docker
    inspect` (moby, container/state.go).
    """
    labels = item.get("Labels") or {}
    return ObservedContainer(
        name,
        item["State"] in ("running", "paused", "restarting"),
        item["ImageID"],
        labels.get("regfleet.specification", ""),
        labels.get("regfleet.fleet", ""),
    )


def _container(value: str) -> ObservedContainer:
    name, running, image, specification, fleet = value.split(" ", 4)
    return ObservedContainer(
        name.removeprefix("/"),
        running == "true",
        image,
        "" if specification == "-" else specification,
        "" if fleet == "-" else fleet,
    )


def _pair(value: str) -> tuple[str, str]:
    first, _, second = value.partition(" ")
    return first, second


def _login(value: str) -> tuple[tuple[str, str], str]:
    account, endpoint, digest = value.split(" ", 2)
    return (account, endpoint), digest
