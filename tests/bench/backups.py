"""Backups of a storage on this machine, beside `cp -a` and `tar` of the same files.

    python tests/bench/backups.py [--images 300] [--kilobytes 200]

Needs root, dash and GNU's tools. Prints one JSON document: seconds of a first backup, of one with
nothing new, of one with 20 more images, of a restore into an empty storage (with its audit) and of
an audit alone; and how many times as long each takes as `cp -a` of the whole storage.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests/unit/jobs")]

from made_store import Store  # noqa: E402 - of the tests beside

from regfleet.jobs.audit import Audit  # noqa: E402
from regfleet.jobs.backup import BackupJob, BackupSubject, Place  # noqa: E402
from regfleet.jobs.collection import Subject  # noqa: E402
from regfleet.jobs.interface import Job  # noqa: E402
from regfleet.jobs.restore import RestoreJob  # noqa: E402
from regfleet.touch.protocol import call, program  # noqa: E402


def images(store: Store, first: int, count: int, size: int) -> None:
    """Images of two layers and a configuration each, of random bytes."""
    for number in range(first, first + count):
        layers = [store.blob(os.urandom(size)) for _ in range(2)]
        config = store.blob(f"config of {number}".encode())
        store.layers(f"team/app{number % 20}", config, *layers)
        parts = [{"digest": each} for each in layers]
        document = {"config": {"digest": config}, "layers": parts}
        store.manifest(f"team/app{number % 20}", document, f"{number}.0")


def seconds(base: Path, job: Job[object]) -> float:
    """The time that a job's own shell takes, without a connection."""
    steps = "\n".join(f"step {call(*step)}" for step in job.steps())
    text = f"""{program("docker")}
{job.functions()}
BASE={base} RUNS={base} locked=1 whose=acme roomy={base}/work
roomy_directory() {{ :; }}
any_ours() {{ :; }}
collection_asks() {{ code=200; }}
rm -rf {base}/work; mkdir -p {base}/work
{steps}
"""
    began = time.monotonic()
    done = subprocess.run(["dash"], input=text, capture_output=True, text=True, check=True)
    took = time.monotonic() - began
    if "@failed" in done.stdout:
        raise SystemExit(done.stdout)
    return took


def plainly(*words: str) -> float:
    """The time of another program, with what it wrote on the disk."""
    began = time.monotonic()
    subprocess.run(words, check=True, capture_output=True)
    subprocess.run(["sync"], check=True)
    return time.monotonic() - began


@click.command()
@click.option("--images", "count", default=300)
@click.option("--kilobytes", default=200, help="Of a layer.")
def main(count: int, kilobytes: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        store, empty = Store(here / "images"), Store(here / "new")
        images(store, 0, count, kilobytes << 10)
        subprocess.run(["sync"], check=True)
        place = Place(str(here / "kept"), False, "acme", "main")
        subject = BackupSubject("regfleet-main", "any", str(store.place), place, 14)

        def of(into: Store) -> Subject:
            return Subject("regfleet-main", "any", "", "", "", str(into.place), (), "")

        base = here / "base"
        found = {"cp -a": plainly("cp", "-a", str(store.place), str(here / "copy"))}
        found["tar"] = plainly("tar", "-cf", str(here / "copy.tar"), "-C", str(here), "images")
        found["first backup"] = seconds(base, BackupJob((subject,)))
        found["nothing new"] = seconds(base, BackupJob((subject,)))
        images(store, count, 20, kilobytes << 10)
        found["20 more images"] = seconds(base, BackupJob((subject,)))
        found["restore and audit"] = seconds(base, RestoreJob(of(empty), place))
        found["audit"] = seconds(base, Audit((of(store),)))
        times = {name: round(each / found["cp -a"], 2) for name, each in found.items()}
        figures = {name: round(each, 2) for name, each in found.items()}
        click.echo(json.dumps({"images": count, "seconds": figures, "of cp -a": times}, indent=1))


if __name__ == "__main__":
    main()
