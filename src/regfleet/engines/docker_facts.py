"""What is known of dockerd, as data: reloadable keys, defaults, flags, packages, quirks.

Sources: `dockerd` reference, "Configuration reload behavior"; moby `daemon/reload.go`,
`daemon/config/config.go`, `registry/config.go`; moby issues and release notes as cited.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from regfleet.engines import installation
from regfleet.fleet.values import Json

# dockerd(8), "Configuration reload behavior": what SIGHUP takes up. All else needs a restart.
RELOADABLE = frozenset(
    {
        "authorization-plugins",
        "debug",
        "default-runtime",
        "features",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    }
)

# A key removed from the file keeps its value across a reload (daemon/reload.go acts on
# IsValueSet): what has to be written to have it gone. Keys not here need a restart to go.
EXPLICIT_DEFAULTS: dict[str, Json] = {
    "debug": False,
    "insecure-registries": [],
    "labels": [],
    "live-restore": False,
    "max-concurrent-downloads": 3,
    "max-concurrent-uploads": 5,
    "max-download-attempts": 5,
    "registry-mirrors": [],
    "shutdown-timeout": 15,
}

# Flags whose daemon.json key has another name (daemon/config.go and cmd/dockerd/config.go);
# every other long flag is its key.
FLAG_KEYS = {
    "D": "debug",
    "G": "group",
    "H": "hosts",
    "add-runtime": "runtimes",
    "authorization-plugin": "authorization-plugins",
    "b": "bridge",
    "default-address-pool": "default-address-pools",
    "default-ulimit": "default-ulimits",
    "dns-opt": "dns-opts",
    "exec-opt": "exec-opts",
    "g": "data-root",
    "host": "hosts",
    "insecure-registry": "insecure-registries",
    "l": "log-level",
    "label": "labels",
    "log-opt": "log-opts",
    "node-generic-resource": "node-generic-resources",
    "p": "pidfile",
    "registry-mirror": "registry-mirrors",
    "s": "storage-driver",
    "storage-opt": "storage-opts",
}

# What the value of a flag is in daemon.json (`dockerd --help` names the types; moby
# daemon/config/config.go and config_linux.go have the fields). Keys that are not here hold what
# no flag says as it is, or cannot stand in the file.
FLAG_VALUES: dict[str, Literal["list", "map", "switch", "number", "text"]] = {
    **dict.fromkeys(
        (
            "authorization-plugins",
            "dns",
            "dns-opts",
            "dns-search",
            "exec-opts",
            "hosts",
            "insecure-registries",
            "labels",
            "node-generic-resources",
            "registry-mirrors",
            "storage-opts",
        ),
        "list",
    ),
    "log-opts": "map",
    **dict.fromkeys(
        (
            "debug",
            "experimental",
            "icc",
            "init",
            "ip-forward",
            "ip-masq",
            "ip6tables",
            "iptables",
            "ipv6",
            "live-restore",
            "no-new-privileges",
            "raw-logs",
            "selinux-enabled",
            "tls",
            "tlsverify",
            "userland-proxy",
        ),
        "switch",
    ),
    **dict.fromkeys(
        (
            "max-concurrent-downloads",
            "max-concurrent-uploads",
            "max-download-attempts",
            "mtu",
            "network-control-plane-mtu",
            "oom-score-adjust",
            "shutdown-timeout",
        ),
        "number",
    ),
    **dict.fromkeys(
        (
            "bip",
            "bridge",
            "cgroup-parent",
            "containerd",
            "containerd-namespace",
            "data-root",
            "default-cgroupns-mode",
            "default-gateway",
            "default-ipc-mode",
            "default-runtime",
            "default-shm-size",
            "exec-root",
            "fixed-cidr",
            "group",
            "host-gateway-ip",
            "init-path",
            "ip",
            "log-driver",
            "log-level",
            "metrics-addr",
            "pidfile",
            "seccomp-profile",
            "storage-driver",
            "tlscacert",
            "tlscert",
            "tlskey",
            "userland-proxy-path",
            "userns-remap",
        ),
        "text",
    ),
}

# The engine's package by package manager; one with `?` is taken where the suite has it
# (Debian 13 moved the client out of docker.io).
PACKAGES = {
    "apt-get": ("docker.io", "docker-cli?"),
    "apk": ("docker",),
    "dnf": ("moby-engine",),
    "pacman": ("docker",),
    "yum": ("docker",),
    "zypper": ("docker",),
}
# Amazon Linux has its own; Red Hat's family has had none since version 8.
PACKAGES_OF: dict[str, tuple[str, ...]] = {
    "amzn": ("docker",),
    **dict.fromkeys(installation.RED_HAT, ()),
}
VENDOR_PACKAGES = ("docker-ce", "docker-ce-cli", "containerd.io")


@dataclass(frozen=True, slots=True)
class Quirk:
    """A behaviour of the versions from `since` up to, not including, `before`."""

    since: tuple[int, ...]
    before: tuple[int, ...]
    what: str

    def holds(self, version: tuple[int, ...]) -> bool:
        """Whether a version has it. An unknown version (empty) has every quirk."""
        return not version or self.since <= version < self.before


# moby#44817: reloading mirrors rebuilt the index without the insecure registries.
RELOAD_DROPS_INSECURE = (
    Quirk((0,), (23, 0, 7), "a reload that sets mirrors may drop insecure registries"),
)
# Docker 23.0 release notes: `dockerd --validate` is new.
NO_PARSER = Quirk((0,), (23,), "dockerd cannot validate a file without starting")
# moby daemon/config/config.go, getConflictFreeConfiguration, decodes by the byte order mark with
# golang.org/x/text/encoding/unicode.BOMOverride since 23.0 (moby#44777, moby#44832).
NO_BOM = Quirk((0,), (23,), "dockerd reads no file that begins with a byte order mark")
# moby registry.ValidateMirror: a path was refused up to 24.0.7.
MIRROR_PATH_REFUSED = Quirk((0,), (24, 0, 8), "a mirror URL with a path is refused by dockerd")


def version_of(text: str) -> tuple[int, ...]:
    """`20.10.24+dfsg1` as `(20, 10, 24)`; empty where it begins with no number."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def flag_keys(flags: tuple[str, ...]) -> dict[str, str]:
    """The daemon.json keys that the daemon's command line sets, and the flag that does, by key."""
    keys = {}
    for flag in flags[1:]:
        if not flag.startswith("-"):
            continue
        keys[key_of(flag)] = flag
    return keys


def key_of(flag: str) -> str:
    """The daemon.json key of a flag, `--label=a` or `-H`."""
    name = flag.lstrip("-").partition("=")[0]
    return FLAG_KEYS.get(name, name)
