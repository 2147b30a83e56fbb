"""What runs for good on a host, one file a kind behind `interface.Kind`, with its shell beside it.

To add one: write the file and its shell (`KIND.look.sh`, `KIND.touch.sh`, `KIND.doctor.sh`;
what these have in common is `KIND.sh`), add it to `KINDS`, and give `model.service`
what such a service is run from.
"""

from __future__ import annotations

from collections.abc import Iterable

from regfleet.model.service import ServiceKind
from regfleet.services.compose import Compose
from regfleet.services.container import Containers
from regfleet.services.interface import Kind
from regfleet.services.unit import Units

KINDS: dict[ServiceKind, Kind] = {kind.name: kind for kind in (Containers(), Compose(), Units())}


def shell_of(kinds: Iterable[ServiceKind]) -> tuple[ServiceKind, ...]:
    """The kinds whose shell functions these need, in the order in which they are sent."""
    return tuple(dict.fromkeys(each for kind in kinds for each in KINDS[kind].shell))
