"""The way to a host: the fleet file's settings laid over what OpenSSH's configuration says."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from regfleet.errors import UnreachableError
from regfleet.fleet.defaults import SSH_PORT
from regfleet.fleet.machines import Host, HostKeyChecking, Ssh
from regfleet.ssh import openssh_kept
from regfleet.ssh.limits import CONNECT_SECONDS
from regfleet.ssh.openssh_files import ALGORITHMS
from regfleet.ssh.openssh_kept import Answer, Question

NONE = "none"  # in OpenSSH's configuration: as if it were not set
_AGENT_VARIABLE = "SSH_AUTH_SOCK"
# ssh_config(5): IdentityFile, UserKnownHostsFile, GlobalKnownHostsFile; keys that paramiko reads.
_KEYS = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
_KNOWN = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_KNOWN_BY_ALL = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_CHECKING: Mapping[str, HostKeyChecking] = {
    "accept-new": "accept-new",
    "no": "off",
    "off": "off",
    "false": "off",
}


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach and recognise a host.

    Attributes:
        host: the host in the fleet.
        hostname, port: where its sshd listens, as seen from the last jump host.
        user: the login name.
        keys: private key files, or public ones whose private halves an agent has.
        certificates: certificate files for the keys, beside those with a key's own name.
        only: whether keys of the agent that are not in `keys` are left out.
        agent: the agent's socket; empty for none.
        known_hosts: files with host keys; new keys are written to the first.
        alias: the name under which host keys are known instead of name and port; mostly empty.
        checking: as `Ssh.host_key_checking`.
        revoked: a file with keys that are refused; None for none.
        jumps: the jump hosts, as OpenSSH's ProxyJump; empty for none.
        command: a shell command whose input and output are the connection; empty for none.
        forward_agent: whether programs on the host may use the agent.
        family: AF_INET, AF_INET6, or AF_UNSPEC for either.
        source: the local address, or `%NAME` of the local interface; empty for any.
        seconds: until TCP is connected.
        known_command: a command that prints further lines of known_hosts; empty for none.
        public_keys: whether keys are offered at all.
        token: the PKCS #11 library whose keys OpenSSH would offer, too; empty for none.
        algorithms: what OpenSSH's configuration allows, by keyword; only lists that it has.
        control: the control socket of a client that the user's ssh may keep; None for none.
    """

    host: Host
    hostname: str
    port: int
    user: str
    keys: tuple[Path, ...]
    certificates: tuple[Path, ...]
    only: bool
    agent: str
    known_hosts: tuple[Path, ...]
    alias: str
    checking: HostKeyChecking
    revoked: Path | None
    jumps: str
    command: str
    forward_agent: bool
    family: socket.AddressFamily
    source: str
    seconds: float
    known_command: str
    public_keys: bool
    token: str
    algorithms: Mapping[str, tuple[str, ...]]
    control: Path | None = None

    @property
    def known_name(self) -> str:
        """The name in known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
        if self.alias:
            return self.alias
        return self.hostname if self.port == SSH_PORT else f"[{self.hostname}]:{self.port}"

    def to_json(self) -> str:
        """As pyinfra prints it among a host's data."""
        way = self.jumps or self.command
        return f"{self.user}@{self.hostname}:{self.port}" + (f" through {way}" if way else "")


def question(host: Host) -> Question:
    """What OpenSSH is asked about a host: what the fleet file declares is on its command line."""
    return Question(host.address, host.ssh.user or "", host.ssh.port or 0)


def kept(host: Host) -> Way | None:
    """The way to a host if it is known without starting a program."""
    if not openssh_kept.configured():
        return way(host, {})
    answer = openssh_kept.kept(question(host))
    return None if answer is None else way(host, answer)


