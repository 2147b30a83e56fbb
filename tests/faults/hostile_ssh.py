"""An SSH server of many hosts, each of which ill-treats its client in one way.

One address of 127.66.0.0/16 is one host, in the order of `BEHAVIOURS`; all listen on one port. The
protocol is asyncssh's, which shares no code with the client's paramiko: what is kept back, and what
is sent beyond SSH's own bounds, is done to its connections.

    python hostile_ssh.py DIRECTORY

DIRECTORY has `host_key` and `authorized_keys`. The first line on standard output is the port; it
ends when standard input does.
"""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from functools import partial
from pathlib import Path

import asyncssh

# Messages by number (RFC 4253, 12; RFC 4252, 6; RFC 4254, 9).
IGNORE, DEBUG, AUTH_FAILURE, AUTH_SUCCESS, BANNER = 2, 4, 51, 52, 53
OPENED, REFUSED, ADJUST, END, CLOSE, REQUEST, DONE, FAILED = 91, 92, 93, 96, 97, 98, 99, 100
DATA, EXTENDED = 94, 95

LOOK = (
    "@uid 0\n@clock 1754200000\n@init systemd\n@packages apt-get\n@os debian 13\n"
    "@engine missing\n@end\n"
)
MARK = re.compile(rb"run-[0-9a-f]{12}-[0-9]+")  # frames an answer (shell/frame.py)
DEEP = "[" * 100_000

ANSWERS = {  # what is said to any command; then all ends as it should
    "healthy": LOOK,
    "says_nothing": "",
    "cut_short": LOOK[:60],
    "no_text": "@uid 0\n\xff\xfe\x80\n",
    "nested_json": LOOK.replace("@engine missing", f"@engine up\n@info {DEEP}"),
    "long_number": LOOK.replace("@uid 0", "@uid " + "9" * 5000),
    "clock_of_ages": LOOK.replace("1754200000", "1" + "0" * 400),
    "dear_json": LOOK.replace("@engine missing", f"@engine up\n@info [{'[],' * 2_600_000}[]]"),
    "endless_number": LOOK.replace(
        "@engine missing", '@engine up\n@info {"ContainersRunning": 1e999}'
    ),
    "mirrors_that_are_no_texts": LOOK.replace(
        "@engine missing",
        '@engine up\n@info {"ServerVersion": "28.5.2", "RegistryConfig": {"Mirrors": [[1], {}]}}',
    ),
}
# Messages that are never sent, and the answer that comes without them.
KEPT_BACK = {
    "never_lets_in": {AUTH_SUCCESS, AUTH_FAILURE},
    "never_opens_a_channel": {OPENED, REFUSED},
    "never_starts_the_command": {DONE, FAILED},
    "never_ends": {END, CLOSE, REQUEST},
    "never_takes_the_input": {ADJUST},
    "no_exit_status": {REQUEST},
}
FLOODS = ("endless_output", "output_beyond_the_window", "one_endless_line", "endless_complaints")
BANNERS = "endless_login_banner"
RAW = (
    "silent",
    "endless_banner",
    "dripping_banner",
    "huge_packet",
    "silent_after_the_banner",
    "closes_at_once",
)
BEHAVIOURS = (
    *ANSWERS,
    *KEPT_BACK,
    *FLOODS,
    *RAW,
    "drips",
    "floods_with_what_is_ignored",
    BANNERS,
)


def address(behaviour: str) -> str:
    """The address of the host that does so."""
    return f"127.66.0.{BEHAVIOURS.index(behaviour) + 1}"


async def raw(behaviour: str, writer: asyncio.StreamWriter) -> None:
    """What needs no SSH."""
    if behaviour == "closes_at_once":
        writer.close()
        return
    if behaviour in ("huge_packet", "silent_after_the_banner"):
        writer.write(b"SSH-2.0-hostile\r\n")
    if behaviour == "huge_packet":
        writer.write(b"\x7f\xff\xff\xfc\x04")
    while behaviour in ("endless_banner", "huge_packet"):
        writer.write(b"x" * 65536)
        await writer.drain()
    while True:
        if behaviour == "dripping_banner":
            writer.write(b"x")
        await asyncio.sleep(0.2)


