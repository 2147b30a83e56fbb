"""A machine with nothing else to do: waited for before a measurement, and watched during it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from timing import Timing

from regfleet.rehearse.images import Progress
from regfleet.rehearse.twin import Twin

IDLE = 0.08  # of all processors: what others may use beyond what hosts do that have nothing to do
PATIENCE = 60.0  # seconds to wait for that; then it is measured all the same, and said
TRIES = 3
_floor: list[float] = []  # what the hosts do at rest: the least that was seen
_TICK = os.sysconf("SC_CLK_TCK")
_CGROUPS = (
    ("/sys/fs/cgroup/cpuacct/docker/{}/cpuacct.usage", 1e9),
    ("/sys/fs/cgroup/system.slice/docker-{}.scope/cpu.stat", 1e6),
    ("/sys/fs/cgroup/docker/{}/cpu.stat", 1e6),
)


def measured(
    run: Callable[[], Timing],
    twin: Twin | None,
    say: Progress,
    *,
    before: Callable[[], None] = lambda: None,
) -> tuple[Timing, float]:
    """A run while nobody else uses the machine; repeated when somebody does.

    Args:
        run: runs a command and measures it.
        twin: hosts whose processor time belongs to the run.
        before: what has to be done before each try.

    Returns:
        The run, and the share of all processors that others used meanwhile (0 where the time of
        the hosts cannot be told).
    """
    paths = _paths(twin) if twin else []
    best: tuple[float, Timing] | None = None
    for _ in range(TRIES):
        before()
        awaited(say)
        began, busy, hosts = time.monotonic(), _busy(), _spent(paths)
        took = run()
        elapsed = time.monotonic() - began
        ours = took.cpu + _spent(paths) - hosts
        share = (_busy() - busy - ours) / (elapsed * (os.cpu_count() or 1))
        others = max(0.0, share) if paths or not twin else 0.0
        if best is None or others < best[0]:
            best = (others, took)
        if others <= IDLE + _floor[0]:
            break
        say(f"somebody else used {others:.0%} of the machine: again")
    others, took = best or (0.0, took)
    return took, others


def awaited(say: Progress) -> None:
    """Wait until the machine has done no more than at rest for two seconds."""
    deadline, said = time.monotonic() + PATIENCE, False
    while time.monotonic() < deadline:
        busy = _busy()
        time.sleep(2)
        share = (_busy() - busy) / (2 * (os.cpu_count() or 1))
        _floor[:] = [min(share, *_floor)] if _floor else [share]
        if share <= IDLE + _floor[0]:
            return
        if not said:
            say("waiting for the machine to be idle")
            said = True
    say("the machine is not idle; measured all the same")


def _busy() -> float:
    """Processor seconds that were not idle since the machine started (proc(5), /proc/stat)."""
    user, nice, system, _, _, *rest = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(map(int, (user, nice, system, *rest[:3]))) / _TICK


def _paths(twin: Twin) -> list[tuple[Path, float]]:
    found = []
    for host in twin.hosts.values():
        identifier = twin.docker.run("inspect", "--format", "{{.Id}}", host.container)
        for pattern, unit in _CGROUPS:
            path = Path(pattern.format(identifier))
            if path.exists():
                found.append((path, unit))
                break
    return found if len(found) == len(twin.hosts) else []


def _spent(paths: list[tuple[Path, float]]) -> float:
    """Processor seconds of control groups (version 1: nanoseconds; version 2: `usage_usec N`)."""
    return sum(int(path.read_text().split("\n", 1)[0].split()[-1]) / unit for path, unit in paths)
