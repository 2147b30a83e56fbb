"""htpasswd files as Docker distribution reads them: `user:bcrypt-hash`, one a line.

Distribution accepts bcrypt only, trims lines, skips empty ones and those that begin with `#`, and
rejects the whole file for one line without a colon
(github.com/distribution/distribution, registry/auth/htpasswd/htpasswd.go, `parseHTPasswd`).

A second run gives the same file byte for byte, because an unchanged password keeps its salted
hash. Whether it is unchanged is asked of bcrypt itself: about 2 ms at cost 5 and 58 ms at cost 10.
A fast keyed digest beside the hash would answer in microseconds, and would let whoever gets a copy
of the state directory, key and all, guess people's passwords some million times faster than bcrypt
allows. So there is none; several users are checked in parallel instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

import bcrypt
from gevent.threadpool import ThreadPoolExecutor

from regfleet.errors import PasswordError
from regfleet.fleet.model import PasswordKind
from regfleet.secret import Secret
from regfleet.state import StateDirectory

GENERATED_COST = 5
HUMAN_COST = 10

_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}", re.ASCII)
_UNFIT_NAME = re.compile(r"[:\x00-\x1f\x7f-\x9f\u2028\u2029]|^#|^\s|\s$|^$")


def cost_of(kind: PasswordKind) -> int:
    """The bcrypt cost for a password of that source; the registry pays it on every request.

    Random passwords of 128 bits and more cannot be guessed at any speed, so they are cheap.
    """
    return GENERATED_COST if kind == "generate" else HUMAN_COST


def parse(text: str) -> dict[str, str]:
    """User → hash, in the file's order; lines that are not bcrypt entries are left out."""
    entries: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, hashed = line.strip().partition(":")
        if colon and not _UNFIT_NAME.search(name) and _HASH.fullmatch(hashed):
            entries[name] = hashed
    return entries


def render(entries: Mapping[str, str]) -> str:
    """The file for user → hash, in that order.

    Raises:
        PasswordError: a name or a hash cannot stand in such a file.
    """
    for name, hashed in entries.items():
        if _UNFIT_NAME.search(name):
            raise PasswordError(
                f"{name!r} cannot be a registry user's name",
                "no colon, no control character, no space around it, no # in front",
            )
        if not _HASH.fullmatch(hashed):
            raise PasswordError(f"what should be the bcrypt hash of user {name!r} is none")
    return "".join(f"{name}:{hashed}\n" for name, hashed in entries.items())


def update(existing: str | None, users: Mapping[str, Secret], cost: Callable[[str], int]) -> str:
    """The file for these users; hashes of unchanged passwords stay as they are.

    Args:
        existing: the file so far, or None.
        users: user → password, in the order wanted.
        cost: user → bcrypt cost, 4 to 31. A hash of another cost is made anew.
    """
    kept = parse(existing or "")

    def hashed(name: str) -> str:
        password = users[name].reveal().encode()
        old = kept.get(name)
        if old and int(old[4:6]) == cost(name) and bcrypt.checkpw(password, old.encode()):
            return old
        # $2b$ and Apache's $2y$ are the same algorithm under two names (bcrypt(5), crypt(5)).
        return bcrypt.hashpw(password, bcrypt.gensalt(cost(name))).decode().replace("$2b$", "$2y$")

    # bcrypt lets go of the GIL; where gevent has patched it, the standard library has no threads.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return render(dict(zip(users, pool.map(hashed, users), strict=True)))


def for_registry(
    state: StateDirectory,
    registry: str,
    users: Mapping[str, Secret],
    cost: Callable[[str], int],
    *,
    save: bool,
) -> str:
    """The registry's htpasswd file, which the state directory keeps from run to run.

    Args:
        state: where it is kept, as `registry/NAME.htpasswd`.
        registry: the registry's name.
        users: user → password, in the order wanted.
        cost: user → bcrypt cost.
        save: whether a changed file is kept.

    Raises:
        PasswordError: a user's name cannot stand in the file.
        StateError: the state directory cannot be used.
    """
    name = f"registry/{registry}.htpasswd"
    existing = state.read_text(name)
    text = update(existing, users, cost)
    if save and text != existing:
        state.write_text(name, text)
    return text
