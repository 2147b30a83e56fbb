"""Which registries of a host are collected, and what the job there has to know of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from regfleet.desired.resolve import registries_on
from regfleet.errors import RegfleetError
from regfleet.fleet.model import Fleet, Registry
from regfleet.jobs.collection import Subject
from regfleet.model.desired import DesiredHost
from regfleet.model.service import ComposeRun, Service
from regfleet.run.asking import RegistryAccess
from regfleet.secret import Secret
from regfleet.services import KINDS

_CONFIG = "/config.yml"


def subjects(
    fleet: Fleet, want: DesiredHost, about: Mapping[str, RegistryAccess]
) -> tuple[Subject, ...]:
    """The registries of a host whose garbage can be collected.

    A pull-through cache is left out: it deletes by itself what has become old. So is a registry
    whose images are in a bucket, which nobody on the host can read; and one of several hosts, of
    which the others would take pushes meanwhile.

    Args:
        about: users of each registry.
    """
    return tuple(
        replace(each, login=_login(about[registry.name]))
        for registry, each in collectable(fleet, want)
    )


def collectable(fleet: Fleet, want: DesiredHost) -> Iterator[tuple[Registry, Subject]]:
    """The same, with their registries and without a login."""
    for registry in registries_on(fleet, want.name):
        service = service_of(registry, want)
        if service and not why_left_out(registry):
