"""htpasswd files as Docker distribution reads them: `user:bcrypt-hash`, one a line.

Distribution accepts bcrypt only, trims lines, skips empty ones and those that begin with `#`, and
rejects the whole file for one line without a colon
(github.com/distribution/distribution, registry/auth/htpasswd/htpasswd.go, `parseHTPasswd`).

A second run gives the same file byte for byte, because an unchanged password keeps its salted
hash. Whether it is unchanged is asked of bcrypt itself: about 2 ms at cost 5 and 58 ms at cost 10.
A fast digest beside the hash would answer in microseconds, and would let whoever gets a copy of
the state directory guess people's passwords some million times faster than bcrypt allows. So those
have none, and several are checked in parallel. Generated ones cannot be guessed, and lie in the
same directory anyway: a digest says whether they fit.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Mapping

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


def update(
    existing: str | None,
    users: Mapping[str, Secret],
    cost: Callable[[str], int],
    fitting: Collection[str] = (),
) -> str:
    """The file for these users; hashes of unchanged passwords stay as they are.

    Args:
        existing: the file so far, or None.
        users: user → password, in the order wanted.
        cost: user → bcrypt cost, 4 to 31. A hash of another cost is made anew.
        fitting: users whose hash is known to be their password's.
    """
    kept = {
        name: old
        for name, old in parse(existing or "").items()
        if name in users and int(old[4:6]) == cost(name)
    }

    def hashed(name: str) -> str:
        password = users[name].reveal().encode()
        if name in kept and bcrypt.checkpw(password, kept[name].encode()):
            return kept[name]
        # $2b$ and Apache's $2y$ are the same algorithm under two names (bcrypt(5), crypt(5)).
        return bcrypt.hashpw(password, bcrypt.gensalt(cost(name))).decode().replace("$2b$", "$2y$")

    entries = dict.fromkeys(users, "") | kept
    if asked := [name for name in users if name not in kept or name not in fitting]:
        # bcrypt lets go of the GIL; the standard library has no threads once gevent patched it.
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            entries.update(zip(asked, pool.map(hashed, asked), strict=True))
    return render(entries)


def marks(text: str | None, generated: Mapping[str, Secret]) -> dict[str, str]:
    """User → digest of a generated password and its hash in the file (hexadecimal)."""
    entries = parse(text or "")
    return {
        user: hashlib.sha256(json.dumps([entries[user], password.reveal()]).encode()).hexdigest()
        for user, password in generated.items()
        if user in entries
    }


def for_registry(
    state: StateDirectory,
    registry: str,
    users: Mapping[str, Secret],
    kinds: Mapping[str, PasswordKind],
    *,
    save: bool,
) -> str:
    """The registry's htpasswd file, which the state directory keeps from run to run.

    Args:
        state: where it is kept, as `registry/NAME.htpasswd`, and beside it, as
            `registry/NAME.fitting`, which of its hashes are known to be generated passwords'.
        registry: the registry's name.
        users: user → password, in the order wanted.
        kinds: user → where the password comes from.
        save: whether a changed file is kept.

    Raises:
        PasswordError: a user's name cannot stand in the file.
        StateError: the state directory cannot be used.
    """
    name, beside = f"registry/{registry}.htpasswd", f"registry/{registry}.fitting"
    existing, known = state.read_text(name), (state.read_text(beside) or "").split()
    generated = {user: users[user] for user in users if kinds[user] == "generate"}
    fitting = marks(existing, generated)
    text = update(
        existing,
        users,
        lambda user: cost_of(kinds[user]),
        [user for user, mark in fitting.items() if mark in known],
    )
    if save and text != existing:
        state.write_text(name, text)
    now = list(marks(text, generated).values())
    if save and now != known:
        state.write_text(beside, "".join(f"{mark}\n" for mark in now))
    return text
