"""The HTTP proxy of an engine that systemd runs: a drop-in, and a file of variables. Pure.

The variables stand in a file of their own, which root alone reads: systemd tells everybody what
`Environment=` says (systemd.exec(5), "Environment": "exposed to unprivileged clients via D-Bus").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from regfleet.engines.interface import EnginePlan, EngineProxy
from regfleet.errors import HostError
from regfleet.http_proxy import variables, without_login
from regfleet.model.desired import DesiredHost
from regfleet.model.files import Directory, File
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import ActivateUnit, Change
from regfleet.model.resource import Resource
from regfleet.record import Owned

UNITS = "/etc/systemd/system"
OWN_UNITS = ".config/systemd/user"  # in a home, of an account's own systemd (systemd.unit(5))
_PLACES = rf"(?:{UNITS}|~[^/]+/{re.escape(OWN_UNITS)})"
_OURS = re.compile(rf"{_PLACES}/[^/]+\.service\.d/regfleet-[^/]+-proxy\.(conf|env)")
_PLACE = re.compile(rf"{_PLACES}/.*|~[^/]+/\.config/systemd(/user)?")


def drop_ins(
    proxy: EngineProxy | None,
    fleet: str,
    units: Iterable[str],
    prefix: str = "",
    account: str = "",
) -> tuple[tuple[Directory, ...], tuple[File, ...]]:
    """The drop-ins of some units, and their directories; nothing without a proxy.

    Args:
        fleet: the fleet's name; each fleet has files of its own.
        units: without `.service`.
        prefix: as for `variables`.
        account: whose systemd runs them; empty for the host's.
    """
    if proxy is None:
        return (), ()
    lines = [f'{name}="{value}"\n' for name, value in variables(proxy, prefix).items()]
    text = "".join(lines)
    place, mode = f"~{account}/{OWN_UNITS}" if account else UNITS, 0o700 if account else 0o755
    parents = (f"~{account}/.config/systemd", place) if account else ()
    directories = [Directory(each, mode, proxy.reason) for each in parents]
    files = []
    for unit in units:
        directory = f"{place}/{unit}.service.d"
        stem = f"{directory}/regfleet-{fleet}-proxy"
        # Of its home an account's own systemd knows by %h (systemd.unit(5), "Specifiers").
        named = f"%h{stem.removeprefix(f'~{account}')}" if account else stem
        conf = (
            f"# Written by regfleet for the fleet {fleet}: changes here are overwritten.\n"
            f"[Service]\nEnvironmentFile=-{named}.env\n"
        )
        directories.append(Directory(directory, mode, proxy.reason))
        files += [
            File(f"{stem}.conf", conf.encode(), 0o644, proxy.reason),
            File(
                f"{stem}.env",
                text.encode(),
                0o600,
                proxy.reason,
                secret=proxy.secret,
                shown=without_login(text) if proxy.secret else "",
            ),
        ]
    return tuple(directories), tuple(files)


def is_drop_in(path: str) -> bool:
    """Whether a path is a drop-in's, its file's of variables, or a directory's on the way."""
    return bool(_PLACE.fullmatch(path))


def changes(files: Iterable[File], seen: ObservedHost, owned: Owned) -> bool:
    """Whether a drop-in comes, goes or changes.

    Args:
        files: all files that are wanted.
    """
    wanted = {file.path: file.digest for file in files if _OURS.fullmatch(file.path)}
    gone = any(_OURS.fullmatch(path) and path not in wanted for path in owned.files)
    found: Mapping[str, str] = {
        path: seen.paths[path].digest for path in wanted if path in seen.paths
    }
    return gone or any(found.get(path) != digest for path, digest in wanted.items())


def taken_up(
    plan: EnginePlan,
    want: DesiredHost,
    seen: ObservedHost,
    owned: Owned,
    *,
    engine: str,
    unit: str,
    runs: bool,
) -> EnginePlan:
    """An engine's plan with the restart that a changed proxy needs.

    Args:
        engine: its shell word.
        unit: what is restarted.
        runs: whether it runs; one that does not reads its proxy when it starts.

    Raises:
        HostError: systemd does not run the host's services.
    """
    wanted = [file for file in want.files if _OURS.fullmatch(file.path)]
    if wanted and seen.init != "systemd":
        raise HostError(
            want.name,
            f"{unit} gets its proxy from a drop-in of systemd's, and systemd does not run there",
            "set HTTP_PROXY, HTTPS_PROXY and NO_PROXY where the service script reads variables, "
            f"and take {wanted[0].reason} out of the fleet file",
        )
    if not runs or not changes(want.files, seen, owned):
        return plan
    others = tuple(
        step
        for step in plan.configure
        if not (isinstance(step, ActivateUnit) and step.unit == unit)
    )
    restart = ActivateUnit(engine, unit, "restart", stops=False)
    reason = wanted[0].reason if wanted else want.why_gone
    change = Change(Resource("service", unit), "run", f"{reason}: read at the start", "restart")
    return replace(plan, changes=(*plan.changes, change), configure=(*others, restart))
