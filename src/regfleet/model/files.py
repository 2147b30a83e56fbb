"""Files and directories that a host should have."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


def account_of(path: str) -> str:
    """The account in whose home a path is, as in `~alice/.config`; empty for one of root's.

    What is in a home is looked at and written as that account (see `shell/home.sh`).
    """
    return path[1:].partition("/")[0] if path.startswith("~") else ""


@dataclass(frozen=True, slots=True)
class File:
    """A file that regfleet owns as a whole.

    Attributes:
        path: absolute, or `~ACCOUNT/...` for a file in an account's home, which is the account's.
        content: the bytes; never shown when `secret`.
        mode: permission bits, such as 0o444.
        reason: the place in the fleet file that asks for it, such as `client.build.registries`.
        shown: the text that may be shown in place of a `secret` file's content.
        users: whether it is an htpasswd file; the plan then compares user by user.
        roles: whether it is a record of roles; the plan then compares role by role.
    """

    path: str
    content: bytes = field(repr=False)
    mode: int
    reason: str
    secret: bool = False
    shown: str = ""
    users: bool = False
    roles: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that must exist and belong to root. What others put into it stays.

    Attributes:
        path: as that of a file; one in a home belongs to the account.
        own: regfleet removes it with the fleet when it is empty, even if it existed before. For
            directories that regfleet names.
        mounted: where a file system has to be mounted before it is made; empty for nowhere.
    """

    path: str
    mode: int
    reason: str
    own: bool = False
    mounted: str = ""