def way(host: Host, answer: Answer) -> Way:
    """The way to a host.

    Args:
        host: the host in the fleet; what it declares comes first.
        answer: what OpenSSH says of it; empty without a configuration.

    Raises:
        UnreachableError: the configuration asks for what regfleet cannot do.
    """
    said = _Said(host, answer)
    ssh, usual = host.ssh, float(CONNECT_SECONDS)
    if said.one("proxyusefdpass") == "yes" and said.command:
        raise UnreachableError(
            host.name,
            "its ProxyCommand hands over a socket (ProxyUseFdpass in OpenSSH's configuration), "
            "which regfleet does not support",
            "give it a ProxyCommand that passes bytes on, or ProxyJump",
        )
    return Way(
        host=host,
        hostname=said.hostname,
        port=said.port,
        user=said.user,
        keys=(ssh.key,) if ssh.key else said.paths("identityfile", _KEYS),
        certificates=said.paths("certificatefile", ()),
        only=bool(ssh.key) or said.one("identitiesonly") == "yes",
        agent=_agent(said.one("identityagent")),
        known_hosts=_known_hosts(ssh, said),
        alias=said.one("hostkeyalias"),
        checking=ssh.host_key_checking
        or _CHECKING.get(said.one("stricthostkeychecking"), "strict"),
        revoked=next(iter(said.paths("revokedhostkeys", ())), None),
        jumps=said.jumps,
        command=said.expanded(said.command),
        forward_agent=said.one("forwardagent") not in ("", "no"),
        family=_FAMILIES.get(said.one("addressfamily"), socket.AF_UNSPEC),
        source=_source(said),
        seconds=float(seconds) if (seconds := said.one("connecttimeout")).isdecimal() else usual,
        known_command=(
            "" if ssh.known_hosts else said.expanded(said.setting("knownhostscommand"), later=True)
        ),
        public_keys=said.one("pubkeyauthentication") not in ("no", "false"),
        token=said.setting("pkcs11provider"),
        algorithms={
            keyword: tuple(said.one(keyword).split(","))
            for keyword in ALGORITHMS.values()
            if said.one(keyword)
        },
        control=next(iter(said.paths("controlpath", ())), None),
    )


def _source(said: _Said) -> str:
    """Where connections come from (ssh.c: an address comes before an interface)."""
    interface = said.setting("bindinterface")
    return said.setting("bindaddress") or (f"%{interface}" if interface else "")


def _known_hosts(ssh: Ssh, said: _Said) -> tuple[Path, ...]:
    if ssh.known_hosts:
        return (ssh.known_hosts,)
    user = said.paths("userknownhostsfile", _KNOWN)
    return (*user, *said.paths("globalknownhostsfile", _KNOWN_BY_ALL))


def _agent(said: str) -> str:
    """The agent's socket for IdentityAgent (ssh_config(5))."""
    if said.lower() == NONE:
        return ""
    if said in ("", _AGENT_VARIABLE):
        return os.environ.get(_AGENT_VARIABLE, "")
    if said.startswith("$"):
        return os.environ.get(said[1:].strip("{}"), "")
    return str(Path(said).expanduser())


class _Said:
    """An answer with its tokens expanded (ssh_config(5), TOKENS).

    Args:
        host: the host in the fleet.
        answer: of `ssh -G`.
    """

    def __init__(self, host: Host, answer: Answer) -> None:
        self._answer = answer
        self._host = host
        self.hostname = self.one("hostname") or host.address
        self.port = host.ssh.port or int(self.one("port") or SSH_PORT)
        self.user = host.ssh.user or self.one("user") or getpass.getuser()
        self.jumps = self.setting("proxyjump")
        self.command = "" if self.jumps else self.setting("proxycommand")

    def one(self, keyword: str) -> str:
        """The value of a keyword that has one; empty if it is not set."""
        return next(iter(self._answer.get(keyword, ())), "")

    def setting(self, keyword: str) -> str:
        """As `one`; empty for `none`, too."""
        value = self.one(keyword)
        return "" if value.lower() == NONE else value

    def paths(self, keyword: str, otherwise: Sequence[str]) -> tuple[Path, ...]:
        """The files of a keyword; `otherwise` if it is not set."""
        values: Iterable[str] = otherwise
        if keyword in self._answer:
            lines = self._answer[keyword]
            whole = keyword in ("identityfile", "certificatefile", "revokedhostkeys", "controlpath")
            values = lines if whole else [each for line in lines for each in _split(line)]
        return tuple(
            Path(self.expanded(each)).expanduser() for each in values if each.lower() != NONE
        )

    def expanded(self, text: str, *, later: bool = False) -> str:
        """A text with its tokens replaced; a token that OpenSSH does not know stays.

        Args:
            later: whether further tokens are replaced later, and then `%%`, too.
        """
        if "%" not in text:
            return text
        here = socket.gethostname()
        port, name = str(self.port), self._host.address
        parts = f"{here}{self.hostname}{port}{self.user}{self.jumps}"
        tokens = {
            "%": "%%" if later else "%",
            "C": sha1(parts.encode(), usedforsecurity=False).hexdigest(),
            "d": str(Path("~").expanduser()),
            "h": self.hostname,
            "i": str(os.getuid()),
            "j": self.jumps,
            "k": self.one("hostkeyalias") or name,
            "L": here.partition(".")[0],
            "l": here,
            "n": name,
            "p": port,
            "r": self.user,
            "u": getpass.getuser(),
        }
        return re.sub("%(.)", lambda found: tokens.get(found[1], found[0]), text)


def _split(line: str) -> list[str]:
    """The paths in a line of `ssh -G`, which does not quote those that have blanks."""
    return [each for each in re.split(r"\s+(?=[~/%]|none$)", line.strip()) if each]
