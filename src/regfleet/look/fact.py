"""The look as a pyinfra fact: one command, its program on standard input."""

from __future__ import annotations

from pyinfra.api import FactBase

from regfleet.run.command import shell_command


class HostLook(FactBase[list[str]]):
    """The raw lines of one look; ask for it with `_stdin` set to `look.request.render(...)`.

    Not parsed here: pyinfra prints facts at `-vv`, and the lines hold no secret.
    """

    def command(self, sudo: bool = False) -> str:
        """The remote command; `sudo` as in the fleet file."""
        return shell_command("sh -s", sudo=sudo)

    @staticmethod
    def default() -> list[str]:
        """No look: the connection broke."""
        return []

    def process(self, output: list[str]) -> list[str]:
        """The lines as they came."""
        return list(output)
