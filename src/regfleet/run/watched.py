"""Connections that say what a host does for longest: get an image, be asked again."""

from __future__ import annotations

from regfleet.desired.model import Image
from regfleet.look.observed import ObservedHost
from regfleet.registry_api.tunnel import Dial
from regfleet.report.progress import Progress
from regfleet.run.work import Connections


class Watched:
    """The same connections, seen.

    Args:
        connections: the way to the hosts.
        progress: what is told of each step; the state that a host is in says the rest.
    """

    def __init__(self, connections: Connections, progress: Progress) -> None:
        self._connections = connections
        self._progress = progress

    def look(self, name: str, program: str) -> ObservedHost:
        """One look."""
        return self._connections.look(name, program)

    def run(self, name: str, program: str, seconds: int) -> list[str]:
        """Run a program, its output's lines."""
        self._progress.step(name, "")
        return self._connections.run(name, program, seconds)

    def ask_again(self, name: str, program: str) -> list[str]:
        """Connect anew to a host whose connection broke, and run a program there."""
        self._progress.step(name, "the connection broke: asking it again")
        return self._connections.ask_again(name, program)

    def send(self, name: str, image: Image, *, load: str) -> None:
        """Send an image archive."""
        archive = image.archive.name if image.archive else image.reference
        self._progress.step(name, f"sending {archive}")
        self._connections.send(name, image, load=load)

    def tunnel(self, name: str, port: int) -> Dial | None:
        """A way to a port of the host, None where it is this machine."""
        return self._connections.tunnel(name, port)
