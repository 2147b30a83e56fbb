"""What `foreign.sh` says of a registry that regfleet did not make. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import cast

from regfleet.documents import yaml
from regfleet.documents.interface import NotReadableError
from regfleet.fleet.values import Json
from regfleet.model.foreign import Foreign, Mount

# Keys of `storage` that are no driver (distribution, docs/configuration.md, "storage").
_NO_DRIVER = frozenset({"cache", "delete", "redirect", "maintenance", "tag", "testdriver"})
_ANYWHERE = "/var/lib/registry"  # the filesystem driver's default (storage/driver/filesystem)
# Docker names a volume that the image asks for by 32 random bytes (moby, pkg/stringid).
_ANONYMOUS = re.compile("[0-9a-f]{64}")
_BY_HAND = "stop it by hand, declare its images' directory as `storage`, then apply"


def parse(lines: Sequence[str]) -> Foreign | None:
    """The registry that the lines tell of; None where they tell of none.

    Raises:
        ValueError: a line is not what `foreign.sh` prints.
    """
    said: dict[str, list[str]] = {}
    for line in lines:
        word, _, rest = line.removeprefix("@").partition(" ")
        said.setdefault(word, []).append(rest)
    if "registry" not in said or not ("inspected" in said or "managed" in said):
        return None
    settings = _Settings(said)
    if "inspected" in said:
        return replace(_container(said, settings), users=tuple(said.get("user", ())))
    unit, _, restart = said["managed"][0].partition(" ")
    obstacle = advice = ""
    if unit == "-":
        obstacle, advice = "no service manager runs it", _BY_HAND
    made = Foreign(
        "unit",
        key=unit,
        name=unit,
        restart=restart,
        source=settings.root,
        port=settings.port,
        users=tuple(said.get("user", ())),
        obstacle=obstacle,
        advice=advice,
    )
    return _configured(made, settings)


class _Settings:
    """A registry's configuration in effect: its file, and the environment over it."""

    def __init__(self, said: Mapping[str, Sequence[str]]) -> None:
        self.variables = dict(
            cast("tuple[str, str]", line.split("=", 1))
            for line in reversed(said.get("variable", ()))
            if "=" in line
        )
        self.path = (said.get("argument") or [""])[0]
        self.tree: dict[str, Json] | None = None
        if text := (said.get("config") or [""])[0]:
            try:
                found = yaml.parse(base64.b64decode(text, validate=True).decode())
                self.tree = found.tree()
            except (NotReadableError, UnicodeDecodeError):
                self.tree = None

    def of(self, *names: str) -> Json:
        """A value of the file; None where there is none."""
        found: Json = self.tree
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def text(self, variable: str, *names: str) -> str:
        """A text: the variable's, or the file's."""
        found = self.variables.get(variable) or self.of(*names)
        return found if isinstance(found, str) else ""

    @property
    def driver(self) -> str:
        """The storage driver; empty when the configuration cannot be read."""
        if given := self.variables.get("REGISTRY_STORAGE"):
            return given
        prefix = "REGISTRY_STORAGE_"
        for name in self.variables:
            word = name.removeprefix(prefix).partition("_")[0].lower()
            if name.startswith(prefix) and word not in (*_NO_DRIVER, "filesystem"):
                return word
        if "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY" in self.variables:
            return "filesystem"
        storage = self.of("storage")
        if not isinstance(storage, dict):
            return ""
        return next((name for name in storage if name not in _NO_DRIVER), "")

    @property
    def root(self) -> str:
        """The directory of its images; empty when another driver keeps them, or nobody knows."""
        if self.driver != "filesystem":
            return ""
        variable = "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"
        return self.text(variable, "storage", "filesystem", "rootdirectory") or _ANYWHERE

    @property
    def certificate(self) -> str:
        """Its certificate's file."""
        return self.text("REGISTRY_HTTP_TLS_CERTIFICATE", "http", "tls", "certificate")

    @property
    def htpasswd(self) -> str:
        """Its file of users."""
        return self.text("REGISTRY_AUTH_HTPASSWD_PATH", "auth", "htpasswd", "path")

    @property
    def upstream(self) -> str:
        """The URL that it caches."""
        return self.text("REGISTRY_PROXY_REMOTEURL", "proxy", "remoteurl")

    @property
    def port(self) -> int:
        """The port that it listens on, as far as it sees; 0 when that is unknown."""
        number = self.text("REGISTRY_HTTP_ADDR", "http", "addr").rpartition(":")[2]
        return int(number) if number.isascii() and number.isdigit() else 0

    @property
    def deletes(self) -> bool:
        """Whether images may be deleted."""
        given = self.variables.get("REGISTRY_STORAGE_DELETE_ENABLED")
        return given == "true" if given else self.of("storage", "delete", "enabled") is True


