"""What clients of a registry hold and run: a program for each engine, and its answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from shlex import quote

from regfleet import shell
from regfleet.errors import HostError
from regfleet.registry_api import answers
from regfleet.shell import frame
from regfleet.shell.frame import framed, stray

_FIELDS = 4  # of a line `@held REPOSITORY TAG DIGEST`


def can_be_asked(engine: str) -> bool:
    """Whether an engine (its shell word) can be asked what it holds."""
    return files("regfleet.engines").joinpath(f"{engine}.retention.sh").is_file()


def render(engine: str, mark: str, account: str = "", accounts: Sequence[str] = ()) -> str:
    """The program for standard input.

    Args:
        account: whose engine it is; empty for the host's own.
        accounts: those that may hold images of their own beside root.
    """
    functions = shell.program("regfleet.retention", engines=(engine,))
    given = f"engine={quote(engine)} engine_account={quote(account)}"
    given += f" held_accounts={quote(' '.join(accounts))}"
    own = shell.text("regfleet.retention", "deployed.sh")
    return frame.around(mark, f"{functions}\n{given}\n{own}")


def parse(
    host: str, lines: Iterable[str], mark: str, endpoint: str
) -> tuple[frozenset[str], frozenset[str]]:
    """What the host holds of one registry: names and digests, as `decide.Deployed` has them.

    Args:
        endpoint: the registry's, as images name it.

    Raises:
        HostError: its engine cannot be asked.
    """
    answer = framed(lines, mark)
    said = [line.rstrip("\n") for line in answer.lines]
    if not answer.ended or "@all" not in said:
        raise HostError(
            host,
            f"its engine does not say which images it holds ({stray(answer) or 'no output'})",
            "see whether the engine runs there; until then everything stays",
        )
    names: set[str] = set()
    digests: set[str] = set()
    for line in said:
        fields = line.split(" ")
        if len(fields) != _FIELDS or fields[0] != "@held":
            continue
        _held(fields[1:], f"{endpoint}/", names, digests)
    return frozenset(names), frozenset(digests)


def _held(fields: Sequence[str], prefix: str, names: set[str], digests: set[str]) -> None:
    repository, tag, digest = fields
    # Podman takes all names from an image whose tag is pulled anew, while containers run it
    # (podman-images(1), EXAMPLES); of which registry it is, its digest says well enough.
    if repository == tag == "<none>" and answers.is_digest(digest):
        digests.add(digest)
    if not repository.startswith(prefix):
        return
    if answers.is_tag(tag):
        names.add(f"{repository.removeprefix(prefix)}:{tag}")
    if answers.is_digest(digest):
        digests.add(digest)
