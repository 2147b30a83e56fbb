"""Symptoms of single hosts, and findings that join equal symptoms. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from regfleet.doctor.causes import causes, fill
from regfleet.engines import REGISTRY_ENGINE
from regfleet.fleet.model import Fleet
from regfleet.model.plan import Change
from regfleet.pki.names import endpoint_host

_MOST_LIMIT_HOSTS = 12  # more hosts are not listed in a command
_MOST_NAMES = 6
_SEVERAL = 2
_QUOTED = re.compile(r"`([^`]+)`")
_SETTING = re.compile(r"[\w.\"-]+ = ")


@dataclass(frozen=True, slots=True)
class Symptom:
    """A cause observed on one host or at a registry.

    Attributes:
        cause: its name in `causes.toml`.
        host: the host it was observed on or concerns; empty for the fleet itself.
        found: the observation; hosts are joined only if it is equal.
        registry: the name of the registry that it concerns, or empty.
        said: a program's own message, or empty; it may differ between hosts.
        values: values of placeholders.
        fix: replaces the cause's own fix.
        felt_by: further hosts that it affects, but where nothing has to be fixed.
        changes: of a plan, in place of `found`; and how many `more` there are.
    """

    cause: str
    host: str
    found: str
    registry: str = ""
    said: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    fix: tuple[str, ...] = ()
    felt_by: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, in words for people.

    Attributes:
        cause: its name, for programs.
        hosts: the hosts that have it; empty for the fleet itself.
        registry: the registry that it concerns, or empty.
        found: the observation.
        said: a program's own message, or empty.
        means, check, fix: in words; commands begin with `$ `.
        felt_by: further hosts that it affects.
        changes: of a plan, in place of `found`; and how many `more` there are.
    """

    cause: str
    title: str
    hosts: tuple[str, ...]
    registry: str
    found: str
    said: str
    means: str
    check: tuple[str, ...]
    fix: tuple[str, ...]
    felt_by: tuple[str, ...]
    changes: tuple[Change, ...] = ()
    more: int = 0


def findings(symptoms: Iterable[Symptom], fleet: Fleet, file: str) -> tuple[Finding, ...]:
    """Join symptoms into findings: hosts with the same symptom share one.

    Args:
        file: the fleet file as the user named it, used in commands.
    """
    groups: dict[tuple[object, ...], list[Symptom]] = {}
    for each in symptoms:
        values = tuple(sorted(each.values.items()))
        found, *fix = (_without_address(text, each.host, fleet) for text in (each.found, *each.fix))
        changes = tuple(
            _change_without_address(change, each.host, fleet) for change in each.changes
        )
        alike = (each.cause, each.registry, found, changes, each.more, values, *fix)
        groups.setdefault(alike, []).append(each)
    return tuple(_finding(alike, fleet, file) for alike in groups.values())


def _finding(alike: Sequence[Symptom], fleet: Fleet, file: str) -> Finding:
    first, cause = alike[0], causes()[alike[0].cause]
    hosts = tuple(dict.fromkeys(each.host for each in alike if each.host))
    values = {
        "file": file,
        "fleet": fleet.name,
        "service": REGISTRY_ENGINE,  # the unit has the engine's name
        "hosts": names(hosts),
        "limit": limit(fleet, hosts),
        **_host_placeholders(fleet, first.host),
        **of_registry(fleet, first.registry),
        **first.values,
    }
    return Finding(
        first.cause,
        fill(cause.title, values),
        hosts,
        first.registry,
        first.found if len(hosts) < _SEVERAL else _without_address(first.found, first.host, fleet),
        next((each.said for each in alike if each.said), ""),
        fill(cause.means, values),
        tuple(fill(line, values) for line in cause.check),
        _fix(first, hosts, fleet) or with_commands(fill(line, values) for line in cause.fix),
        tuple(dict.fromkeys(name for each in alike for name in each.felt_by)),
        first.changes
        if len(hosts) < _SEVERAL
        else tuple(_change_without_address(each, first.host, fleet) for each in first.changes),
        first.more,
    )


def _fix(first: Symptom, hosts: Sequence[str], fleet: Fleet) -> tuple[str, ...]:
    lines = first.fix
    if len(hosts) >= _SEVERAL:
        lines = tuple(_without_address(line, first.host, fleet) for line in lines)
    return with_commands(lines)


def with_commands(lines: Iterable[str]) -> tuple[str, ...]:
    """Lines of prose, each followed by the commands and file lines in it, for copying.

    These are in backquotes in the prose; the result marks commands with `$ `.
    """
    found: list[str] = []
    for line in lines:
        found.append(line)
        if line.startswith(("$ ", "#", "[")):
            continue
        for words in _QUOTED.findall(line):
            copied = words if _SETTING.match(words) else f"$ {words}"
            if " " in words and copied not in found:
                found.append(copied)
    return tuple(found)


def _without_address(text: str, name: str, fleet: Fleet) -> str:
    """The text with `HOST` in place of the host's address, to find equal texts."""
    host = fleet.hosts().get(name)
    return text.replace(host.address, "HOST") if host else text


def _change_without_address(change: Change, name: str, fleet: Fleet) -> Change:
    """What a finding tells of a change, as `_without_address` has it."""
    resource = replace(change.resource, name=_without_address(change.resource.name, name, fleet))
    return Change(resource, change.action, _without_address(change.reason, name, fleet))


def names(hosts: Sequence[str], most: int = _MOST_NAMES) -> str:
    """The first names, and the number of further ones."""
    if len(hosts) <= most:
        return ", ".join(hosts)
    return f"{', '.join(hosts[: most - 1])} and {len(hosts) - most + 1} more"


def limit(fleet: Fleet, hosts: Sequence[str]) -> str:
    """` --limit HOSTS` for a command, by group name if they are one; empty for too many hosts."""
    chosen = set(hosts)
    if not chosen or chosen == set(fleet.hosts()):
        return ""
    group = next((name for name, each in fleet.groups().items() if set(each) == chosen), "")
    if group and len(chosen) > 1:
        return f" --limit {group}"
    return f" --limit {','.join(hosts)}" if len(hosts) <= _MOST_LIMIT_HOSTS else ""


def _host_placeholders(fleet: Fleet, name: str) -> dict[str, str]:
    host = fleet.hosts().get(name)
    return {"host": name, "address": host.address} if host else {}


def of_registry(fleet: Fleet, name: str) -> dict[str, str]:
    """Placeholder values of a registry; empty if it is not declared."""
    registry = fleet.registries.get(name)
    if registry is None:
        return {}
    instance = registry.instance()
    home = {"registry_address": instance.host.address} if instance else {}
    return {
        **home,
        "registry": name,
        "endpoint": registry.endpoint,
        "name": endpoint_host(registry.endpoint),
        "port": str(registry.port),
    }
