"""The look as a pyinfra fact: one command that reads its program from standard input."""

from __future__ import annotations

from pyinfra.api import FactBase


class HostLook(FactBase[list[str]]):
    """The raw output lines of one look; pass `look.request.render(...)` as `_stdin`.

    Not parsed here: pyinfra prints facts at `-vv`, and the raw lines hold no secret.
    """

    def command(self) -> str:
        """The remote command, as `shell.command` takes it."""
        return "sh -s"

    @staticmethod
    def default() -> list[str]:
        """No lines: the connection broke."""
        return []

    def process(self, output: list[str]) -> list[str]:
        """The lines, unchanged."""
        return list(output)
