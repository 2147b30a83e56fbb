"""Print a survey; if something needs attention, with the next command."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from regfleet.model.contents import Contents
from regfleet.model.copies import CopyStatus
from regfleet.model.report import Origin
from regfleet.model.status import (
    MOST_SKEW,
    UNKNOWN,
    Certificate,
    Drift,
    FleetStatus,
    HostStatus,
    RegistryStatus,
    WrongLogins,
)
from regfleet.report.care_text import age, interval, job_text, moment, room_text
from regfleet.report.lines import show
from regfleet.report.replication_text import summary
from regfleet.report.resource_text import resource_text

_STYLES = {
    "ok": "green",
    "healthy": "green",
    "drift": "yellow",
    "differs": "yellow",
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
_STATE_WIDTH = 11  # "unreachable"
_HANG = 2


def render(status: FleetStatus, console: Console, *, file: str, verbose: bool = False) -> None:
    """Print a survey.

    Args:
        file: the fleet file as the user named it, printed in the next command.
        verbose: print each host on its own, and every change.
    """
    show(console, "", _title(status), hang=_HANG)
    for message, hint in status.unknown:
        show(console, Text("not known: ", "yellow"), message)
        if hint:
            show(console, "  hint: ", hint)
    if status.hosts:
        show(console, "", Text("Hosts", "bold"))
        _show_hosts(console, list(status.hosts.values()), verbose=verbose)
    if status.registries or status.authority:
        show(console, "", Text("Registries", "bold"))
        _show_registries(console, status)
    if status.copies:
        show(console, "", Text("Copies", "bold"))
        for copy in status.copies.values():
            _show_copy(console, copy, status.when)
    _show_unproven(status, console, file)
    for verdict in _verdicts(status):
        show(console, "", verdict, hang=_HANG)
    for line in _next_commands(status, shlex.quote(file)):
        show(console, "Next: ", line)


def _show_copy(console: Console, copy: CopyStatus, now: datetime) -> None:
    details: list[str] = []
    last, lag = copy.last, copy.lag(now)
    if last:
        details.append(f"last run {age(now - moment(last.started))}: {summary(last)}")
        details += [*last.errors, *last.notices]
    if copy.every and lag is not None:
        details.append(
            f"complete as of {age(timedelta(seconds=lag))}, every {interval(copy.every)}"
        )
    if copy.error:
        details.append(copy.error)
    attention = copy.attention(now)
    state = "warning" if attention else "ok" if last else "unknown"
    head = Text.assemble((copy.name, "bold"), f"  {copy.source} -> {copy.target}")
    where = f" on {copy.host}" if copy.host else " from here"
    words = "" if last or copy.error else ", has not run yet"
    why = f" ({', '.join(attention)})" if attention else ""
    _show_row(console, state, head.append(f"{where}{words}{why}"), tuple(details))


def _show_unproven(status: FleetStatus, console: Console, file: str) -> None:
    alike: dict[str, list[str]] = defaultdict(list)
    for name, each in status.unproven.items():
        alike[f"changed {each.since}, {each.why}"].append(name)
    for why, names in alike.items():
        show(console, Text("not proven: ", "yellow"), f"{_names(names)}: {why}")
    if alike:
        command = shlex.join(["regfleet", "smoke", file])
        show(console, "  hint: ", f"`{command}` or apply proves it")


def _title(status: FleetStatus) -> Text:
    words = f": {_counted(len(status.hosts), 'host')}"
    words += f" ({status.left_out} left out)" if status.left_out else ""
    count = len(status.registries)
    words += f", {count} registr{'y' if count == 1 else 'ies'}; "
    if status.last_apply:
        ago = age(status.when - status.last_apply)
        words += f"last apply from here: {ago} ({status.last_apply:%Y-%m-%d %H:%M} UTC)"
    else:
        words += "never applied from here"
    return Text.assemble((status.fleet, "bold"), words)


def _show_hosts(console: Console, hosts: Sequence[HostStatus], *, verbose: bool) -> None:
    groups: dict[tuple[str, str, tuple[str, ...]], list[HostStatus]] = defaultdict(list)
    for number, host in enumerate(hosts):
        own = f"{number}" if verbose else ""
        state = "warning" if host.state == "ok" and host.attention else str(host.state)
        groups[own, state, _details(host, every=verbose)].append(host)
    for (_, state, details), alike in groups.items():
        head = Text.assemble((_names([host.name for host in alike]), "bold"))
        engines = _engines(alike)
        _show_row(console, state, head.append(f"  {engines}" if engines else ""), details)


def _engines(hosts: Sequence[HostStatus]) -> str:
    """The hosts' engines, the most frequent first, with counts if they differ."""
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
    lines += [host.reinstalled] if host.reinstalled else []
    shown = host.drift if every else host.drift[:_FIRST]
    if host.drift:
        lines.append(f"{_counted(len(host.drift), 'change')} to make it as declared:")
    lines += [f"  {_drift(each)}" for each in shown]
    if len(host.drift) > len(shown):
        lines.append(f"  and {len(host.drift) - len(shown)} more")
    if host.unknown and every:
        lines += [f"not compared: {resource_text(each)}" for each in host.unknown]
    elif host.unknown:
        lines.append(f"{_counted(len(host.unknown), 'resource')} not compared")
    return tuple(lines)


