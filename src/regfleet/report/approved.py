"""A plan that somebody approved earlier: the document of `plan --json --diff`, and what it allows.

Pure. A later run may make the changes that the document has, and no others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from regfleet.errors import NotApprovedError, RegfleetError, UsageError
from regfleet.fleet.values import Json
from regfleet.report.as_json import VERSION

_COMPARED = ("action", "activation", "diff", "parts")
_SHOWN = 10  # changes that an error lists


@dataclass(frozen=True, slots=True)
class Approved:
    """An approved plan.

    Attributes:
        fleet: the name of its fleet.
        hosts: the document's `hosts`.
    """

    fleet: str
    hosts: Mapping[str, Json]


def read(path: Path) -> Approved:
    """An approved plan from the file of a document of `plan --json --diff`.

    Raises:
        UsageError: it cannot be read, is no such document, or does not say enough.
    """
    how = "make it with `regfleet plan FILE --json --diff`"
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"the approved plan {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the approved plan {path} is not JSON: {error}", how) from error
    hosts = document.get("hosts") if isinstance(document, dict) else None
    if not isinstance(hosts, dict) or document.get("version") != VERSION:
        raise UsageError(f"{path} is no plan of this version", how)
    for name, host in hosts.items():
        changes = host.get("changes") if isinstance(host, dict) else None
        if not isinstance(changes, list) or not all(isinstance(each, dict) for each in changes):
            raise UsageError(f"{path} has no list of changes for {name}", how)
        if any("diff" not in each for each in changes):
            raise UsageError(f"{path} does not say what changes inside files", how)
        if host.get("unknown"):
            raise UsageError(
                f"{path} leaves open what changes on {name}: it was made with --no-secrets", how
            )
    return Approved(str(document.get("fleet")), hosts)


def refused(approved: Approved, now: Mapping[str, Json]) -> RegfleetError | None:
    """The error if a plan has changes that the approved one does not have.

    What was approved and is not needed any more is no error.

    Args:
        now: the document of the plan that is about to be carried out, with diffs.
    """
    if approved.fleet != now["fleet"]:
        return UsageError(
            f"the approved plan is of the fleet {approved.fleet!r}, this one is {now['fleet']!r}",
            "give the plan of this fleet file",
        )
    hosts = now["hosts"]
    others = [
        f"{name}: {change['resource']} ({change['action']})"
        for name, host in (hosts.items() if isinstance(hosts, dict) else ())
        for change in _changes(host)
        if _key(change) not in [_key(each) for each in _changes(approved.hosts.get(name))]
    ]
    if not others:
        return None
    more = [f"and {len(others) - _SHOWN} more"] if len(others) > _SHOWN else []
    found = "\n  ".join([*others[:_SHOWN], *more])
    return NotApprovedError(
        f"nothing was changed: hosts need changes that the approved plan does not have\n  {found}",
        "plan again, and have that approved",
    )


def _changes(host: Json) -> list[dict[str, Json]]:
    changes = host.get("changes") if isinstance(host, dict) else None
    return changes if isinstance(changes, list) else []  # type: ignore[return-value] # see `read`


def _key(change: Mapping[str, Json]) -> str:
    """What has to be equal for two changes to be the same."""
    return json.dumps([change.get("resource"), *(change.get(key) for key in _COMPARED)])
