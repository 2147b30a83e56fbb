"""Lists which group names which hosts, and finds groups that mean different machines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from regfleet.fleet import defaults
from regfleet.fleet.addresses import canonical
from regfleet.fleet.check import tables
from regfleet.fleet.findings import Finding, Place, RefusedError, Table
from regfleet.fleet.hosts import MAX_HOSTS, NamedHost, count, hosts_of_item
from regfleet.fleet.machines import LOCAL
from regfleet.fleet.toml_text import place as written


class Claim(NamedTuple):
    """One host in one group's list. `ssh` is None when the schema refused it."""

    place: Place
    name: str
    address: str
    ssh: dict[str, Any] | None

    @property
    def group(self) -> Place:
        """The group's place: `("client", "build")`, `("registry", "main", "gateway")`."""
        return self.place[: self.place.index("hosts", 2)]


def claims(document: Table) -> tuple[list[Claim], list[Finding]]:
    """Every host of every group, and the mistakes in their lists."""
    found: list[Finding] = []
    claimed: list[Claim] = []
    total = 0
    for place, item in _items(document):
        name = item if isinstance(item, str) else item.get("name")
        if name is None or (not isinstance(item, str) and tables.is_broken(item, "address")):
            continue
        total += count(name)
        if total > MAX_HOSTS:
            return [], [Finding((), f"declares more than {MAX_HOSTS} hosts", "split the fleet")]
        try:
            hosts = hosts_of_item(item)
        except RefusedError as refused:
            found.append(Finding(place, refused.message, refused.hint))
            continue
        claimed += _claims(place, item, hosts, document)
    found += _local_mistakes(document)
    found += _repeated(claimed)
    found += _contradicting(claimed)
    found += _aliases(claimed)
    return claimed, found


def _items(document: Table) -> Iterator[tuple[Place, Any]]:
    for section in ("registry", "client"):
        for name, group in tables.named(document, section):
            for index, item in tables.items(group, "hosts"):
                yield (section, name, "hosts", index), item
            gateway = group.get("gateway") or {}
            if isinstance(gateway.get("hosts"), list):
                for index, item in tables.items(gateway, "hosts"):
                    yield (section, name, "gateway", "hosts", index), item


def _claims(
    place: Place, item: str | Table, hosts: Iterable[NamedHost], document: Table
) -> Iterator[Claim]:
    own = {} if isinstance(item, str) else item.get("ssh", {})
    for host in hosts:
        ssh = None if own is None else defaults.ssh(document.get("ssh"), own, host.name)
        yield Claim(place, host.name, host.address, ssh)


def _local_mistakes(document: Table) -> Iterator[Finding]:
    for place, item in _items(document):
        if isinstance(item, str) or item.get("name") != LOCAL:
            continue
        if "address" in item:
            yield Finding(
                (*place, "address"),
                f"cannot be set for {LOCAL}, which is this machine",
                "leave it out",
            )
        for key in item.get("ssh") or ():
            if key != "sudo":
                message = f"cannot be set for {LOCAL}: regfleet does not reach it over SSH"
                yield Finding((*place, "ssh", key), message, "leave it out")


def _repeated(claimed: list[Claim]) -> Iterator[Finding]:
    """Hosts that one group lists twice: one finding for each pair of items."""
    first: dict[tuple[Place, str], Claim] = {}
    twice: defaultdict[tuple[Place, Place], list[str]] = defaultdict(list)
    for claim in claimed:
        other = first.setdefault((claim.group, claim.name), claim)
        if other is not claim:
            twice[claim.place, other.place].append(claim.name)
    for (place, before), names in twice.items():
        where = "twice in this item" if place == before else f"already in {written(before)}"
        yield Finding(place, f"{_count_words(names)} {where}", "list a host once in a group")


def _count_words(names: list[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more are"


def _contradicting(claimed: list[Claim]) -> Iterator[Finding]:
    """Hosts of one name that differ, in two places, in spelling, address or ssh table.

    One finding for each pair of items and each kind of difference, whatever the number of hosts.
    """
    first: dict[str, Claim] = {}
    reported: set[tuple[Place, Place, str]] = set()
    for claim in claimed:
        other = first.setdefault(claim.name.lower(), claim)
        if other is claim:
            continue
        difference = _difference(claim, other)
        if difference and (pair := (claim.place, other.place, difference.hint)) not in reported:
            reported.add(pair)
            yield difference


def _aliases(claimed: list[Claim]) -> Iterator[Finding]:
    """Names of one machine: two that lead to the same address and port.

    One finding for each pair of items. Nothing is resolved; the look finds the rest.
    """
    first: dict[tuple[str, int], Claim] = {}
    reported: set[tuple[Place, Place]] = set()
    for claim in claimed:
        if claim.ssh is None or claim.name == LOCAL:  # @local has no SSH port
            continue
        where = (canonical(claim.address), claim.ssh.get("port", defaults.SSH_PORT))
        other = first.setdefault(where, claim)
        pair = (claim.place, other.place)
        if other.name.lower() != claim.name.lower() and pair not in reported:
            reported.add(pair)
            message = f"{claim.name} is another name of {other.name} in {written(other.place)}"
            yield Finding(
                claim.place,
                f"{message}: both have the address {claim.address} and the port {where[1]}",
                f'give it one name: {{ name = "{other.name}", address = "{claim.address}" }}',
            )


def _difference(claim: Claim, other: Claim) -> Finding | None:
    before = written(other.place)
    if other.name != claim.name:
        message = f"{claim.name} is written {other.name} in {before}"
        return Finding(claim.place, message, "write a host's name the same everywhere")
    if other.group == claim.group:
        return None  # reported by _repeated
    if other.address != claim.address:
        message = f"{claim.name} has the address {claim.address} here"
        both = f"{message}, and {other.address} in {before}"
        return Finding(claim.place, both, "give each host name one address")
    if claim.ssh is not None and other.ssh is not None and claim.ssh != other.ssh:
        keys = {*claim.ssh, *other.ssh}
        differing = sorted(key for key in keys if claim.ssh.get(key) != other.ssh.get(key))
        message = f"{claim.name} has another ssh table ({', '.join(differing)}) here"
        return Finding(claim.place, f"{message} than in {before}", "write the same in both places")
    return None
