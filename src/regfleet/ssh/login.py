"""Log in to a host with keys, in OpenSSH's order (ssh_config(5), IdentityFile, IdentitiesOnly)."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import paramiko
from gevent.lock import BoundedSemaphore

from regfleet.given_files import open_given
from regfleet.ssh import algorithms
from regfleet.ssh.way import Way

_MOST_BYTES = 1 << 20  # of a key file
_MAGIC = b"openssh-key-v1\0"  # openssh-portable, PROTOCOL.key
_VARIABLE = "SSH_AUTH_SOCK"
_VARIABLE_LOCK = BoundedSemaphore()
_READING_ERRORS = (paramiko.SSHException, OSError, ValueError, TypeError, IndexError)


class TooManyKeysError(paramiko.AuthenticationException):
    """The host ended the connection before all keys were offered (MaxAuthTries)."""


class LockedKeyError(paramiko.AuthenticationException):
    """A key that might have been let in has a passphrase.

    Args:
        keys: the files.
    """

    def __init__(self, keys: Iterable[Path]) -> None:
        self.keys = tuple(keys)
        names = " and ".join(map(str, self.keys))
        several = len(self.keys) > 1
        super().__init__(
            f"Authentication failed: the {'keys' if several else 'key'} {names} "
            f"{'have' if several else 'has'} a passphrase, and no agent holds "
            f"{'them' if several else 'it'}"
        )


class KeyFileError(paramiko.AuthenticationException):
    """The key that the fleet file names cannot be used."""


class Login:
    """Offers keys to a host; one object for all connections of one login.

    What paramiko calls an `AuthStrategy`, of which it asks nothing but `authenticate`.

    Args:
        way: the way to the host.
    """

    def __init__(self, way: Way) -> None:
        self._way = way
        self._offered: set[bytes] = set()
        self._agent: paramiko.Agent | None = None
        self._locked: list[Path] = []
        self._refused = False

    def authenticate(self, transport: paramiko.Transport) -> list[str]:
        """Log in.

        Raises:
            TooManyKeysError: the connection ended; in a new one, the remaining keys are offered.
            AuthenticationException: the host accepts none of the keys.
            SSHException: the connection broke.
        """
        for key in self._keys():
            blob = _blob(key)
            if blob in self._offered or not algorithms.accepts(self._way, blob):
                continue
            self._offered.add(blob)
            try:
                further = transport.auth_publickey(self._way.user, key)
            except paramiko.BadAuthenticationType:
                raise
            except paramiko.SSHException as error:
                if not transport.is_active():
                    raise TooManyKeysError(str(error)) from error
                continue
            if further:
                raise paramiko.AuthenticationException(
                    f"Authentication failed: beside the key the host asks for {', '.join(further)}"
                )
            return []
        if self._locked:
            raise LockedKeyError(self._locked)
        raise paramiko.AuthenticationException(
            "Authentication failed" if self._offered else f"Authentication failed: {self._why()}"
        )

    def _why(self) -> str:
        """Why no key was offered."""
        if not self._way.public_keys:
            return "PubkeyAuthentication is off in OpenSSH's configuration, and it has nothing else"
        if self._way.token:
            return (
                f"there is no key; those of {self._way.token} (PKCS11Provider) an agent has to hold"
            )
        if "pubkeyacceptedalgorithms" in self._way.algorithms:
            return "there is no key that PubkeyAcceptedAlgorithms of OpenSSH's configuration allows"
        return "there is no key"

    def close(self) -> None:
        """End the connection to the agent."""
        if self._agent:
            self._agent.close()
            self._agent = None

    def _keys(self) -> Iterator[paramiko.PKey]:
        """Keys of the agent that are configured, its others, and then keys from files."""
        way = self._way
        if not way.public_keys:
            return
        held = {_plain(key): key for key in self._agent_keys()}
        chosen = {file: held.get(public_half(file) or b"") for file in way.keys}
        for file, key in chosen.items():
            half = public_half(file)
            yield from (each for each in held.values() if _is_certificate_of(each, half))
            if key is not None:
                yield from self._certified(file, key)
        if not way.only:
            yield from (key for key in held.values() if key not in chosen.values())
        self._locked = []
        for file, agents in chosen.items():
            if agents is None:
                yield from self._from_file(file)

    def _from_file(self, file: Path) -> Iterator[paramiko.PKey]:
        try:
            loaded = _load(file)
        except paramiko.PasswordRequiredException:
            self._locked.append(file)
            return
        except FileNotFoundError:
            if self._way.host.ssh.key:
                raise KeyFileError(f"No such private key file: {file}") from None
            return
        except _READING_ERRORS as error:
            if self._way.host.ssh.key and not _is_public(file):
                raise KeyFileError(f"Invalid private key file: {file} ({error})") from error
            return
        yield from self._certified(file, loaded)

    def _certified(self, file: Path, key: paramiko.PKey) -> Iterator[paramiko.PKey]:
        """A key with its certificates, then the key alone."""
        for certificate in (Path(f"{file}-cert.pub"), *self._way.certificates):
            if _certifies(certificate, key):
                yield _with_certificate(file, key, certificate)
        yield key

    def _agent_keys(self) -> tuple[paramiko.AgentKey, ...]:
        if not self._way.agent:
            return ()
        if self._agent is None:
            with suppress(paramiko.SSHException, OSError):
                self._agent = _connect_agent(self._way.agent)
        if self._agent is None:
            return ()
        keys = self._agent.get_keys()
        for key in keys:
            if getattr(key, "inner_key", None) is None:  # a security key's: paramiko issue 2462
                key.public_blob = None
        return keys


def _connect_agent(where: str) -> paramiko.Agent:
    """A connection to an agent's socket; paramiko takes the socket's name from the environment.

    Raises:
        SSHException, OSError: no agent answers there.
    """
    with _VARIABLE_LOCK:  # other hosts' connections are made meanwhile
        before = os.environ.get(_VARIABLE)
        os.environ.update({_VARIABLE: where})
        try:
            return paramiko.Agent()
        finally:
            os.environ.pop(_VARIABLE)
            os.environ.update({} if before is None else {_VARIABLE: before})


def _read(file: Path) -> paramiko.PKey:
    """A private key without a passphrase.

    Raises:
        PasswordRequiredException: it has a passphrase.
        SSHException, OSError: it is no key that paramiko can read.
    """
    for kind in (paramiko.Ed25519Key, paramiko.RSAKey, paramiko.ECDSAKey):
        with suppress(ValueError, TypeError, IndexError):
            found = _read_as(kind, file)
            if found:
                return found
    raise paramiko.SSHException("no RSA, ECDSA or Ed25519 key that can be read")


def _read_as(kind: type[paramiko.PKey], file: Path) -> paramiko.PKey | None:
    try:
        return kind.from_private_key_file(str(file))
    except paramiko.PasswordRequiredException:
        raise
    except paramiko.SSHException:  # a key of another kind
        return None


_load = cache(_read)  # once for all hosts


@cache
def public_half(file: Path) -> bytes | None:
    """The public half of a key, which needs no passphrase; None if it cannot be found.

    From FILE.pub; from FILE itself if it is a public key, or a private key in OpenSSH's format.
    """
    for candidate in (Path(f"{file}.pub"), file):
        with suppress(*_READING_ERRORS):
            content = _content(candidate)
            if content.startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----"):
                lines = content.split(b"-----")[2]
                inner = base64.b64decode(lines)
                if not inner.startswith(_MAGIC):
                    continue
                message = paramiko.Message(inner[len(_MAGIC) :])
                for _ in range(3):  # cipher, key derivation, its options
                    message.get_string()
                message.get_int()  # how many keys
                return message.get_string()
            if (blob := _public_line(content)) is not None:
                return blob
    return None


def _content(file: Path) -> bytes:
    with open_given(file) as opened:
        return opened.read(_MOST_BYTES)


def _public_line(content: bytes) -> bytes | None:
    """The key or certificate in a line `TYPE BASE64 COMMENT`; None for anything else."""
    words = content.split(maxsplit=2)
    if len(words) < 2 or content.startswith(b"-"):  # noqa: PLR2004 - the two words of a key
        return None
    blob = base64.b64decode(words[1], validate=True)
    return blob if paramiko.Message(blob).get_string() == words[0] else None


def _is_public(file: Path) -> bool:
    with suppress(*_READING_ERRORS):
        return _public_line(_content(file)) is not None
    return False


def _certifies(certificate: Path, key: paramiko.PKey) -> bool:
    """Whether a file holds a certificate for a key: its nonce stands before the key's numbers."""
    with suppress(*_READING_ERRORS):
        blob = _public_line(_content(certificate))
        if blob is None or b"-cert-v01@openssh.com" not in blob[:64]:
            return False
        rest = paramiko.Message(blob)
        rest.get_string()
        rest.get_string()
        plain = paramiko.Message(_plain(key))
        plain.get_string()
        return rest.get_remainder().startswith(plain.get_remainder())
    return False


def _with_certificate(file: Path, key: paramiko.PKey, certificate: Path) -> paramiko.PKey:
    """A copy of a key that shows a certificate."""
    made: paramiko.PKey
    if isinstance(key, paramiko.AgentKey):
        made = paramiko.AgentKey(key.agent, key.blob, key.comment)
    else:
        made = _read(file)
    made.load_certificate(str(certificate))
    return made


def _is_certificate_of(key: paramiko.PKey, public: bytes | None) -> bool:
    """Whether a key of the agent is a certificate for a public key."""
    return bool(key.public_blob) and key.asbytes() == public


def _plain(key: paramiko.PKey) -> bytes:
    return key.blob if isinstance(key, paramiko.AgentKey) else key.asbytes()


def _blob(key: paramiko.PKey) -> bytes:
    """What a key shows to the host: its certificate, or its public half."""
    shown = key.public_blob
    return shown.key_blob if shown else _plain(key)
