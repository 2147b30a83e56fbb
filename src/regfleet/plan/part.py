"""Values that the modules of `plan` share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from regfleet.model.desired import LoginEntry
from regfleet.model.files import account_of
from regfleet.model.observed import ObservedPath
from regfleet.model.plan import Change, Step
from regfleet.record import Owned, OwnedLogin

ROOT = (0, 0)


@dataclass(slots=True)
class PlanPart:
    """The changes and steps of one kind of resource."""

    changes: list[Change] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def add(self, change: Change, *steps: Step) -> None:
        """Add a change and the steps that carry it out."""
        self.changes.append(change)
        self.steps.extend(steps)


@dataclass(frozen=True, slots=True)
class Shared:
    """What other fleets own on the host: only the last fleet removes a shared resource."""

    files: frozenset[str]
    directories: frozenset[str]
    logins: frozenset[tuple[str, str]]
    images: frozenset[str]

    @classmethod
    def of(cls, others: Iterable[Owned]) -> Shared:
        """From the records of the other fleets on the host."""
        others = list(others)
        return cls(
            frozenset(path for each in others for path in each.files),
            frozenset(path for each in others for path in each.directories),
            frozenset(login_key(login) for each in others for login in each.logins),
            frozenset(item.image for each in others for item in each.services),
        )


def is_fit(found: ObservedPath, mode: int) -> bool:
    """Whether a path has its mode, and belongs to root where it is in no account's home."""
    return found.mode == mode and (found.owner == ROOT or bool(account_of(found.path)))


def login_key(login: LoginEntry | OwnedLogin) -> tuple[str, str]:
    """The key of a login on a host: the account and the registry's endpoint."""
    return login.account, login.endpoint
