"""The hosts that no smoke test has proven since they were changed: a file in the state directory.

A host is in it from just before its touch until all checks of its smoke test have passed. So a
failed test is repeated, and after a killed run no host wrongly counts as proven.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from regfleet import kept, state_paths
from regfleet.fleet.values import Json
from regfleet.state import StateDirectory

VERSION = 1


@dataclass(frozen=True, slots=True)
class Unproven:
    """Why a host counts as not proven.

    Attributes:
        since: when it was changed, or its test first failed: UTC, `2026-01-31T12:00:00Z`.
        run: the number of the run that changed it; 0 when it has none.
        checks: the failed checks, `REGISTRY/CHECK`; none when it has not been tested since.
    """

    since: str
    run: int = 0
    checks: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """The reason in a few words."""
        return f"{', '.join(self.checks)} failed" if self.checks else "not tested since"


def read(state: StateDirectory) -> dict[str, Unproven]:
    """The unproven hosts, by name.

    Raises:
        StateError: the file cannot be read, or regfleet did not write it.
    """
    found = kept.read(
        state,
        state_paths.UNPROVEN,
        VERSION,
        lambda document: {
            str(name): _parse_entry(each) for name, each in document["hosts"].items()
        },
        "remove it, then smoke-test the fleet: `regfleet smoke FILE`",
    )
    return found or {}


def _parse_entry(document: Mapping[str, Json]) -> Unproven:
    checks = cast("list[Json]", document["checks"])
    return Unproven(
        str(document["since"]), int(cast("int", document["run"])), tuple(map(str, checks))
    )


def write(state: StateDirectory, hosts: Mapping[str, Unproven]) -> None:
    """Replace the file; nothing is written when it does not exist and `hosts` is empty.

    Raises:
        StateError: it cannot be written.
    """
    if not hosts and state.read(state_paths.UNPROVEN) is None:
        return
    sections = {
        name: {"since": each.since, "run": each.run, "checks": list(each.checks)}
        for name, each in sorted(hosts.items())
    }
    state.write_text(
        state_paths.UNPROVEN, json.dumps({"version": VERSION, "hosts": sections}, indent=1) + "\n"
    )
