"""Which groups claim which hosts, and whether they mean the same machines by them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from regfleet.fleet import defaults
from regfleet.fleet.check import tables
from regfleet.fleet.findings import Finding, Place, RefusedError, Table
from regfleet.fleet.hosts import MAX_HOSTS, Named, count, declared
from regfleet.fleet.model import LOCAL
from regfleet.fleet.toml_text import place as written


class Claim(NamedTuple):
    """One host in one group's list. `ssh` is None where it is broken."""

    place: Place
    name: str
    address: str
    ssh: dict[str, Any] | None

    @property
    def group(self) -> Place:
        """The group's place: `("client", "build")`."""
        return self.place[:2]


def claims(document: Table) -> tuple[list[Claim], list[Finding]]:
    """Every host of every group, and what is wrong with their lists."""
    found: list[Finding] = []
    claimed: list[Claim] = []
    total = 0
    for place, item in _items(document):
        name = item if isinstance(item, str) else item.get("name")
        if name is None or (not isinstance(item, str) and tables.is_broken(item, "address")):
            continue
        total += count(name)
        if total > MAX_HOSTS:
            return [], [Finding((), f"declares more than {MAX_HOSTS} hosts")]
        try:
            hosts = declared(item)
        except RefusedError as refused:
            found.append(Finding(place, refused.message, refused.hint))
            continue
        claimed += _claims(place, item, hosts, document)
    found += _local(document)
    found += _repeated(claimed)
    found += _contradicting(claimed)
    return claimed, found


def _items(document: Table) -> Iterator[tuple[Place, Any]]:
    for section in ("registry", "client"):
        for name, group in tables.named(document, section):
            for index, item in tables.items(group, "hosts"):
                yield (section, name, "hosts", index), item


def _claims(
    place: Place, item: str | Table, hosts: Iterable[Named], document: Table
) -> Iterator[Claim]:
    own = {} if isinstance(item, str) else item.get("ssh", {})
    for host in hosts:
        ssh = None if own is None else defaults.ssh(document.get("ssh"), own, host.name)
        yield Claim(place, host.name, host.address, ssh)


def _local(document: Table) -> Iterator[Finding]:
    for place, item in _items(document):
        if isinstance(item, str) or item.get("name") != LOCAL:
            continue
        if "address" in item:
            yield Finding((*place, "address"), f"does not go with {LOCAL}, which is this machine")
        for key in item.get("ssh") or ():
            if key != "sudo":
                message = f"does not go with {LOCAL}, which is not reached over SSH"
                yield Finding((*place, "ssh", key), message)


def _repeated(claimed: list[Claim]) -> Iterator[Finding]:
    """Hosts that are twice in one list: one finding an item."""
    first: dict[tuple[Place, str], Claim] = {}
    for claim in claimed:
        other = first.setdefault((claim.group, claim.name), claim)
        if other is not claim:
            where = "the same item" if other.place == claim.place else written(other.place)
            yield Finding(claim.place, f"{claim.name} is already in {where}")
            first[claim.group, claim.name] = claim


def _contradicting(claimed: list[Claim]) -> Iterator[Finding]:
    """Hosts of one name that are different machines in two places."""
    first: dict[str, Claim] = {}
    for claim in claimed:
        other = first.setdefault(claim.name.lower(), claim)
        if other is claim or other.group == claim.group:
            continue
        if other.name != claim.name:
            message = f"{claim.name} is written {other.name} in {written(other.place)}"
            yield Finding(claim.place, message, "write a host's name the same everywhere")
        elif other.address != claim.address:
            message = f"{claim.name} has the address {claim.address} here"
            elsewhere = f"and {other.address} in {written(other.place)}"
            yield Finding(claim.place, f"{message}, {elsewhere}", "a name is one machine")
        elif claim.ssh is not None and other.ssh is not None and claim.ssh != other.ssh:
            keys = ", ".join(
                key for key in claim.ssh | other.ssh if claim.ssh.get(key) != other.ssh.get(key)
            )
            message = (
                f"{claim.name} has another ssh table ({keys}) here than in {written(other.place)}"
            )
            yield Finding(claim.place, message, "write the same table in both places")
