"""The algorithms that OpenSSH's configuration allows, of those that paramiko has. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import paramiko

from regfleet.ssh.way import Way

# Of paramiko's `SecurityOptions`, by keyword of OpenSSH's.
_LISTS = {"kexalgorithms": "kex", "ciphers": "ciphers", "macs": "digests"}
# RFC 8731 has a second name for what paramiko knows by the first one alone.
_ALSO = {"curve25519-sha256@libssh.org": "curve25519-sha256"}
_RSA = "ssh-rsa"
_SIGNED_BY = {_RSA: ("rsa-sha2-512", "rsa-sha2-256", _RSA)}  # RFC 8332
_CERTIFICATE = "-cert-v01@openssh.com"


def disabled(way: Way) -> dict[str, Sequence[str]]:
    """The signatures that paramiko may not make, as its `disabled_algorithms`."""
    allowed = way.algorithms.get("pubkeyacceptedalgorithms")
    if allowed is None:
        return {}
    return {"pubkeys": [name for name in _SIGNED_BY[_RSA] if name not in allowed]}


def restrict(way: Way, options: paramiko.transport.SecurityOptions) -> None:
    """Leave what is allowed in a transport's lists.

    Raises:
        SSHException: nothing of a list would be left.
    """
    for keyword, name in _LISTS.items():
        if keyword not in way.algorithms:
            continue
        allowed = {*way.algorithms[keyword]}
        left = [each for each in getattr(options, name) if {each, _ALSO.get(each)} & allowed]
        if not left:
            some = ", ".join(way.algorithms[keyword][:3])
            raise paramiko.SSHException(
                f"of {keyword} in OpenSSH's configuration ({some}) regfleet has none"
            )
        setattr(options, name, left)


def host_keys(way: Way, kinds: Sequence[str]) -> list[str]:
    """Those types of host keys that are allowed, certificates' among them, in their order."""
    allowed = way.algorithms.get("hostkeyalgorithms")
    return [kind for kind in kinds if allowed is None or kind in allowed]


def accepts(way: Way, blob: bytes) -> bool:
    """Whether a key or certificate may be offered.

    Args:
        blob: its public half, as it is shown to the host.
    """
    allowed = way.algorithms.get("pubkeyacceptedalgorithms")
    if allowed is None:
        return True
    kind = paramiko.Message(blob).get_string().decode("ascii", "replace")
    plain = kind.removesuffix(_CERTIFICATE)
    rest = kind[len(plain) :]
    return any(f"{name}{rest}" in allowed for name in _SIGNED_BY.get(plain, (plain,)))
