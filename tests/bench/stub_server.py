"""An SSH server that stands for any number of hosts which are as they should be.

It listens on one port of every address of this machine, so each of 127.0.0.0/8 is a host. The
protocol is real (asyncssh, which shares no code with the client's paramiko): key exchange, host
key, public key login, one channel, one command. The one command that it knows is regfleet's look:
whoever sends the very program that a real host was sent, but for the mark of its run, gets the
very answer that the real host gave, with that mark. Anything else fails, so a run that would change
something, or ask twice in another way, is seen.

    python stub_server.py DIRECTORY

DIRECTORY has `host_key`, `authorized_keys`, `program` (what is asked) and `answer`. The first line
on standard output is the port; it ends when standard input does, and then prints its counts.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import json
import re
import sys
from collections import Counter
from pathlib import Path

import asyncssh

MARK = re.compile(rb"run-[0-9a-f]{12}-[0-9]+")  # frames an answer (shell/frame.py)
PROCESSES = re.compile(rb"pid:\[[0-9]+\]")
BACKLOG = 2048  # regfleet connects to many at once


async def serve(directory: Path) -> None:
    """Serve until standard input ends."""
    program = MARK.sub(b"", (directory / "program").read_bytes()).rstrip(b"\n")
    answer = (directory / "answer").read_bytes()
    counts: Counter[str] = Counter(connections=0, commands=0, refused=0)

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            del conn
            counts["connections"] += 1

    async def command(process: asyncssh.SSHServerProcess[bytes]) -> None:
        counts["commands"] += 1
        asked = await process.stdin.read()
        mark = MARK.search(asked)
        if mark and MARK.sub(b"", asked).rstrip(b"\n") == program:
            address = process.get_extra_info("sockname")[0]
            own = int(ipaddress.IPv4Address(address))  # each host is a machine of its own
            said = PROCESSES.sub(b"pid:[%d]" % own, answer)
            process.stdout.write(MARK.sub(mark[0], said))
        else:
            counts["refused"] += 1
            process.stdout.write(b"sh: this host can only be looked at\n@exit 127\n")
        process.exit(0)

    listening = await asyncssh.listen(
        "0.0.0.0",  # noqa: S104 - every loopback address is a host; the key lets nobody else in
        0,
        server_factory=Server,
        process_factory=command,
        server_host_keys=[str(directory / "host_key")],
        authorized_client_keys=str(directory / "authorized_keys"),
        encoding=None,
        backlog=BACKLOG,
        login_timeout=120,
        compression_algs=["none"],
    )
    gc.freeze()
    sys.stdout.write(f"{listening.get_port()}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    listening.close()
    sys.stdout.write(json.dumps(counts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
