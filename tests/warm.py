"""The command line in a process that has imported it already: a fork runs it, as a new one would.

To import regfleet and what it uses takes most of a command's processor time, and tests run
thousands. What differs from a new process: the modules are there, with the limits of time that
`REGFLEET_..._SECONDS` give (ssh/limits.py), and sockets are gevent's from the beginning. Tests that
look at that take a new one (`regfleet(..., fresh=True)`).
"""

import array
import contextlib
import gc
import io
import json
import os
import pkgutil
import posix  # what gevent replaces in `os`, as it is
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

_OTHER_PROGRAMS = ("regfleet.__main__", "regfleet.deploy", "regfleet.replication.engine")
_LAZY = ("pyinfra.api", "paramiko", "jinja2.environment", "rich.console", "urllib3")
_MOST_REQUEST = 1 << 24  # bytes


class Warm:
    """The side of the tests; the process starts with the first command."""

    def __init__(self, source):
        self._source, self._lock = source, threading.Lock()
        self._process = self._socket = None

    def close(self):
        """End it; what it runs goes on."""
        if self._process:
            self._socket.close()
            self._process.wait(30)

    def run(self, words, environment, stdin, timeout):
        """As `subprocess.run(..., input=stdin, capture_output=True, text=True)`."""
        inward, outward, errors = os.pipe(), os.pipe(), os.pipe()
        told, tells = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = os.memfd_create("request")
        os.write(request, json.dumps([words, environment, str(Path.cwd())]).encode())
        its = [inward[0], outward[1], errors[1], tells.detach(), request]
        with self._lock:
            self._start()
            socket.send_fds(self._socket, [b"!"], its)
        for each in its:
            os.close(each)
        command = ["regfleet", *words]
        with told:
            pid = int(told.recv(32))
            output = [_Reader(outward[0]), _Reader(errors[0])]
            with contextlib.suppress(BrokenPipeError), os.fdopen(inward[1], "wb") as stream:
                stream.write(stdin.encode())
            told.settimeout(timeout)
            end = time.monotonic() + timeout
            try:
                status = int(told.recv(32))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(command, timeout) from None
        for each in output:  # what the command left behind may still have its end of a pipe
            each.join(max(0, end - time.monotonic()))
            if each.is_alive():
                raise subprocess.TimeoutExpired(command, timeout)
        code = os.waitstatus_to_exitcode(status)
        return subprocess.CompletedProcess(command, code, *(each.text() for each in output))

    def _start(self):
        if self._process:
            return
        self._socket, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(there.fileno())],
                env={**os.environ, "PYTHONPATH": str(self._source)},
                pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL,
            )


class _Reader(threading.Thread):
    """Reads a pipe to its end."""

    def __init__(self, descriptor):
        super().__init__(daemon=True)
        self._descriptor, self._content = descriptor, b""
        self.start()

    def run(self):
        with os.fdopen(self._descriptor, "rb") as stream:
            self._content = stream.read()

    def text(self):
        """What was read, when all of it was."""
        return io.TextIOWrapper(io.BytesIO(self._content)).read()


def serve(descriptor):
    """Run what is asked for until the tests end."""
    import_module("gevent.monkey").patch_all()
    for module in pkgutil.walk_packages(import_module("regfleet").__path__, "regfleet."):
        if not module.name.startswith(_OTHER_PROGRAMS):
            import_module(module.name)
    for name in _LAZY:
        import_module(name)
    plain = import_module("gevent.monkey").get_original("socket", "socket")
    asked = plain(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=descriptor)
    gc.collect()
    gc.freeze()
    room = socket.CMSG_SPACE(5 * array.array("i").itemsize)
    while True:
        message, rights, _, _ = asked.recvmsg(1, room)
        if not message:
            return
        given = array.array("i", rights[0][2])
        if posix.fork() == 0:
            posix.close(descriptor)
            _watch(*given)
        for each in given:
            posix.close(each)
        with contextlib.suppress(ChildProcessError):
            while posix.waitpid(-1, os.WNOHANG)[0]:
                pass


def _watch(inward, outward, errors, tells, request):
    """Start a command, and tell how it ended."""
    pid = posix.fork()
    if pid == 0:
        posix.close(tells)
        words, environment, place = json.loads(posix.pread(request, _MOST_REQUEST, 0))
        posix.close(request)
        for number, each in enumerate((inward, outward, errors)):
            posix.dup2(each, number)
            posix.close(each)
        _command(words, environment, place)
    for each in (inward, outward, errors, request):
        posix.close(each)
    with contextlib.suppress(BrokenPipeError):
        posix.write(tells, b"%d" % pid)
        _, status = posix.waitpid(pid, 0)
        posix.write(tells, b"%d" % status)
    posix._exit(0)


def _command(words, environment, place):
    """Do it in this process, which then ends as any other."""
    os.chdir(place)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv[:] = ["regfleet", *words]
    import_module("regfleet.cli").main()
    sys.exit()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
