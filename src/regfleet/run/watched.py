"""Connections that report slow steps of a host: sending an image, reconnecting."""

from __future__ import annotations

from regfleet.model.observed import ObservedHost
from regfleet.model.service import Image
from regfleet.registry_api.tunnel import Dial
from regfleet.run.progress import Progress
from regfleet.run.work import Connections
from regfleet.shell.how_far import Heard


class Watched:
    """The same connections, with progress.

    Args:
        connections: connections to the hosts.
        progress: receives each step.
    """

    def __init__(self, connections: Connections, progress: Progress) -> None:
        self._connections = connections
        self._progress = progress

    def look(self, name: str, program: str, mark: str) -> ObservedHost:
        """Look at a host."""
        return self._connections.look(name, program, mark)

    def run(self, name: str, program: str, seconds: float, heard: Heard | None = None) -> list[str]:
        """Run a program; the lines of its output."""
        self._progress.step(name, "")
        return self._connections.run(name, program, seconds, heard)

    def ask_again(self, name: str, program: str, seconds: float) -> list[str]:
        """Reconnect to a host and run a program there."""
        self._progress.step(name, "the connection broke: asking it again")
        return self._connections.ask_again(name, program, seconds)

    def send(self, name: str, image: Image, *, load: str, fleet: str = "") -> None:
        """Send an image archive."""
        archive = image.archive.name if image.archive else image.reference
        self._progress.step(name, f"sending {archive}")
        self._connections.send(name, image, load=load, fleet=fleet)

    def tunnel(self, name: str, port: int, address: str = "127.0.0.1") -> Dial | None:
        """A tunnel to a port of the host; None if the host is this machine."""
        return self._connections.tunnel(name, port, address)
