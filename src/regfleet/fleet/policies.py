"""What is to happen across registries and hosts: copies, promotions, roll-out, smoke test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from regfleet.fleet.registries import Proxy

Conflict = Literal["overwrite", "keep"]
RunOn = Literal["target", "source", "controller"]


@dataclass(frozen=True, slots=True)
class Replication:
    """Copies of images from one registry to others.

    Attributes:
        source, targets: declared registries' names.
        repositories, exclude, tags: shell patterns; `*` stands for slashes too.
        every: seconds between runs of its own; 0 for none.
        delete: whether deletions follow.
        max_delete: the most tags that a run may delete: a number, or percent of what was brought.
        logins: the user at each registry that wants one.
        http_proxy: by which external registries are reached from where it runs; None for none.
    """

    name: str
    source: str
    targets: tuple[str, ...]
    repositories: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    tags: tuple[str, ...] = ("*",)
    every: int = 0
    delete: bool = False
    max_delete: int | str = "20%"
    conflict: Conflict = "overwrite"
    parallel: int = 8
    run_on: RunOn = "target"
    logins: Mapping[str, str] = field(default_factory=dict, hash=False)
    http_proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """An end of a promotion: the repositories of a registry whose names begin with a prefix."""

    registry: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A stage that images are promoted to.

    Attributes:
        min_age: seconds that an image has to be in the source; 0 for any.
        checks: shell commands that have to end with 0.
        approve: accounts, one of which has to promote or approve; empty for nobody.
        keep_previous: how many earlier images of a tag stay.
        logins: the user at each registry that wants one.
        http_proxy: by which external registries are reached from here; None for none.
    """

    name: str
    source: Stage
    target: Stage
    min_age: int = 0
    checks: tuple[str, ...] = ()
    approve: tuple[str, ...] = ()
    keep_previous: int = 3
    logins: Mapping[str, str] = field(default_factory=dict, hash=False)
    http_proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a change spreads.

    Attributes:
        batch: hosts (int) or percent of all hosts (str, `20%`).
        max_failures: `apply` stops when more hosts than this have failed; None to never stop.
    """

    canary: int
    batch: int | str
    max_failures: int | None


ALL_AT_ONCE = Rollout(canary=0, batch="100%", max_failures=None)  # without a [rollout] table


@dataclass(frozen=True, slots=True)
class Smoke:
    """What the smoke test pushes and pulls."""

    image: str
    image_archive: Path | None
