"""One machine of a registry after the other, where pyinfra begins with all hosts at once.

`rollout` is what puts hosts in order where regfleet does so itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Condition

from regfleet.fleet.model import Fleet

UNREACHABLE = "cannot be reached: to change other hosts without it, name them with --limit"
"""What is said of a machine that nobody can connect to: it may be away while others restart."""
INTERRUPTED = "interrupted"
"""Why hosts have no turn any more after Ctrl-C."""
_TOGETHER = 0.5  # seconds within which hosts come that come at once, in any order


class Turns:
    """Who may change which host of a fleet now. For threads, or what gevent has in their place."""

    def __init__(self, fleet: Fleet) -> None:
        self._place = {name: number for number, name in enumerate(fleet.hosts())}
        self._its = {
            name: frozenset(
                its for its, machines in fleet.standing_in(name).items() if len(machines) > 1
            )
            for name in self._place
        }
        self._waiting: set[str] = set()
        self._having: set[str] = set()
        self._failed: dict[str, str] = {}
        self._changed = Condition()
        self._stopped = False

    @contextmanager
    def of(self, host: str) -> Iterator[str]:
        """While this lasts, no other machine of a registry of this host's has its turn.

        Of those that wait, the first in the fleet file's order comes first.

        Yields:
            Why the host is to be left as it is, as another machine failed, or the run was
            interrupted; empty if it is not.
        """
        its = self._its[host]
        if its:
            with self._changed:
                self._waiting.add(host)
            time.sleep(_TOGETHER)
            with self._changed:
                self._changed.wait_for(lambda: self._is_next(host))
                self._waiting.remove(host)
                self._having.add(host)
        try:
            yield INTERRUPTED if self._stopped else self._why_not(its)
        finally:
            with self._changed:
                self._having.discard(host)
                self._changed.notify_all()

    def failed(self, host: str, how: str = "failed") -> None:
        """Have the other machines of this host's registries left as they are.

        Args:
            host: in its turn, or when nobody has one.
            how: what became of it, as in `failed`.
        """
        for name in self._its.get(host, ()):  # an inventory may have hosts of no fleet
            self._failed.setdefault(name, f"{host} {how}")

    def stop(self) -> None:
        """Let nobody have a turn any more. It takes no lock: a handler of signals calls it."""
        self._stopped = True

    def _why_not(self, its: Iterable[str]) -> str:
        failed = next((name for name in sorted(its) if name in self._failed), "")
        return f"the registry {failed} on {self._failed[failed]}" if failed else ""

    def _is_next(self, host: str) -> bool:
        before = {each for each in self._waiting if self._place[each] < self._place[host]}
        return all(self._its[host].isdisjoint(self._its[each]) for each in self._having | before)
