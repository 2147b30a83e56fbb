"""Parses the smoke test's output on a client into checks. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from regfleet.model.checks import Check, Verdict
from regfleet.shell.frame import framed

STEPS = ("present", "push", "remove", "pull", "digest", "run")  # as in smoke.sh


def parse(lines: Iterable[str], mark: str, registries: Iterable[str]) -> tuple[Check, ...]:
    """The checks in a client's output, in their order.

    A test that was cut off has failed, whatever it had passed before. A check that the output
    does not mention has failed too.

    Args:
        lines: what the command printed.
        mark: the mark that frames this test's output; lines outside the frame are ignored.
        registries: the names of the registries that the client had to test.

    Returns:
        The checks; none when the test never began.
    """
    answer = framed(lines, mark)
    checks: dict[str, Check] = {}
    for line in answer.lines:
        words = line.split(" ", 4)
        if words[0] == "@check" and len(words) > 3 and words[3] in ("passed", "failed", "skipped"):  # noqa: PLR2004 - `@check REGISTRY CHECK VERDICT [DETAIL]`
            detail = words[4] if len(words) > 4 else ""  # noqa: PLR2004
            name = f"{words[1]}/{words[2]}"
            checks[name] = Check(name, cast("Verdict", words[3]), detail)
    if not checks:
        return ()
    if not answer.ended:
        registry = next(reversed(checks)).partition("/")[0]
        detail = "the test was cut off: the connection broke, or the host ended it"
        return (*checks.values(), Check(f"{registry}/end", "failed", detail))
    silent = [
        Check(f"{registry}/{step}", "failed", "the host did not report this check")
        for registry in registries
        for step in STEPS
        if f"{registry}/{step}" not in checks
    ]
    return (*checks.values(), *silent)


def pushed_digest(checks: Iterable[Check], registry: str) -> str | None:
    """The digest that a client pushed to a registry; None when it pushed nothing."""
    return next(
        (
            check.detail
            for check in checks
            if check.name == f"{registry}/push" and check.detail.startswith("sha256:")
        ),
        None,
    )
