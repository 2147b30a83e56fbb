"""Cross-checks of backups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from regfleet.fleet import defaults
from regfleet.fleet.check import tables
from regfleet.fleet.check.hosts import Claim
from regfleet.fleet.findings import Finding, Place, Table
from regfleet.fleet.schedules import check_schedule
from regfleet.fleet.storage import overlaps

_LEAST_BETWEEN = 900  # seconds


def check(document: Table, claims: list[Claim]) -> Iterator[Finding]:
    """Backups of what is not on the host's disk, and those that would lie among images."""
    hosts: defaultdict[Place, set[str]] = defaultdict(set)
    for claim in claims:
        hosts[claim.group].add(claim.name)
    for name, registry in tables.named(document, "registry"):
        backup = registry.get("backup")
        if not backup or registry.get("external"):
            continue
        place: Place = ("registry", name, "backup")
        yield from check_schedule(place, backup, _LEAST_BETWEEN)
        if registry.get("proxy"):
            message = "does not go with proxy: a pull-through cache fetches again what it lost"
            yield Finding(place, message, "leave it out")
        elif defaults.s3(registry) is not None:
            message = "does not go with a bucket: its images are not on the host"
            hint = "use what the service has for that, such as versioning and replication"
            yield Finding(place, message, hint)
        else:
            yield from _places(place, name, document, hosts)


def _places(
    place: Place, name: str, document: Table, hosts: dict[Place, set[str]]
) -> Iterator[Finding]:
    """Images and backups in one directory, of this registry or of others on its hosts."""
    to = defaults.backup_directory(document["registry"][name]["backup"].get("to"))
    for other, registry in tables.named(document, "registry"):
        settings = defaults.with_defaults("registry", registry)
        images = defaults.directory(settings.get("storage"))
        if to and images and hosts[place[:2]] & hosts["registry", other] and overlaps(to, images):
            whose = "its own images" if other == name else f"the images of registry {other}"
            message = f"lies in one directory with {whose}: {images}"
            hint = "use a directory on another disk, as in /mnt/backup"
            yield Finding((*place, "to"), message, hint)
