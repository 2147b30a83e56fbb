"""containerd's config.toml: what is in force of it, and where `config_path` belongs. Pure.

Sources: those of `containerd`, and services/server/config/config.go (`imports`: up to 1.7 the last
file that has a plugin's table replaces that of all files before it; from 2.0 on they are merged).
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import tomli

from regfleet.documents import toml
from regfleet.documents.interface import NotReadableError, path
from regfleet.engines.docker_facts import version_of
from regfleet.errors import HostError
from regfleet.fleet.values import Json
from regfleet.model.desired import DesiredHost, WantedSettings
from regfleet.model.observed import ObservedHost, OtherEngine
from regfleet.record import Owned

CERTS = "/etc/containerd/certs.d"
# Where the CRI plugin keeps its registries, by the version that config.toml says it is of.
_PLUGINS = {
    1: ("plugins", "cri"),
    2: ("plugins", "io.containerd.grpc.v1.cri"),
    3: ("plugins", "io.containerd.cri.v1.images"),
}
_CRI_NAMES = frozenset({"cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"})

# What `config_path` is where nothing sets it, from 2.2 on (plugins/cri/images/plugin.go).
_MERGES_IMPORTS = (2,)
_DEFAULT_SINCE = (2, 2)
_DEFAULT = f"{CERTS}:/etc/docker/certs.d"


@dataclass(frozen=True, slots=True)
class Registries:
    """What the CRI plugin's `registry` section comes to, with all that config.toml imports.

    Attributes:
        enabled: whether there is a CRI plugin at all; Docker's own package turns it off.
        config_path: its directories of hosts.toml files, separated by colons.
        hosts: the first of them, or the usual one.
        conflicts: tables that must not stand beside `config_path`.
    """

    enabled: bool
    config_path: str
    hosts: str
    conflicts: tuple[str, ...]

    @classmethod
    def of(cls, want: DesiredHost, found: OtherEngine, config: str) -> Registries:
        """From what the look found.

        Raises:
            HostError: containerd itself cannot read its file.
        """
        if "refused" in found.facts and want.edits:
            raise HostError(
                want.name,
                f"containerd cannot read {config}: {found.facts['refused']}",
                "mend the file by hand (it was left as it is), then run this again",
            )
        dump = _dump(found)
        plugins = _table(dump, "plugins")
        registry: Mapping[str, object] = {}
        for name in _CRI_NAMES:
            registry = _table(_table(plugins, name), "registry") or registry
        mirrors = list(_table(registry, "mirrors"))
        configs = _table(registry, "configs")
        conflicts = [f"registry.mirrors ({', '.join(mirrors)})"] if mirrors else []
        tls = [name for name in configs if _table(_table(configs, name), "tls")]
        conflicts += [f"registry.configs.*.tls ({', '.join(tls)})"] if tls else []
        given = registry.get("config_path")
        config_path = given if isinstance(given, str) else ""
        if not config_path and not mirrors and version_of(found.version) >= _DEFAULT_SINCE:
            config_path = _DEFAULT
        disabled = dump.get("disabled_plugins")
        off = isinstance(disabled, list) and not _CRI_NAMES.isdisjoint(map(str, disabled))
        return cls(not off, config_path, config_path.partition(":")[0] or CERTS, tuple(conflicts))


def imports(found: OtherEngine) -> tuple[str, ...]:
    """The files that config.toml imports, in the order in which containerd reads them."""
    return tuple(filter(None, found.facts.get("imports", "").split(":")))


def winner(want: DesiredHost, seen: ObservedHost, config: str) -> str:
    """The file whose table of the CRI plugin is in force."""
    found = seen.others.get("containerd", OtherEngine("missing"))
    listed = imports(found)
    if not want.edits or not listed or version_of(found.version) >= _MERGES_IMPORTS:
        return config
    plugin = _plugin(want, seen, config)[0]
    return next((file for file in reversed(listed) if _has_table(seen, file, plugin)), config)


def _has_table(seen: ObservedHost, file: str, way: tuple[str, ...]) -> bool:
    try:
        tree: object = tomli.loads(seen.texts.get(file) or "")
    except tomli.TOMLDecodeError:  # then containerd refuses it, too
        return False
    for name in way:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return isinstance(tree, dict)


def settings(
    want: DesiredHost,
    seen: ObservedHost,
    registries: Registries,
    fleets: Collection[Owned],
    *,
    file: str,
    config: str,
) -> WantedSettings:
    """`config_path`, where CRI has none of its own.

    Args:
        file: the file whose table is in force.
        config: containerd's own file, which may import that one.
    """
    if not want.edits or not registries.enabled:
        return WantedSettings()
    text = seen.texts.get(file)
    plugin, version = _plugin(want, seen, config)
    key = path(*plugin, "registry", "config_path")
    ours = any(key in fleet.edits[file].values for fleet in fleets if file in fleet.edits)
    if registries.config_path and not (ours and registries.hosts == CERTS):
        return WantedSettings()  # somebody else's choice: respected
    if registries.conflicts:
        raise HostError(
            want.name,
            f"{config} has {' and '.join(registries.conflicts)}, beside which containerd takes no "
            "config_path: its CRI plugin would not start",
            "say in hosts.toml files (containerd docs/hosts.md), or in the fleet file, what those "
            "tables say, and take them out; or set config_path there by hand",
        )
    if not registries.config_path and key in toml.parse(text):
        listed = ", ".join(imports(seen.others["containerd"])) or "none"
        raise HostError(
            want.name,
            f"{file} sets config_path, and containerd does not use it (`containerd config dump`)",
            f"another file has the CRI plugin's table; {config} imports: {listed}",
        )
    values: dict[str, Json] = {key: CERTS}
    made = any(
        path("version") in fleet.edits[file].values for fleet in fleets if file in fleet.edits
    )
    if (
        file == config
        and version
        and (made or text is None or path("version") not in toml.parse(text))
    ):
        values = {path("version"): version, **values}
    reason = next(iter(next(iter(want.edits.values())).reasons.values()))
    return WantedSettings({}, values, dict.fromkeys(values, reason))


def _plugin(want: DesiredHost, seen: ObservedHost, config: str) -> tuple[tuple[str, ...], int]:
    """The CRI plugin's table, and the version to be written where the file is to get one."""
    found = seen.others["containerd"]
    newest = 3 if version_of(found.version) >= (2,) else 2
    try:
        document = toml.parse(seen.texts.get(config))
    except NotReadableError as error:
        raise HostError(
            want.name,
            f"{config} is not what containerd can read: {error}",
            "mend the file by hand (it was left as it is), then run this again",
        ) from error
    version = document.get(path("version"))
    if isinstance(version, int):
        plugin, write = _PLUGINS[max(1, min(version, 3))], version
    elif len(document):
        plugin, write = _PLUGINS[1], 0  # without a version it is of the first
    else:
        plugin, write = _PLUGINS[newest], newest
    return plugin, write


def _dump(found: OtherEngine) -> Mapping[str, object]:
    """What `containerd config dump` says of registries; it is TOML."""
    text = base64.b64decode(found.facts.get("dump", "")).decode(errors="replace")
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError:
        return {}


def _table(tree: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = tree.get(name)
    return found if isinstance(found, dict) else {}
