"""What a container's users notice of a change: one request every 10 ms, answers counted.

The container runs busybox httpd on a host's published port; the requests come from outside the
host, each on a connection of its own, at fixed times whatever became of the one before.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from regfleet.rehearse.twin import TwinHost

PORT = 8099
INTERVAL = 0.01
PATIENCE = 2.0  # a request that took longer is lost
SETTLE = 0.5  # seconds before and behind the change
NAME = "bench-answers"
ARCHIVE = "/var/tmp/bench-busybox.tar"  # on the host
REQUEST = b"GET / HTTP/1.0\r\n\r\n"


@dataclass(slots=True)
class Impact:
    """What became of the requests.

    Attributes:
        sent, lost: how many.
        longest: seconds between two answers, the most.
        seconds: how long the change took.
        reasons: why requests were lost, each once.
    """

    sent: int = 0
    lost: int = 0
    longest: float = 0.0
    seconds: float = 0.0
    reasons: set[str] = field(default_factory=set)


def start(host: TwinHost, busybox: Path) -> None:
    """Run the container that answers; one that ran before goes."""
    host.docker.run("cp", str(busybox), f"{host.container}:{ARCHIVE}")
    host.read(
        f"""
        set -e
        docker image inspect busybox >/dev/null 2>&1 || docker load -q -i {ARCHIVE}
        docker rm -f {NAME} >/dev/null 2>&1 || :
        docker run -d --name {NAME} -p {PORT}:{PORT} busybox sh -c \
            'mkdir -p /www && echo here >/www/index.html && exec busybox httpd -f -p {PORT} -h /www'
        rm -f {ARCHIVE}
        """
    )
    deadline = time.monotonic() + 20
    while asyncio.run(_one(host.address)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the container on {host.name} does not answer")
        time.sleep(0.1)


def stop(host: TwinHost) -> None:
    """Remove the container that answers."""
    host.run(f"docker rm -f {NAME}")


def during(host: TwinHost, change: Callable[[], object]) -> Impact:
    """Ask all the time while `change` is at work.

    Raises:
        Exception: whatever `change` raised.
    """
    impact = Impact()
    over = threading.Event()
    asking = threading.Thread(target=lambda: asyncio.run(_ask(host.address, impact, over)))
    asking.start()
    try:
        time.sleep(SETTLE)
        began = time.monotonic()
        change()
        impact.seconds = time.monotonic() - began
        time.sleep(SETTLE)
    finally:
        over.set()
        asking.join()
    return impact


async def _ask(address: str, impact: Impact, over: threading.Event) -> None:
    last = time.monotonic()

    async def one() -> None:
        nonlocal last
        impact.sent += 1
        why = await _one(address)
        if why:
            impact.lost += 1
            impact.reasons.add(why)
            return
        now = time.monotonic()
        impact.longest = max(impact.longest, now - last)
        last = now

    asked = set()
    due = time.monotonic()
    while not over.is_set():
        asked.add(asyncio.create_task(one()))
        due += INTERVAL
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    await asyncio.gather(*asked)


async def _one(address: str) -> str:
    """Why there was no answer; empty when there was."""
    try:
        answer = await asyncio.wait_for(_page(address), PATIENCE)
    except (OSError, asyncio.TimeoutError) as error:
        return type(error).__name__
    return "" if b"here" in answer else "no page"


async def _page(address: str) -> bytes:
    reader, writer = await asyncio.open_connection(address, PORT)
    try:
        writer.write(REQUEST)
        return await reader.read()
    finally:
        writer.close()