async def serve_raw(behaviour: str, sock: socket.socket) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        try:
            await raw(behaviour, writer)
        except OSError:
            writer.close()

    await asyncio.start_server(connected, sock=sock)


async def serve_ssh(behaviour: str, sock: socket.socket, directory: Path) -> None:
    kept_back = KEPT_BACK.get(behaviour, set())

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            self.conn = conn
            send = conn.send_packet

            def send_some(kind: int, *arguments: bytes, **further: object) -> None:
                if kind not in kept_back:
                    send(kind, *arguments, **further)

            conn.send_packet = send_some

        def begin_auth(self, username: str) -> bool:
            del username
            if behaviour == BANNERS:
                self.task = asyncio.ensure_future(flood(self.conn, BANNER))
            return True

        def auth_completed(self) -> None:
            if behaviour == "floods_with_what_is_ignored":
                self.task = asyncio.ensure_future(flood(self.conn, IGNORE))

    await asyncssh.listen(
        sock=sock,
        server_factory=Server,
        process_factory=partial(command, behaviour),
        server_host_keys=[str(directory / "host_key")],
        authorized_client_keys=str(directory / "authorized_keys"),
        encoding=None,
        login_timeout=3600,
        window=4096 if behaviour == "never_takes_the_input" else 2 << 20,
    )


async def command(behaviour: str, process: asyncssh.SSHServerProcess[bytes]) -> None:
    """What the one command that is ever sent is answered."""
    try:
        if behaviour in FLOODS:
            await pour(behaviour, process)
        if behaviour in ("never_takes_the_input", "floods_with_what_is_ignored", BANNERS):
            await asyncio.sleep(3600)
        while behaviour == "drips":
            process.stdout.write(b"x")
            await asyncio.sleep(0.2)
        asked = await process.stdin.read()
        text = framed(behaviour, MARK.search(asked))
        process.stdout.write(text.encode("latin-1"))
        process.exit(0)
    except (OSError, asyncssh.Error):
        pass


def framed(behaviour: str, mark: re.Match[bytes] | None) -> str:
    """What is said to a program, in the frame of its mark; what is cut short has no end."""
    text = ANSWERS.get(behaviour, LOOK)
    word = mark[0].decode() if mark else "none"
    ending = "" if behaviour in ("says_nothing", "cut_short") else f"@end {word}\n@exit 0\n"
    return f"\n@begin {word}\n{text}{ending}" if text else ""


async def flood(conn: asyncssh.SSHServerConnection, kind: int) -> None:
    """Messages without end, as fast as they are taken."""
    text = b"\0\0\x40\0" + b"x" * 0x4000
    while True:
        conn.send_packet(kind, text, b"\0\0\0\0") if kind == BANNER else conn.send_packet(
            kind, text
        )
        await taken(conn)


async def pour(behaviour: str, process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Output without end, as fast as it is taken."""
    channel = process.channel
    conn = channel.get_connection()
    line = b"x" * 99 + (b"x" if behaviour == "one_endless_line" else b"\n")
    to = process.stderr if behaviour == "endless_complaints" else process.stdout
    while True:
        if behaviour == "output_beyond_the_window":
            channel._send_window = 1 << 40
        to.write(line * 300)
        if behaviour != "output_beyond_the_window":
            await to.drain()
        await taken(conn)


async def taken(conn: asyncssh.SSHServerConnection) -> None:
    """Wait until the other side has taken most of what was written."""
    while conn._transport.get_write_buffer_size() > 1 << 20:
        await asyncio.sleep(0.01)
        if conn.is_closed() or conn._transport.is_closing():
            raise ConnectionResetError
    await asyncio.sleep(0)


async def serve(directory: Path) -> None:
    port = 0
    for behaviour in BEHAVIOURS:
        sock = socket.create_server((address(behaviour), port))
        port = sock.getsockname()[1]
        if behaviour in RAW:
            await serve_raw(behaviour, sock)
        else:
            await serve_ssh(behaviour, sock, directory)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
