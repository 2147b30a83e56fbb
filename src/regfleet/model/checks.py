"""Checks of the smoke test and their verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the smoke test.

    Attributes:
        name: `REGISTRY/CHECK`, such as `main/push`.
        detail: why it failed or was skipped, or what it found (a digest); may be empty.
    """

    name: str
    verdict: Verdict
    detail: str = ""
