"""Checks and their verdicts, and how the client's lines become them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

Verdict = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the smoke test.

    Attributes:
        name: `REGISTRY/CHECK`, such as `main/push`.
        detail: why it failed or was skipped, or what it saw (a digest); may be empty.
    """

    name: str
    verdict: Verdict
    detail: str = ""


def parse(lines: Iterable[str]) -> tuple[Check, ...]:
    """The checks among a client's lines, in their order.

    A test that did not come to its end has failed, whatever it had passed before.
    """
    checks = []
    ended = False
    for line in lines:
        ended = ended or line.rstrip() == "@end"
        words = line.split(" ", 4)
        if words[0] == "@check" and len(words) > 3 and words[3] in ("passed", "failed", "skipped"):  # noqa: PLR2004 - `@check REGISTRY CHECK VERDICT [DETAIL]`
            detail = words[4] if len(words) > 4 else ""  # noqa: PLR2004
            checks.append(Check(f"{words[1]}/{words[2]}", cast("Verdict", words[3]), detail))
    if checks and not ended:
        registry = checks[-1].name.partition("/")[0]
        detail = "the test was cut off: the connection broke, or the host ended it"
        checks.append(Check(f"{registry}/end", "failed", detail))
    return tuple(checks)


def pushed_digest(checks: Iterable[Check], registry: str) -> str | None:
    """The digest that a client pushed to a registry, or None when it did not get that far."""
    return next(
        (
            check.detail
            for check in checks
            if check.name == f"{registry}/push" and check.detail.startswith("sha256:")
        ),
        None,
    )
