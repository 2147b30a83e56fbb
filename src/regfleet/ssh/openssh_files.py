"""The configuration files that OpenSSH's client reads: whether they matter to us, and a digest.

Only keywords and the names of included files are read here; what they mean is OpenSSH's own affair
(`openssh`). Quick to import: connections are dialled before anything else is.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

SYSTEM = Path("/etc/ssh/ssh_config")
_MOST_FILES = 1000
_MOST_BYTES = 4 << 20  # of one file
_LEVELS = 16  # READCONF_MAX_DEPTH of openssh-portable, readconf.c
# Without one of these, OpenSSH reaches every host by the address and the port that it is given.
KEYWORDS = frozenset(
    {
        "addressfamily",
        "bindaddress",
        "bindinterface",
        "certificatefile",
        "connecttimeout",
        "controlpath",
        "forwardagent",
        "globalknownhostsfile",
        "hostkeyalias",
        "hostname",
        "identitiesonly",
        "identityagent",
        "identityfile",
        "knownhostscommand",
        "pkcs11provider",
        "port",
        "proxycommand",
        "proxyjump",
        "pubkeyauthentication",
        "revokedhostkeys",
        "stricthostkeychecking",
        "user",
        "userknownhostsfile",
    }
)
# Lists of algorithms, by all their names (ssh_config(5); readconf.c): of interest where a file says
# something of them, for OpenSSH's own lists are long, and kept for each host.
ALGORITHMS = {
    "ciphers": "ciphers",
    "hostkeyalgorithms": "hostkeyalgorithms",
    "kexalgorithms": "kexalgorithms",
    "macs": "macs",
    "pubkeyacceptedalgorithms": "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
}
# Answers then depend on more than the files: programs, networks, the DNS, the environment.
_CHANGING = re.compile(r"^match\b.*(exec|localnetwork)|^canonicalizehostname\b|\$\{", re.IGNORECASE)
_LINE = re.compile(r"(\w+)(?:\s*=\s*|\s+)(.*)")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is known of the files without asking OpenSSH.

    Attributes:
        matters: whether a line may change how a host is reached.
        lasting: whether OpenSSH answers the same as long as the files are the same.
        digest: of the files' names and contents.
        algorithms: the keywords of `ALGORITHMS` that occur.
        key_program: whether a program may print host keys (KnownHostsCommand).
    """

    matters: bool
    lasting: bool
    digest: str
    algorithms: frozenset[str] = frozenset()
    key_program: bool = False


def user_file() -> Path:
    """The user's configuration file."""
    return Path("~/.ssh/config").expanduser()


def own_home() -> Path:
    """The home directory that OpenSSH takes, whatever the environment says (ssh.c, getpwuid)."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("~").expanduser()


def read() -> Configuration:
    """Read the user's file, the system's, and all that they include.

    A file that cannot be read counts as empty: OpenSSH says so itself if it matters.
    """
    reader = _Reader()
    reader.read(user_file(), own_home() / ".ssh")
    reader.read(SYSTEM, SYSTEM.parent)
    return Configuration(
        reader.matters,
        reader.lasting,
        reader.digest.hexdigest(),
        frozenset(reader.algorithms),
        reader.key_program,
    )


class _Reader:
    def __init__(self) -> None:
        self.matters = False
        self.lasting = True
        self.key_program = False
        self.digest = hashlib.sha256()
        self.algorithms: set[str] = set()
        self._left = _MOST_FILES

    def read(self, file: Path, folder: Path, level: int = 0) -> None:
        """Read a file; names in it that are relative begin at the folder."""
        self._left -= 1
        if self._left < 0 or level > _LEVELS:
            self._give_up()
            return
        try:
            with file.open("rb") as opened:
                content = opened.read(_MOST_BYTES)
        except OSError:
            return
        self.digest.update(f"{file}\0{len(content)}\0".encode())
        self.digest.update(content)
        for keyword, rest in _lines(content.decode("utf-8", "replace")):
            self.matters |= keyword in KEYWORDS or keyword == "canonicalizehostname"
            if keyword in ALGORITHMS:
                self.matters = True
                self.algorithms.add(ALGORITHMS[keyword])
            self.key_program |= keyword == "knownhostscommand"
            self.lasting &= not _CHANGING.search(f"{keyword} {rest}")
            if keyword == "include":
                self._include(rest, folder, level)

    def _give_up(self) -> None:
        """There are lines that are not read here: anything may stand in them."""
        self.matters, self.lasting = True, False
        self.algorithms.update(ALGORITHMS.values())

    def _include(self, rest: str, folder: Path, level: int) -> None:
        try:
            names: Sequence[str] = shlex.split(rest, comments=True)
        except ValueError:
            self._give_up()
            return
        for name in names:
            if "%" in name:  # a token, which only OpenSSH knows
                self._give_up()
                self.key_program = True
            home = f"{own_home()}/" if name.startswith("~/") else ""
            whole = home + name[2:] if home else str(folder / name)
            for found in sorted(glob(whole)):  # noqa: PTH207 - glob(3), as OpenSSH does it
                self.read(Path(found), folder, level + 1)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if found := _LINE.match(line.strip()):
            yield found[1].lower(), found[2]
