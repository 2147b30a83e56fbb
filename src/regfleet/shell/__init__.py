"""What the look, the touch and the smoke test have in common on a host.

That is `common.sh`, `accounts.sh` and how engines are found there (`engines/WORD.host.sh`). Each of
them is its own `.sh` files behind those, and the ones of the engines that it meets there; nothing
else is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from shlex import quote


def program(
    package: str, *names: str, engines: Sequence[str] = (), services: Sequence[str] = ()
) -> str:
    """The common functions and the named files of a package, one after the other.

    Args:
        engines: shell words of engines; each adds its `engines/WORD.STAGE.sh`, where STAGE is
            the package's last name, and before it what all its stages have in common, where that
            is something: `engines/WORD.sh`, and in the variable `WORD_program` what an account
            runs, `engines/WORD.account.sh`.
        services: kinds of services; each adds its `services/KIND.STAGE.sh`, and before it what
            all its stages have in common, where that is something: `services/KIND.sh`.
    """
    stage = package.rpartition(".")[2]
    texts = [text("regfleet.shell", "common.sh"), _engines(), _accounts()]
    texts += [text(package, name) for name in names]
    for word in dict.fromkeys(engines):
        texts += [_of_account(word), text("regfleet.engines", f"{word}.{stage}.sh")]
    for kind in dict.fromkeys(services):
        texts += [_common_of(kind), text("regfleet.services", f"{kind}.{stage}.sh")]
    return "\n".join(texts)


@cache
def _of_account(word: str) -> str:
    places = [files("regfleet.engines").joinpath(f"{word}{end}") for end in (".account.sh", ".sh")]
    program, common = (each.read_text() if each.is_file() else "" for each in places)
    return f"{word}_program={quote(program)}\n{common}" if program else common


@cache
def _common_of(kind: str) -> str:
    file = files("regfleet.services").joinpath(f"{kind}.sh")
    return file.read_text() if file.is_file() else ""


@cache
def _accounts() -> str:
    """The functions for accounts, and what they hand to the account as one word each."""
    words = (("home_program", "home.sh"), ("entry_program", "entry.awk"))
    texts = [f"{name}={quote(text('regfleet.shell', file))}" for name, file in words]
    return "\n".join([*texts, text("regfleet.shell", "accounts.sh")])


@cache
def _engines() -> str:
    """The functions that find engines, which are needed whatever engine a host's clients have."""
    names = sorted(file.name for file in files("regfleet.engines").iterdir())
    return "\n".join(text("regfleet.engines", name) for name in names if name.endswith(".host.sh"))


@cache
def text(package: str, name: str) -> str:
    """A shell file of a package."""
    return files(package).joinpath(name).read_text()