def _drift(each: Drift) -> str:
    change = each.change
    what = resource_text(change.resource)
    return f"{change.action} {what}  {change.reason} ({_ORIGINS[each.origin]})"


def _show_registries(console: Console, status: FleetStatus) -> None:
    for registry in status.registries.values():
        state = registry.health
        if state == "healthy" and status.attention.get(f"registry {registry.name}"):
            _show_row(console, "warning", *_registry(registry, status.when))
        else:
            _show_row(console, state, *_registry(registry, status.when))
    if status.authority:
        head = Text.assemble(("fleet CA", "bold"), f"  {_certificate(status.authority)}")
        _show_row(console, "warning" if status.authority.warn else "ok", head, ())


def _registry(registry: RegistryStatus, now: datetime) -> tuple[Text, tuple[str, ...]]:
    words = [registry.endpoint]
    words += ["external"] if registry.external else []
    words += [f"cache of {registry.proxy}"] if registry.proxy else []
    words += [f"gateway before {' and '.join(registry.before)}"] if registry.before else []
    lines = []
    if registry.error:
        lines.append(registry.error)
    if registry.hint:
        lines.append(f"hint: {registry.hint}")
    if registry.contents:
        lines.append(_contents(registry.contents))
    if registry.note:
        lines.append(registry.note)
    lines += _serving(registry)
    lines += _care(registry, now)
    lines += _wrong_logins(registry.wrong_logins)
    if registry.certificate:
        lines.append(f"certificate: {_certificate(registry.certificate)}")
    if registry.certificate_error:
        lines.append(f"certificate: {registry.certificate_error}")
    if registry.api_version:
        lines.append(f"API {registry.api_version}")
    head = Text.assemble((registry.name, "bold"), f"  {', '.join(words)}")
    return head, tuple(lines)


def _serving(registry: RegistryStatus) -> list[str]:
    if not registry.served_by or len(registry.before) == 1:
        return []
    if registry.served_by == registry.before[0]:
        return [f"served by {registry.served_by}"]
    return [f"served by {registry.served_by}: {registry.before[0]} does not answer its gateway"]


def _care(registry: RegistryStatus, now: datetime) -> list[str]:
    lines = []
    if registry.read_only:
        lines.append("takes no pushes at the moment: its garbage is being collected")
    if registry.room:
        lines.append(room_text(registry.room))
    if registry.room_unknown:
        lines.append("the free space of its storage could not be read")
    return [*lines, *(line for each in registry.jobs.values() if (line := job_text(each, now)))]


