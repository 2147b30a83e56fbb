"""The command line of a copy."""

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from typing import Callable, List, Optional

from regfleet.replication.engine.problems import Problem, clean
from regfleet.replication.engine.run import Run, last_run

EVERY = 2.0  # seconds between lines of progress


def progress_lines(descriptor: int) -> Callable[[int, int, int], None]:
    """A `progress` of a run that writes lines, as regfleet's shell/how_far.py reads them."""
    last = [time.monotonic()]

    def tell(done: int, of: int, size: int) -> None:
        if time.monotonic() - last[0] >= EVERY:
            last[0] = time.monotonic()
            with contextlib.suppress(OSError):  # nobody listens any more
                os.write(descriptor, f"@progress tags {done} {of} {size} 0\n".encode("ascii"))

    return tell


def main(arguments: Optional[List[str]] = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(description="Copy images from one registry to another.")
    parser.add_argument("settings", help="a JSON file")
    parser.add_argument("--dry-run", action="store_true", help="compare, change nothing")
    parser.add_argument(
        "--every", type=int, default=0, help="do nothing when the last run began less seconds ago"
    )
    parser.add_argument("--progress", type=int, help="a descriptor for lines of progress")
    options = parser.parse_args(arguments)
    tell = None if options.progress is None else progress_lines(options.progress)
    try:
        with open(options.settings, encoding="utf-8") as file:
            run = Run(json.load(file), options.dry_run, tell)
        began = last_run(run.settings.get("record"), "started") or 0
        if options.every and began <= time.time() < began + options.every - 30:
            return 0
    except (OSError, ValueError, KeyError, Problem) as error:
        sys.stderr.write(f"{options.settings}: {clean(str(error))}\n")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: run.clock.stop("stopped"))
    result = run.run()
    sys.stdout.write(json.dumps(result) + "\n")
    return {"ok": 0, "away": 75, "busy": 75}.get(result["state"], 1)
