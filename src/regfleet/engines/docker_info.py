"""What `docker info` says of a running dockerd, whoever's it is. Pure.

Names of moby, api/types/system/info.go; `GET /info` of its API says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from regfleet.errors import cut
from regfleet.model.observed import ObservedEngine

# daemon.json keys whose live value it shows, and its name there.
_SHOWN = {
    "live-restore": "LiveRestoreEnabled",
    "debug": "Debug",
    "log-driver": "LoggingDriver",
    "storage-driver": "Driver",
    "data-root": "DockerRootDir",
    "default-runtime": "DefaultRuntime",
}

# Its proxy, by the keys under `proxies` in daemon.json.
_SHOWN_PROXIES = {"http-proxy": "HttpProxy", "https-proxy": "HttpsProxy", "no-proxy": "NoProxy"}

_SNAPSHOTTER = ["driver-type", "io.containerd.snapshotter.v1"]


def with_info(engine: ObservedEngine, info: Mapping[str, Any]) -> ObservedEngine:
    """What was observed of an engine, with what it says of itself.

    One that did not answer is silent: `docker info` before 23.0 says so with exit code 0.
    """
    unanswered = info.get("ServerErrors")
    if unanswered:
        return replace(engine, state="silent", version="", detail=cut(str(unanswered[0])))
    registry = info.get("RegistryConfig") or {}
    insecure = {
        name
        for name, index in (registry.get("IndexConfigs") or {}).items()
        if not index.get("Secure", True)
    }
    return replace(
        engine,
        version=str(info.get("ServerVersion", "")),
        remapped="name=userns" in (info.get("SecurityOptions") or ()),
        labelled="name=selinux" in (info.get("SecurityOptions") or ()),
        insecure=frozenset(insecure | set(registry.get("InsecureRegistryCIDRs") or ())),
        mirrors=tuple(registry.get("Mirrors") or ()),
        values={key: info[name] for key, name in _SHOWN.items() if name in info},
        proxies={key: str(info[name]) for key, name in _SHOWN_PROXIES.items() if info.get(name)},
        containerd_store=_SNAPSHOTTER in (info.get("DriverStatus") or ()),
        running=int(info.get("ContainersRunning") or 0),
        live_restore=bool(info.get("LiveRestoreEnabled")),
    )