def _contents(found: Contents) -> str:
    count = found.repositories
    words = f"{count} repositor{'y' if count == 1 else 'ies'}"
    words += f" ({found.empty} empty)" if found.empty else ""
    least = "at least " if found.partial else ""
    words += f", {least}{_counted(found.tags, 'tag')}, {least}{decimal(found.size)}"
    words += f" (only {_counted(found.weighed, 'tag')} weighed)" if found.partial else ""
    if found.broken:
        words += f"; {_counted(found.broken, 'manifest')} missing: push those tags again"
    return words


def _wrong_logins(found: WrongLogins | None) -> list[str]:
    if not found or not found.count:
        return []
    where = f"{found.addresses} address{'' if found.addresses == 1 else 'es'}"
    return [f"{_counted(found.count, 'wrong login')} in the last day, from {where}"]


def _certificate(found: Certificate) -> str:
    until = f"until {found.not_after:%Y-%m-%d}"
    if found.days_left < 0:
        return f"expired {until.removeprefix('until ')}"
    words = f"{_counted(found.days_left, 'day')} left, {until}"
    return f"{words}: less than a third of its life" if found.warn else words


def _verdicts(status: FleetStatus) -> list[Text]:
    """The verdict lines; unknown comes first, because it may hide a fault."""
    if status.ok:
        return [Text.assemble(("All is well.", "bold green"))]
    unknown: dict[str, list[str]] = defaultdict(list)
    known: dict[str, list[str]] = defaultdict(list)
    for name, why in status.attention.items():
        for group, words in (
            (unknown, [word for word in why if word in UNKNOWN]),
            (known, [word for word in why if word not in UNKNOWN]),
        ):
            if words:
                group[" and ".join(words)].append(name.removeprefix("host "))
    lines = [
        Text.assemble((title, "bold"), f": {_names_by_reason(groups)}")
        for title, groups in (("Not known", unknown), ("Needs attention", known))
        if groups
    ]
    return lines or [Text.assemble(("Not known", "bold"), ": see above")]


def _names_by_reason(groups: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{_names(names)} ({why})" for why, names in groups.items())


def _next_commands(status: FleetStatus, file: str) -> list[str]:
    lines = []
    renew = [each.certificate for each in status.registries.values()] + [status.authority]
    warned = [each for each in renew if each and each.warn]
    drift = any(host.drift for host in status.hosts.values())
    if drift:
        lines.append(f"`regfleet plan {file} --diff` shows what differs, `apply` fixes it.")
    if any(each.renewed for each in warned):
        lines.append(f"`regfleet apply {file}` renews the fleet's own certificates.")
    if any(not each.renewed for each in warned):
        lines.append(f"get a new certificate, then `regfleet apply {file}`.")
    if any(abs(host.skew) > MOST_SKEW for host in status.hosts.values()):
        lines.append("let NTP set the clocks (`timedatectl status` there, and here).")
    if any(each.room and each.room.warnings for each in status.registries.values()):
        lines.append(
            "make room where the registry keeps its data: deleting tags frees none, collecting "
            "garbage does (`registry garbage-collect` in its container, while nobody pushes)."
        )
    if any(each.health == "unhealthy" for each in status.registries.values()) and not drift:
        lines.append("see the registry's log (`docker logs regfleet-NAME` on its host).")
    return lines


def _show_row(console: Console, state: str, head: Text, details: Sequence[str]) -> None:
    show(console, Text.assemble("  ", (f"{state:<{_STATE_WIDTH}}  ", _STYLES[state])), head)
    column = " " * (2 + _STATE_WIDTH + 2)
    for line in details:
        text = line.lstrip()
        lead = column + " " * (len(line) - len(text))
        show(console, lead, Text(text, "dim") if text.startswith("API ") else text)


def _names(names: Sequence[str]) -> str:
    if len(names) <= _MANY:
        return ", ".join(names)
    return f"{', '.join(names[: _MANY - 1])} and {len(names) - _MANY + 1} more"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
