"""Findings: what was found on one host, and the same of several made one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from regfleet.doctor.causes import causes, fill
from regfleet.fleet.model import Fleet
from regfleet.pki.names import endpoint_host

_LISTED = 12  # more hosts than that are no list for a command line
_NAMED = 6
_SEVERAL = 2


@dataclass(frozen=True, slots=True)
class Symptom:
    """A cause that was seen on one host, or of a registry.

    Attributes:
        cause: its name in `causes.toml`.
        host: the fleet's host where it was seen, or that it is of; empty for the fleet itself.
        found: what was seen; hosts that differ in it are told one by one.
        registry: the registry's name, where it is about one.
        said: a program's own words, where there are any; they may differ from host to host.
        values: for placeholders.
        fix: instead of the cause's own.
        felt_by: hosts on which it is felt, and not to be mended.
    """

    cause: str
    host: str
    found: str
    registry: str = ""
    said: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    fix: tuple[str, ...] = ()
    felt_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, for people.

    Attributes:
        cause: its name, for programs.
        hosts: where; empty where it is of the fleet itself.
        registry: the registry that it is about, or empty.
        found: what was seen.
        said: a program's own words, or empty.
        means, check, fix: in words; commands begin with `$ `.
        felt_by: further hosts that suffer from it.
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


def findings(symptoms: Iterable[Symptom], fleet: Fleet, file: str) -> tuple[Finding, ...]:
    """Symptoms as findings; hosts that share one stand together.

    Args:
        file: the fleet file as the user named it, for commands.
    """
    groups: dict[tuple[object, ...], list[Symptom]] = {}
    for each in symptoms:
        values = tuple(sorted(each.values.items()))
        found, *fix = (_anywhere(text, each.host, fleet) for text in (each.found, *each.fix))
        groups.setdefault((each.cause, each.registry, found, values, *fix), []).append(each)
    return tuple(_finding(alike, fleet, file) for alike in groups.values())


def _finding(alike: Sequence[Symptom], fleet: Fleet, file: str) -> Finding:
    first, cause = alike[0], causes()[alike[0].cause]
    hosts = tuple(dict.fromkeys(each.host for each in alike if each.host))
    values = {
        "file": file,
        "fleet": fleet.name,
        "service": "docker",
        "hosts": names(hosts),
        "limit": limit(fleet, hosts),
        **_host(fleet, first.host),
        **of_registry(fleet, first.registry),
        **first.values,
    }
    return Finding(
        first.cause,
        fill(cause.title, values),
        hosts,
        first.registry,
        first.found if len(hosts) < _SEVERAL else _anywhere(first.found, first.host, fleet),
        next((each.said for each in alike if each.said), ""),
        fill(cause.means, values),
        tuple(fill(line, values) for line in cause.check),
        _fix(first, hosts, fleet) or tuple(fill(line, values) for line in cause.fix),
        tuple(dict.fromkeys(name for each in alike for name in each.felt_by)),
    )


def _fix(first: Symptom, hosts: Sequence[str], fleet: Fleet) -> tuple[str, ...]:
    if len(hosts) < _SEVERAL:
        return first.fix
    return tuple(_anywhere(line, first.host, fleet) for line in first.fix)


def _anywhere(text: str, name: str, fleet: Fleet) -> str:
    """A text without the address of the host that it is about: others may have the same."""
    host = fleet.hosts().get(name)
    return text.replace(host.address, "HOST") if host else text


def names(hosts: Sequence[str], most: int = _NAMED) -> str:
    """Some names, and how many more."""
    if len(hosts) <= most:
        return ", ".join(hosts)
    return f"{', '.join(hosts[: most - 1])} and {len(hosts) - most + 1} more"


def limit(fleet: Fleet, hosts: Sequence[str]) -> str:
    """` --limit HOSTS` for a command: a group's name where they are one; nothing for too many."""
    chosen = set(hosts)
    if not chosen or chosen == set(fleet.hosts()):
        return ""
    group = next((name for name, each in fleet.groups().items() if set(each) == chosen), "")
    if group and len(chosen) > 1:
        return f" --limit {group}"
    return f" --limit {','.join(hosts)}" if len(hosts) <= _LISTED else ""


def _host(fleet: Fleet, name: str) -> dict[str, str]:
    host = fleet.hosts().get(name)
    return {"host": name, "address": host.address} if host else {}


def of_registry(fleet: Fleet, name: str) -> dict[str, str]:
    """Placeholders of a declared registry; none where it is not declared."""
    registry = fleet.registries.get(name)
    if registry is None:
        return {}
    home = {"registry_address": registry.hosts[0].address} if registry.hosts else {}
    return {
        **home,
        "registry": name,
        "endpoint": registry.endpoint,
        "name": endpoint_host(registry.endpoint),
        "port": str(registry.port),
    }
