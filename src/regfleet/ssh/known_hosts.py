"""Read known_hosts files, and check host keys (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

Lines are indexed by name. paramiko compares a name with every line, three times a connection, and
each line with all lines before it, and it ignores `@revoked` and patterns.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hmac
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from regfleet.fleet.defaults import SSH_PORT
from regfleet.given_files import open_given
from regfleet.ssh import host_certificates, programs
from regfleet.ssh.host_certificates import CERTIFICATE

if TYPE_CHECKING:
    from regfleet.ssh.way import Way

MAX_BYTES = 64 << 20  # a hundred thousand hosts with three keys each
REVOKED, AUTHORITY = "@revoked", "@cert-authority"


class KnownHosts:
    """The lines of known_hosts files. Invalid lines are ignored, as ssh does."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self._lines: list[str] = []
        self._plain: dict[str, list[int]] = defaultdict(list)
        self._hashed: list[tuple[bytes, bytes, int]] = []
        self._patterns: list[tuple[str, int]] = []
        self._revoked: list[tuple[str, int]] = []
        self._authorities: list[tuple[str, int]] = []
        for file in files:
            with suppress(FileNotFoundError):
                self.load(file)

    def load(self, file: Path) -> None:
        """Add a file's lines.

        Raises:
            OSError: it cannot be read, or is longer than `MAX_BYTES`.
        """
        for line in _content(file).decode("utf-8", "replace").splitlines():
            self.add(line)

    def add(self, line: str) -> None:
        """Add a line."""
        marker, names, rest = "", *(*line.split(maxsplit=1), "", "")[:2]
        if names.startswith("@"):
            marker, names, rest = names, *(*rest.split(maxsplit=1), "", "")[:2]
        if not rest or names.startswith("#") or marker not in ("", REVOKED, AUTHORITY):
            return
        number = len(self._lines)
        self._lines.append(f"x {rest}")
        if marker == REVOKED:
            self._revoked.append((names, number))
        elif marker == AUTHORITY:
            self._authorities.append((names, number))
        elif any(sign in names for sign in "*?!"):
            self._patterns.append((names, number))
        else:
            for name in names.split(","):
                self._add_name(name, number)

    def keys(self, name: str) -> list[paramiko.PKey]:
        """A host's keys, in the order of the lines.

        Args:
            name: name or address; with another port than 22, `[NAME]:PORT`.
        """
        numbers = set(self._plain.get(name.lower(), ()))
        numbers |= {number for salt, digest, number in self._hashed if _hash(salt, name) == digest}
        numbers |= {number for names, number in self._patterns if _matches(names, name)}
        return self._keys(sorted(numbers))

    def revoked(self, name: str) -> list[paramiko.PKey]:
        """The revoked keys of a host."""
        return self._keys(number for names, number in self._revoked if _matches(names, name))

    def authorities(self, name: str) -> list[paramiko.PKey]:
        """The authorities whose certificates count for a host."""
        return self._keys(number for names, number in self._authorities if _matches(names, name))

    def _add_name(self, name: str, number: int) -> None:
        if (hashed := _hashed(name)) is not None:
            self._hashed.append((*hashed, number))
        elif not name.startswith("|"):
            self._plain[name.lower()].append(number)

    def _keys(self, numbers: Iterable[int]) -> list[paramiko.PKey]:
        found = []
        for number in numbers:
            try:
                entry = HostKeyEntry.from_line(self._lines[number], number + 1)
            except (InvalidHostKey, paramiko.SSHException, ValueError):
                continue
            if entry is not None and entry.key is not None:
                found.append(entry.key)
        return found


def _content(file: Path) -> bytes:
    """A file's content.

    Raises:
        OSError: it cannot be read, or is longer than `MAX_BYTES`.
    """
    with open_given(file) as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(file))
    return content


def _hashed(name: str) -> tuple[bytes, bytes] | None:
    """Salt and digest of a hashed name, `|1|SALT|DIGEST` in base64; None for another name."""
    if not name.startswith("|1|"):
        return None
    try:
        salt, digest = (base64.b64decode(part) for part in name[3:].split("|"))
    except (ValueError, binascii.Error):
        return None
    return salt, digest


def _hash(salt: bytes, name: str) -> bytes:
    return hmac.digest(salt, name.encode(), "sha1")


def _matches(names: str, name: str) -> bool:
    """Whether a list of names, hashes and patterns matches a name (ssh_config(5), PATTERNS)."""
    found = False
    for each in names.split(","):
        if (hashed := _hashed(each)) is not None:
            found |= _hash(hashed[0], name) == hashed[1]
        elif _pattern(each.removeprefix("!")).fullmatch(name):
            if each.startswith("!"):
                return False
            found = True
    return found


@cache
def _pattern(text: str) -> re.Pattern[str]:
    parts = (re.escape(part) for part in re.split(r"([*?])", text))
    found = "".join({r"\*": ".*", r"\?": "."}.get(part, part) for part in parts)
    return re.compile(found, re.IGNORECASE)


