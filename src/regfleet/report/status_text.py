"""A survey for people: calm where all is well, with the next command where it is not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from regfleet.registry_api.contents import Contents
from regfleet.report import tables
from regfleet.report.model import Origin
from regfleet.report.status_model import (
    MOST_SKEW,
    Certificate,
    Drift,
    FleetStatus,
    HostStatus,
    RegistryStatus,
)

_STYLES = {
    "ok": "green",
    "healthy": "green",
    "drift": "yellow",
    "warning": "yellow",
    "unknown": "yellow",
    "failed": "red",
    "unreachable": "red",
    "unhealthy": "red",
}
_ORIGINS: dict[Origin, str] = {
    "host": "changed on the host",
    "fleet": "newly declared",
    "unclear": "changed on the host, or newly declared",
}
_MANY = 6
_FIRST = 3
_STATE_WIDTH = 13  # "unreachable", and two spaces before it


def render(status: FleetStatus, console: Console, *, file: str, verbose: bool = False) -> None:
    """Print a survey.

    Args:
        file: the fleet file as the user named it, for the next command.
        verbose: every host by itself, every change.
    """
    console.print(_title(status), soft_wrap=True)
    if status.hosts:
        console.print(Text("Hosts", "bold"))
        tables.show(console, _hosts(list(status.hosts.values()), verbose=verbose))
    if status.registries or status.authority:
        console.print(Text("Registries", "bold"))
        tables.show(console, _registries(status))
    for message, hint in status.unknown:
        console.print(Text.assemble(("not known", "yellow"), f": {message}"), soft_wrap=True)
        if hint:
            console.print(Text(f"  hint: {hint}"), soft_wrap=True)
    console.print(_verdict(status), soft_wrap=True)
    for line in _next(status, file):
        console.print(Text(line), soft_wrap=True)


def _title(status: FleetStatus) -> Text:
    words = f": {_many(len(status.hosts), 'host')}"
    words += f" ({status.left_out} left out)" if status.left_out else ""
    count = len(status.registries)
    words += f", {count} registr{'y' if count == 1 else 'ies'}; "
    if status.last_apply:
        ago = age(status.when - status.last_apply)
        words += f"last apply from here: {ago} ({status.last_apply:%Y-%m-%d %H:%M} UTC)"
    else:
        words += "never applied from here"
    return Text.assemble((status.fleet, "bold"), words)


def age(passed: timedelta) -> str:
    """A time that has passed, in one unit: `3 hours ago`."""
    seconds = int(passed.total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{_many(seconds // size, unit)} ago"
    return "just now"


def _hosts(hosts: Sequence[HostStatus], *, verbose: bool) -> Table:
    groups: dict[tuple[str, str, tuple[str, ...]], list[HostStatus]] = defaultdict(list)
    for number, host in enumerate(hosts):
        own = f"{number}" if verbose else ""
        state = "warning" if host.state == "ok" and host.attention else str(host.state)
        groups[own, state, _details(host, every=verbose)].append(host)
    table = _grid()
    for (_, state, details), alike in groups.items():
        head = Text.assemble((_names([host.name for host in alike]), "bold"))
        engines = _engines(alike)
        _row(table, state, head.append(f"  {engines}" if engines else ""), details)
    return table


def _engines(hosts: Sequence[HostStatus]) -> str:
    """The hosts' engines, counted where they differ, the most frequent first."""
    counted = Counter(filter(None, map(_engine, hosts))).most_common()
    if len(counted) == 1:
        return counted[0][0]
    return "; ".join(f"{engine} ({count})" for engine, count in counted)


def _engine(host: HostStatus) -> str:
    if not host.engine_state:
        return ""
    name = host.engine or "engine"
    words = {"up": host.version, "missing": "missing", "down": "down", "silent": "does not answer"}
    return f"{name} {words[host.engine_state]}, {host.os}"


def _details(host: HostStatus, *, every: bool) -> tuple[str, ...]:
    lines = [host.error] if host.error else []
    lines += [f"hint: {host.hint}"] if host.hint else []
    if abs(host.skew) > MOST_SKEW:
        way = "ahead of" if host.skew > 0 else "behind"
        lines.append(f"its clock is {abs(host.skew)} s {way} this machine's")
    shown = host.drift if every else host.drift[:_FIRST]
    if host.drift:
        lines.append(f"{_many(len(host.drift), 'change')} to make it as declared:")
    lines += [f"  {_drift(each)}" for each in shown]
    if len(host.drift) > len(shown):
        lines.append(f"  and {len(host.drift) - len(shown)} more")
    if host.unknown and every:
        lines += [f"not compared: {resource}" for resource in host.unknown]
    elif host.unknown:
        lines.append(f"{_many(len(host.unknown), 'resource')} not compared")
    return tuple(lines)


