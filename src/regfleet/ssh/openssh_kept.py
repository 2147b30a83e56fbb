"""Answers of `ssh -G` that are kept from run to run (`openssh` asks for them).

They are kept in the user's cache directory as long as the configuration files are the same
(`openssh_files`), because a program for each of a thousand hosts takes seconds. They hold names and
paths, no secrets. Quick to import: connections are dialled before anything else is.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

from regfleet.errors import RegfleetError
from regfleet.ssh import openssh_files

Answer = Mapping[str, tuple[str, ...]]
"""The lines of `ssh -G` by keyword, in lower case; of those in `openssh.WANTED` alone."""

VERSION = 3  # of the kept answers
_MOST_BYTES = 256 << 20  # of their file: a hundred thousand hosts with a kilobyte each
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


class ConfigurationError(RegfleetError):
    """OpenSSH cannot read its configuration."""


@dataclass(frozen=True, slots=True)
class Question:
    """A host as `ssh` is asked for it.

    Attributes:
        address: the name or address on the command line.
        user, port: what the fleet file declares; empty and 0 for what the configuration says.
    """

    address: str
    user: str = ""
    port: int = 0

    @property
    def key(self) -> str:
        """The question as one text."""
        return json.dumps([self.address, self.user, self.port])


@dataclass(slots=True)
class Known:
    """The answers of this process.

    Attributes:
        of: what they depend on; empty if no host depends on the configuration.
        lasting: whether they may be kept.
        program: whether there is an OpenSSH client to ask.
        algorithms: the keywords of lists of algorithms that are wanted, too.
        answers, errors: by `Question.key`.
    """

    of: str
    lasting: bool
    program: bool = True
    algorithms: frozenset[str] = frozenset()
    answers: dict[str, Answer] = field(default_factory=dict)
    errors: dict[str, ConfigurationError] = field(default_factory=dict)


@cache
def known() -> Known:
    """What this process knows; the files are read at the first call."""
    configuration = openssh_files.read()
    program = shutil.which("ssh")
    if not configuration.matters:
        return Known("", lasting=False)
    if program is None:
        return Known(configuration.digest, lasting=False, program=False)
    about = Path(program).stat()
    parts = (
        VERSION,
        configuration.digest,
        program,
        about.st_mtime_ns,
        about.st_size,
        os.getuid(),
        str(openssh_files.user_file()),
        socket.gethostname(),
    )
    found = Known(
        sha256(repr(parts).encode()).hexdigest(),
        configuration.lasting,
        algorithms=configuration.algorithms,
    )
    if found.lasting:
        found.answers |= _read_kept(found.of)
    return found


def forget() -> None:
    """Read the files anew at the next question: for tests, and processes that live long."""
    known.cache_clear()


def configured() -> bool:
    """Whether an answer may differ from what a host is reached by without any configuration."""
    return bool(known().of)


def kept(question: Question) -> Answer | None:
    """An answer that is known already; starts no program."""
    return known().answers.get(question.key)


def kept_file() -> Path:
    """Where answers are kept: in the user's cache (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(base) if base.startswith("/") else Path("~/.cache").expanduser()
    return folder / "regfleet" / "openssh.json"


def _is_ours(path: Path) -> bool:
    """Whether nobody else can write it: a kept answer names a command that we start."""
    about = path.stat()
    return about.st_uid == os.geteuid() and not about.st_mode & 0o022


def _read_kept(of: str) -> dict[str, Answer]:
    file = kept_file()
    try:
        if not (_is_ours(file.parent) and _is_ours(file)):
            return {}
        with file.open("rb") as opened:
            document = json.loads(opened.read(_MOST_BYTES))
        if document["of"] != of:
            return {}
        return {
            str(key): {str(name): tuple(map(str, lines)) for name, lines in answer.items()}
            for key, answer in document["answers"].items()
        }
    except _UNREADABLE:
        return {}


def keep(known: Known) -> None:
    """Write the answers down; where that cannot be, they are asked for again next time."""
    file = kept_file()
    with suppress(OSError):
        home = file.parent.parent
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(home):  # as root in an account's home: it could change what root starts
            return
        file.parent.mkdir(mode=0o700, exist_ok=True)
        text = json.dumps({"of": known.of, "answers": known.answers}, separators=(",", ":"))
        beside = file.with_suffix(f".{os.getpid()}")
        try:
            beside.touch(mode=0o600, exist_ok=False)
            beside.write_text(text, encoding="utf-8")
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
