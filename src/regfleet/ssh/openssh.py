"""What OpenSSH's configuration says of hosts: `ssh -G`, asked once for each host and kept.

Answers are kept from run to run (`openssh_kept`), and so are errors until the run ends. Without an
OpenSSH client paramiko reads the user's file, which knows fewer keywords.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import paramiko
from gevent.pool import Pool
from gevent.subprocess import Popen
from pyinfra.connectors.sshuserclient.client import get_ssh_config

from regfleet.errors import cut
from regfleet.ssh import openssh_files
from regfleet.ssh.limits import CONFIGURATION_SECONDS
from regfleet.ssh.openssh_kept import Answer, ConfigurationError, Question, keep, known

WANTED = openssh_files.KEYWORDS | {"proxyusefdpass"}
_AT_ONCE = 4 * (os.cpu_count() or 1)  # programs


def answer(question: Question) -> Answer:
    """What OpenSSH says of a host; empty if nothing is configured or there is no OpenSSH.

    Raises:
        ConfigurationError: its configuration is wrong, or it did not answer.
    """
    ours = known()
    if not ours.of:
        return {}
    if question.key not in ours.answers and question.key not in ours.errors:
        ask((question,))
    if error := ours.errors.get(question.key):
        raise error
    return ours.answers[question.key]


def ask(questions: Iterable[Question]) -> None:
    """Ask for all that is not known yet, some programs at a time, and keep the answers.

    Errors are kept, too, until somebody needs the answer.
    """
    ours = known()
    if not ours.of:
        return
    new = {each.key: each for each in questions if each.key not in ours.answers}
    new = {key: each for key, each in new.items() if key not in ours.errors}
    if not new:
        return
    for key, found in zip(new, Pool(_AT_ONCE).imap(_ask, new.values()), strict=True):
        if isinstance(found, ConfigurationError):
            ours.errors[key] = found
        else:
            ours.answers[key] = found
    if ours.lasting:
        keep(ours)


def _ask(question: Question) -> Answer | ConfigurationError:
    return _run(question) if known().program else _read(question)


def _read(question: Question) -> Answer | ConfigurationError:
    try:
        read = get_ssh_config(str(openssh_files.user_file()))
        options = read.lookup(question.address) if read else {}
    except (paramiko.SSHException, ImportError, OSError, ValueError) as error:
        return ConfigurationError(
            f"{openssh_files.user_file()} cannot be read without OpenSSH's client: {error}",
            "install it (Debian: openssh-client)",
        )
    values = {name: options[name] for name in WANTED & options.keys()}
    return {
        name: tuple(map(str, value)) if isinstance(value, list) else (str(value),)
        for name, value in values.items()
    }


def _run(question: Question) -> Answer | ConfigurationError:
    """Start `ssh -G`."""
    command = ["ssh", "-G", "-T", *_files()]
    command += ["-l", question.user] if question.user else []
    command += ["-p", str(question.port)] if question.port else []
    command += ["--", question.address]
    process = Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said, complained = process.communicate(timeout=CONFIGURATION_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return ConfigurationError(
            f"`ssh -G {question.address}` gave no answer within {CONFIGURATION_SECONDS:g} seconds",
            f"see the `Match exec` lines in {openssh_files.user_file()}",
        )
    if process.returncode != 0:
        words = cut(" ".join(complained.decode("utf-8", "replace").split()))
        return ConfigurationError(
            f"OpenSSH's configuration cannot be used: {words or 'ssh -G failed without a word'}",
            f"mend that file until `ssh -G {question.address}` prints the host's settings",
        )
    return parse(said.decode("utf-8", "replace"), WANTED | known().algorithms)


def parse(said: str, wanted: Collection[str] = WANTED) -> Answer:
    """The wanted lines of what `ssh -G` prints, by keyword. Pure."""
    found: dict[str, tuple[str, ...]] = {}
    for line in said.splitlines():
        keyword, _, value = line.partition(" ")
        keyword = openssh_files.ALGORITHMS.get(keyword, keyword)
        if keyword in wanted:
            found[keyword] = (*found.get(keyword, ()), value)
    return found


def _files() -> list[str]:
    """Options so that OpenSSH reads the same files as we do: it does not heed HOME itself."""
    return [] if _is_own_home() else ["-F", str(temporary_file(includes()))]


def includes() -> str:
    """The lines of a configuration that include the user's and the system's file."""
    files = (openssh_files.user_file(), openssh_files.SYSTEM)
    lines = [f"Include {quoted(file)}" for file in files]
    if not _is_own_home():
        known = (quoted(files[0].with_name(name)) for name in ("known_hosts", "known_hosts2"))
        lines += [f"UserKnownHostsFile {' '.join(known)}"]  # last: where nothing else is said
    return "".join(f"{line}\n" for line in lines)


def _is_own_home() -> bool:
    """Whether HOME is the home directory that OpenSSH takes."""
    return openssh_files.user_file() == openssh_files.own_home() / ".ssh" / "config"


def quoted(path: Path) -> str:
    """A path for a configuration: quoted, with tokens escaped (ssh_config(5))."""
    return '"' + str(path).replace("%", "%%") + '"'


@cache
def _directory() -> TemporaryDirectory[str]:
    """A directory that is removed when the process ends."""
    return TemporaryDirectory(prefix="regfleet-")


@cache
def temporary_file(text: str) -> Path:
    """A file with a text, until the process ends; one for each text."""
    path = Path(_directory().name) / f"ssh_config.{sha256(text.encode()).hexdigest()[:16]}"
    path.write_text(text, encoding="utf-8")
    return path