def _drift(each: Drift) -> str:
    change = each.change
    return f"{change.action} {change.resource}  {change.reason} ({_ORIGINS[each.origin]})"


def _registries(status: FleetStatus) -> Table:
    table = _grid()
    for registry in status.registries.values():
        state = registry.health
        if state == "healthy" and registry.attention:
            _row(table, "warning", *_registry(registry))
        else:
            _row(table, state, *_registry(registry))
    if status.authority:
        head = Text.assemble(("fleet CA", "bold"), f"  {_certificate(status.authority)}")
        _row(table, "warning" if status.authority.warn else "ok", head, ())
    return table


def _registry(registry: RegistryStatus) -> tuple[Text, tuple[str, ...]]:
    words = [registry.endpoint]
    words += ["external"] if registry.external else []
    words += [f"cache of {registry.proxy}"] if registry.proxy else []
    lines = []
    if registry.error:
        lines.append(registry.error)
    if registry.hint:
        lines.append(f"hint: {registry.hint}")
    if registry.contents:
        lines.append(_contents(registry.contents))
    if registry.note:
        lines.append(registry.note)
    if registry.certificate:
        lines.append(f"certificate: {_certificate(registry.certificate)}")
    if registry.certificate_error:
        lines.append(f"certificate: {registry.certificate_error}")
    if registry.api_version:
        lines.append(f"API {registry.api_version}")
    head = Text.assemble((registry.name, "bold"), f"  {', '.join(words)}")
    return head, tuple(lines)


def _contents(found: Contents) -> str:
    count = found.repositories
    words = f"{count} repositor{'y' if count == 1 else 'ies'}"
    words += f" ({found.empty} empty)" if found.empty else ""
    least = "at least " if found.partial else ""
    words += f", {least}{_many(found.tags, 'tag')}, {least}{decimal(found.size)}"
    words += f" (only {_many(found.weighed, 'tag')} weighed)" if found.partial else ""
    if found.broken:
        words += f"; {_many(found.broken, 'manifest')} missing: push those tags again"
    return words


def _certificate(found: Certificate) -> str:
    until = f"until {found.not_after:%Y-%m-%d}"
    if found.days_left < 0:
        return f"expired {until.removeprefix('until ')}"
    words = f"{_many(found.days_left, 'day')} left, {until}"
    return f"{words}: less than a third of its life" if found.warn else words


def _verdict(status: FleetStatus) -> Text:
    if status.ok:
        return Text.assemble(("All is well.", "bold green"))
    groups: dict[str, list[str]] = defaultdict(list)
    for name, why in status.attention.items():
        groups[" and ".join(why)].append(name.removeprefix("host "))
    words = "; ".join(f"{_names(names)} ({why})" for why, names in groups.items())
    return Text.assemble(("Needs attention", "bold"), f": {words}")


def _next(status: FleetStatus, file: str) -> list[str]:
    lines = []
    renew = [each.certificate for each in status.registries.values()] + [status.authority]
    warned = [each for each in renew if each and each.warn]
    drift = any(host.drift for host in status.hosts.values())
    if drift:
        lines.append(f"Next: `regfleet plan {file} --diff` shows what differs, `apply` mends it.")
    if any(each.renewed for each in warned):
        lines.append(f"Next: `regfleet apply {file}` renews the fleet's own certificates.")
    if any(not each.renewed for each in warned):
        lines.append(f"Next: get a new certificate, then `regfleet apply {file}`.")
    if any(abs(host.skew) > MOST_SKEW for host in status.hosts.values()):
        lines.append("Next: let NTP set the clocks (`timedatectl status` there, and here).")
    if any(each.health == "unhealthy" for each in status.registries.values()) and not drift:
        lines.append("Next: see the registry's log (`docker logs regfleet-NAME` on its host).")
    return lines


def _grid() -> Table:
    table = Table.grid(padding=(0, 0, 0, 2), pad_edge=True)
    table.add_column(min_width=_STATE_WIDTH, no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _row(table: Table, state: str, head: Text, details: Sequence[str]) -> None:
    lines: list[RenderableType] = [head]
    for line in details:
        text = line.lstrip()
        style = "dim" if text.startswith("API ") else ""
        lines.append(Padding(Text(text, style), (0, 0, 0, len(line) - len(text)), expand=False))
    table.add_row(Text(state, _STYLES[state]), Group(*lines))


def _names(names: Sequence[str]) -> str:
    if len(names) <= _MANY:
        return ", ".join(names)
    return f"{', '.join(names[: _MANY - 1])} and {len(names) - _MANY + 1} more"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
