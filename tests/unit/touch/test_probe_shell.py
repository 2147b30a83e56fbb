"""How a host without curl asks its own registry: somebody who only listens is no registry."""

import shutil
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import shells

from regfleet import shell as programs

TOOLS = ("bash", "sed", "timeout", "cat", "grep")
PROGRAM = programs.text("regfleet.touch", "program/4-services.sh")
RUN = 'run() { "$@" </dev/null; }\n'


class Registry(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401 if self.path == "/v2/" else 404)
        self.end_headers()

    def log_message(self, *_):
        """Nothing is logged."""


class Listens(socketserver.BaseRequestHandler):
    """As conmon and docker-proxy do before a container does."""

    def handle(self):
        """Nothing is said."""


@contextmanager
def served(handler):
    server = HTTPServer if handler is Registry else socketserver.TCPServer
    with server(("127.0.0.1", 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        try:
            yield found.server_address[1]
        finally:
            found.shutdown()
            thread.join()


@pytest.fixture
def tools(tmp_path):
    """A search path without curl and without engines."""
    for name in TOOLS:
        (tmp_path / name).symlink_to(Path(shutil.which(name)))
    return str(tmp_path)


@pytest.mark.parametrize("shell", shells.parameters())
@pytest.mark.parametrize(
    ("handler", "question", "answers"),
    [
        (Registry, "http:200,401:/v2/", True),
        (Registry, "http:200:/v2/", False),
        (Registry, "http:404:/health", True),
        (Listens, "http:200,401:/v2/", False),
        (Listens, "tcp", True),
    ],
)
def test_a_registry_is_asked_where_there_is_no_curl(shell, tools, handler, question, answers):
    with served(handler) as port:
        call = f"PATH={tools}\nprobe 127.0.0.1:{port} {question} && echo yes || echo no"
        assert shells.lines(shell, f"{PROGRAM}\n{RUN}{call}") == ["yes" if answers else "no"]


@pytest.mark.parametrize("shell", shells.parameters())
def test_nobody_answers_where_nobody_listens(shell, tools):
    with served(Registry) as port:
        pass
    call = f"PATH={tools}\nprobe 127.0.0.1:{port} http:200,401:/v2/ || echo no"
    assert shells.lines(shell, f"{PROGRAM}\n{RUN}{call}") == ["no"]