def _container(said: Mapping[str, Sequence[str]], settings: _Settings) -> Foreign:
    found = json.loads(said["inspected"][0])
    mounts = tuple(
        Mount(
            str(each.get("Destination", "")), str(each.get("Source", "")), str(each.get("Name", ""))
        )
        for each in found["mounts"] or ()
    )
    mount = mounted(settings.root, mounts) if settings.root else None
    needed = [
        place for place in (settings.root, settings.path, settings.certificate, settings.htpasswd)
        if place
    ]  # fmt: skip
    used = {mounted(place, mounts) for place in needed}
    name = str(found["name"]).lstrip("/")
    obstacle, advice = _obstacle(found, name, said.get("starter", ()))
    if "conmon" in said:
        where = on_host(settings.root, mount) if mount else ""
        obstacle, advice = _stopped_by_hand(name, said["conmon"][0], where)
    policy = found.get("restart") or {}
    restart = str(policy.get("Name") or "no")
    if restart == "on-failure" and policy.get("MaximumRetryCount"):
        restart += f":{policy['MaximumRetryCount']}"
    made = Foreign(
        "container",
        key=str(found["id"]),
        name=name,
        restart=restart,
        image=str(found["image"]),
        port=_published(found, settings.port),
        project=str(found.get("project") or ""),
        source=on_host(settings.root, mount) if mount else "",
        volume=mount.volume if mount else "",
        unused=tuple(
            each for each in mounts if each not in used and not _ANONYMOUS.fullmatch(each.volume)
        ),
        obstacle=obstacle,
        advice=advice,
    )
    return _configured(made, settings)


def _configured(made: Foreign, settings: _Settings) -> Foreign:
    """With what its configuration says, and the obstacle that lies there."""
    obstacle, advice = made.obstacle, made.advice
    if not obstacle and settings.driver != "filesystem":
        if settings.driver:
            obstacle = f"it keeps its images by the driver {settings.driver}, not in a directory"
            advice = "regfleet runs registries with a directory alone: keep this one, as external"
        else:
            obstacle = "its configuration cannot be read, so nobody knows where its images are"
            advice = _BY_HAND
    return replace(
        made,
        driver=settings.driver,
        root=settings.root,
        obstacle=obstacle,
        advice=advice,
        certificate=settings.certificate,
        htpasswd=settings.htpasswd,
        upstream=settings.upstream,
        deletes=settings.deletes,
    )


def _obstacle(found: Mapping[str, object], name: str, starters: Sequence[str]) -> tuple[str, str]:
    """Why a container cannot stand aside, and what to do."""
    if found.get("swarm"):
        return f"it belongs to the Swarm service {found['swarm']}", (
            f"`docker service rm {found['swarm']}`, then apply; its storage stays"
        )
    if found.get("pod"):
        return f"it belongs to the Kubernetes pod {found['pod']}", "take it out there, then apply"
    if starters:
        starter = starters[0]
        unit = f"the unit {starter}" if starter else "a running `docker run`"
        how = f"`systemctl disable --now {starter}`" if starter else "end that"
        return f"{unit} starts it again when it stops", f"{how}, then apply; its storage stays"
    if found.get("remove"):
        return f"it was run with --rm, so it is gone when it stops ({name})", _BY_HAND
    return "", ""


def _stopped_by_hand(name: str, unit: str, source: str) -> tuple[str, str]:
    """As `_obstacle`, for a container of Podman's.

    Podman before 5.1 cannot change a container's restart policy, so podman-restart.service would
    start one that stands aside (podman-update(1), `--restart`).
    """
    stop = f"`systemctl disable --now {unit}`" if unit else f"`podman stop {name}`"
    if source:
        return "Podman runs it", f'{stop}, declare `storage = "{source}"`, then apply'
    return "Podman runs it, and its images are inside the container", (
        f"copy them out (`podman cp {name}:/var/lib/registry DIRECTORY`), {stop}, declare that "
        "directory as `storage`, then apply"
    )


def _published(found: Mapping[str, object], inside: int) -> int:
    """The host's port of a container's: as Docker lists them, or its own on the host's network."""
    if found.get("network") == "host":
        return inside
    ports = found.get("ports")
    bound = ports.get(f"{inside}/tcp") if isinstance(ports, dict) else None
    return int(bound[0]["HostPort"]) if bound else 0


def mounted(path: str, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that a path in a container is on; None where it is on none."""
    holding = [each for each in mounts if PurePosixPath(path).is_relative_to(each.inside)]
    return max(holding, key=lambda each: len(each.inside), default=None)


def on_host(path: str, mount: Mount) -> str:
    """The host's path of one in a container."""
    return str(PurePosixPath(mount.source) / PurePosixPath(path).relative_to(mount.inside))