@cache
def known_hosts(files: tuple[Path, ...], *, revoked: bool = False) -> KnownHosts:
    """The lines of files, read once; missing files count as empty.

    Args:
        files: known_hosts files.
        revoked: whether they are lists of revoked keys instead, one a line; those must be there.

    Raises:
        OSError: a file cannot be read.
    """
    if not revoked:
        return KnownHosts(files)
    found = KnownHosts()
    for file in files:
        for line in _content(file).decode("utf-8", "replace").splitlines():
            found.add(f"{REVOKED} * {line}")
    return found


def _is_binary(revoked: Path) -> bool:
    """Whether a list of revoked keys is OpenSSH's own (PROTOCOL.krl)."""
    return _content(revoked).startswith(b"SSHKRL\n\0")


class HostKeyPolicy(paramiko.MissingHostKeyPolicy):
    """Accepts or refuses a host's key, as OpenSSH does (openssh-portable, sshconnect.c).

    Args:
        way: the way to the host.
    """

    def __init__(self, way: Way) -> None:
        self._way = way
        self._known = known_hosts(way.known_hosts)
        self._binary = way.revoked if way.revoked and _is_binary(way.revoked) else None
        text = (way.revoked,) if way.revoked and not self._binary else ()
        self._revoked = known_hosts(text, revoked=True)
        self._from_command = KnownHosts()
        if way.known_command:
            for line in programs.known_hosts_lines(way, "ORDER"):
                self._from_command.add(line)
        self._names: tuple[str, ...] = (way.known_name,)
        if not way.alias and way.port != SSH_PORT and not self._keys(way.known_name):
            self._names += (way.hostname,)  # a key that is known without the port counts, too

    def types(self, offered: Sequence[str]) -> list[str]:
        """The types of keys to ask the host for, those of known keys first.

        Certificates come before them where an authority is known (sshconnect2.c,
        `order_hostkeyalgs`); an RSA key has several signature types (RFC 8332).

        Args:
            offered: all types, by their names in the key exchange, the best first.
        """
        known = {key.get_name() for key in self._keys(self._way.known_name)}
        plain = [kind for kind in offered if ("ssh-rsa" if "rsa" in kind else kind) in known]
        rest = [kind for kind in offered if kind not in plain]
        certified = any(self._authorities(name) for name in self._names)
        certificates = [f"{kind}{CERTIFICATE}" for kind in offered] if certified else []
        return [*certificates, *plain, *rest]

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """Check a key. paramiko asks for every key, because it has no known_hosts files itself.

        Raises:
            SSHException: the key is refused.
        """
        del client, hostname
        name = self._way.known_name
        if self._way.known_command:
            for line in programs.known_hosts_lines(self._way, "HOSTNAME", key):
                self._from_command.add(line)
        certificate = host_certificates.read(key)
        self._refuse_revoked(name, [key, *([certificate.authority] if certificate else [])])
        if self._way.checking == "off":
            return
        authorities = [each for one in self._names for each in self._authorities(one)]
        if certificate and certificate.authority in authorities:
            wrong = certificate.refused(self._way.alias or self._way.hostname)
            if wrong:
                raise paramiko.SSHException(f"the host certificate of {name} is not valid: {wrong}")
            return
        known = [each for one in self._names for each in self._keys(one)]
        if key in known:
            return
        if self._keys(name):
            raise paramiko.SSHException(f"Host key for {name} does not match.")
        if self._way.checking != "accept-new":
            raise paramiko.SSHException(f"No host key for {name} found in known_hosts")
        self._keep(name, key)

    def _keys(self, name: str) -> list[paramiko.PKey]:
        return [*self._known.keys(name), *self._from_command.keys(name)]

    def _authorities(self, name: str) -> list[paramiko.PKey]:
        return [*self._known.authorities(name), *self._from_command.authorities(name)]

    def _refuse_revoked(self, name: str, keys: Iterable[paramiko.PKey]) -> None:
        lists = (self._known, self._from_command)
        revoked = [each for one in self._names for known in lists for each in known.revoked(one)]
        revoked += self._revoked.revoked("")
        for key in keys:
            if key in revoked or (self._binary and programs.is_revoked(self._binary, key)):
                raise paramiko.SSHException(f"the host key of {name} is marked as revoked")

    def _keep(self, name: str, key: paramiko.PKey) -> None:
        """Add a new key to the first file.

        Raises:
            SSHException: it cannot be written.
        """
        line = f"{name} {key.get_name()} {key.get_base64()}\n"
        self._known.add(line)
        if not self._way.known_hosts:
            return
        file = self._way.known_hosts[0]
        try:
            file.parent.mkdir(mode=0o700, exist_ok=True)
            with file.open("a", encoding="utf-8") as opened:
                opened.write(line)
        except OSError as error:
            raise paramiko.SSHException(
                f"the new host key of {name} cannot be kept in {file}: {error.strerror}"
            ) from error
