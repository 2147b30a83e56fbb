"""When each tag of a registry was pushed last: a program that reads its storage, and the answer."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from regfleet import clocks, shell
from regfleet.errors import HostError
from regfleet.model.retention import Pushed
from regfleet.registry_api import answers
from regfleet.registry_api.deletion import PLACE_TAKEN
from regfleet.shell import frame
from regfleet.shell.frame import framed, stray

_WORDS = ("@tag", "@left", "@torn")
_FIELDS = 5  # of a line `@tag TIME DIGEST REPOSITORY TAG`, or another of these words
_LONGEST_TIME = 11  # digits: the year 5138


def render(storage: str, mark: str) -> str:
    """The program for standard input.

    Args:
        storage: the directory of the registry's data on its host.
    """
    program = shell.program("regfleet.retention", "pushed.sh")
    given = f"storage={quote(storage)}\nplace_taken={quote(PLACE_TAKEN)}\n"
    own = "lists=$(mktemp -d) || exit 1\n"
    return frame.around(mark, f"{given}{own}{program}")


def parse(host: str, lines: Iterable[str], mark: str, now: float) -> list[Pushed]:
    """The tags, by repository and name.

    Args:
        now: seconds since 1970, by this machine's clock.

    Raises:
        HostError: the answer is incomplete, or cannot be parsed; or the host's clock is another.
    """
    answer = framed(lines, mark)
    said = [line.rstrip("\n") for line in answer.lines]
    if not answer.ended or "@all" not in said:
        raise HostError(
            host,
            f"the times of the tags could not be read ({stray(answer) or 'no output'})",
            "run it again; if it stays so, see whether the registry's storage can be read",
        )
    _require_same_clock(host, said, now)
    found = [_tag(host, line) for line in said if line.partition(" ")[0] in _WORDS]
    return sorted(found, key=lambda tag: (tag.repository, tag.name))


def _require_same_clock(host: str, said: Iterable[str], now: float) -> None:
    """Refuse to tell ages where nobody knows whose clock is right."""
    at = next((line.partition(" ")[2] for line in said if line.startswith("@now ")), "")
    if not (at.isascii() and at.isdecimal() and len(at) <= _LONGEST_TIME):
        raise HostError(host, "its clock cannot be read", "run `date` there")
    apart = abs(int(at) - now)
    if apart > clocks.APART:
        days, hours = divmod(int(apart) // 3600, 24)
        raise HostError(
            host,
            f"its clock and this machine's are {days} days and {hours} hours apart: how old its "
            "tags are is not known",
            "set the clock that is wrong (`date`, `timedatectl`); until then everything stays",
        )


def _tag(host: str, line: str) -> Pushed:
    fields = line.split(" ")
    if len(fields) == _FIELDS:
        word, at, digest, repository, name = fields
        plain = at.isascii() and at.isdecimal() and len(at) <= _LONGEST_TIME
        names = answers.is_repository(repository) and answers.is_tag(name)
        if plain and names and answers.is_digest(digest):
            return Pushed(
                repository, name, digest, int(at), unfinished=word == "@left", torn=word == "@torn"
            )
    raise HostError(
        host,
        "what it says of a tag cannot be parsed",
        "see whether another program writes into the registry's storage",
    )
