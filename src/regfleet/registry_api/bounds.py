"""Bounds the time and the memory that regfleet spends on a registry.

A hostile registry may send a byte a minute, `100 Continue` for ever, pages without end, or a
million names. A timeout for each wait does not stop that, so each operation as a whole has bounds:
one request (connecting, TLS, interim answers, headers, body), one list with all its pages, and all
requests to one registry.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass

from regfleet.errors import UsageError
from regfleet.registry_api.errors import RegistryError

MIB = 1024 * 1024
SECONDS_VARIABLE = "REGFLEET_REGISTRY_SECONDS"
"""The variable that sets how long one request may take; the other times scale with it."""

MOST_PAGES = 2000  # for one list
MOST_NAMES = 100_000  # for one list


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of one operation.

    Attributes:
        seconds: the most time for the whole operation.
        size: the most bytes received, of any kind.
    """

    seconds: float
    size: int


REQUEST = Bounds(30, 8 * MIB)  # distribution takes manifests of up to 4 MiB
LIST = Bounds(60, 32 * MIB)  # all pages of repositories, or of one repository's tags
CONVERSATION = Bounds(150, 128 * MIB)  # all requests of one command to a registry
READ_ALL = Bounds(1800, 2048 * MIB)  # the same for `images`, which reads every manifest


class Allowance:
    """The remaining time and bytes of an operation; the time runs from its construction.

    Args:
        bounds: the operation's bounds; `SECONDS_VARIABLE` scales the time.
        what: the operation, for messages: `r:5000: GET /v2/`.
        within: the allowance of the operation that this one is a part of.

    Raises:
        UsageError: `SECONDS_VARIABLE` is not a number of seconds.
    """

    def __init__(self, bounds: Bounds, what: str, within: Allowance | None = None) -> None:
        self._seconds = bounds.seconds * _time_factor()
        self._end = time.monotonic() + self._seconds
        self._size = self._left = bounds.size
        self._what = what
        self._within = within

    def seconds(self) -> float:
        """The seconds that are left, more than 0.

        Raises:
            RegistryError: `timeout`, no time is left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise RegistryError(
                "timeout",
                f"{self._what}: not finished after {self._seconds:g} s",
                f"is it overloaded? {SECONDS_VARIABLE} gives each request more seconds",
            )
        return min(left, self._within.seconds()) if self._within else left

    def take(self, size: int) -> None:
        """Count bytes that were received.

        Raises:
            RegistryError: `protocol`, there are too many.
        """
        self._left -= size
        if self._left < 0:
            raise endless(self._what, f"more than {self._size // MIB} MiB")
        if self._within:
            self._within.take(size)


def endless(what: str, more: str) -> RegistryError:
    """The error for an answer that exceeds a bound.

    Args:
        what: the operation.
        more: the bound: `more than 8 MiB`.
    """
    hint = "is another service on that port, or something in between that repeats answers?"
    return RegistryError("protocol", f"{what}: an endless answer, {more}", hint)


def _time_factor() -> float:
    """The factor by which `SECONDS_VARIABLE` scales all times."""
    said = os.environ.get(SECONDS_VARIABLE, "")
    if not said:
        return 1.0
    try:
        seconds = float(said)
    except ValueError:
        seconds = 0
    if not (math.isfinite(seconds) and seconds > 0):
        raise UsageError(
            f"{SECONDS_VARIABLE} is {said!r}, which is not a number of seconds",
            f"unset it for the default of {REQUEST.seconds:g}",
        )
    return seconds / REQUEST.seconds
