"""htpasswd files as Docker distribution reads them: a line `user:bcrypt-hash` for each user.

Distribution accepts bcrypt only, trims lines, skips empty ones and those that begin with `#`, and
rejects the whole file for one line without a colon
(github.com/distribution/distribution, registry/auth/htpasswd/htpasswd.go, `parseHTPasswd`).

A second run writes the same bytes, because an unchanged password keeps its salted hash. bcrypt
itself checks whether a person's password is unchanged: about 2 ms at cost 5 and 58 ms at cost 10,
several in parallel. A fast digest beside the hash would answer in microseconds, but somebody with
a copy of the state directory could then guess people's passwords a million times faster than
bcrypt allows. Generated passwords cannot be guessed, and the same directory holds them anyway: for
these a kept digest shows that hash and password match.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Mapping

import bcrypt
from gevent.threadpool import ThreadPoolExecutor

from regfleet import state_paths
from regfleet.errors import PasswordError
from regfleet.fleet.registries import PasswordKind
from regfleet.secret import Secret
from regfleet.state import StateDirectory

GENERATED_COST = 5
HUMAN_COST = 10

_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}", re.ASCII)
_MARK = re.compile(r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{22}", re.ASCII)
_UNFIT_NAME = re.compile(r"[:\x00-\x1f\x7f-\x9f\u2028\u2029]|^#|^\s|\s$|^$")


def cost_of(kind: PasswordKind) -> int:
    """The bcrypt cost for a password from that source; the registry pays it on every request.

    A random password of 128 bits or more cannot be guessed at any speed, so a low cost will do.
    """
    return GENERATED_COST if kind == "generate" else HUMAN_COST


def is_generated(hashed: str) -> bool:
    """Whether a hash from `parse` has the cost of a generated password's hash."""
    return hashed[4:6] == f"{GENERATED_COST:02d}"


def parse(text: str) -> dict[str, str]:
    """User → hash, in the file's order; lines that are not bcrypt entries are left out."""
    entries: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, hashed = line.strip().partition(":")
        if colon and not _UNFIT_NAME.search(name) and _HASH.fullmatch(hashed):
            entries[name] = hashed
    return entries


def marks_of_users(text: str) -> dict[str, str]:
    """User → cost and salt of the hash, `$2y$05$` and 22 characters; empty when it is not bcrypt.

    A new hash has a new salt (bcrypt(5): 128 random bits), so these tell hashes apart, and reveal
    nothing about the password.
    """
    found = {}
    for line in text.splitlines():
        name, colon, hashed = line.strip().partition(":")
        if colon and not _UNFIT_NAME.search(name):
            mark = _MARK.match(hashed)
            found[name] = mark[0].replace("$2b$", "$2y$") if mark else ""
    return found


def render(entries: Mapping[str, str]) -> str:
    """The file for user → hash, in that order.

    Raises:
        PasswordError: a name or a hash cannot stand in such a file.
    """
    for name, hashed in entries.items():
        if _UNFIT_NAME.search(name):
            raise PasswordError(
                f"{name!r} cannot be a registry user's name",
                "write it without colons, control characters, blanks at its ends, or # first",
            )
        if not _HASH.fullmatch(hashed):
            raise PasswordError(f"the hash of user {name!r} is not a bcrypt hash")
    return "".join(f"{name}:{hashed}\n" for name, hashed in entries.items())


def update(
    existing: str | None,
    users: Mapping[str, Secret],
    cost: Callable[[str], int],
    fitting: Collection[str] = (),
) -> str:
    """The new file for these users; an unchanged password keeps its hash.

    Args:
        existing: the current file, or None.
        users: user → password, in the file's order.
        cost: returns a user's bcrypt cost, 4 to 31. A hash of another cost is replaced.
        fitting: users whose hash is known to match their password, so that bcrypt is not asked.
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
        # bcrypt releases the GIL; the standard library's threads are gone once gevent patched it.
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            entries.update(zip(asked, pool.map(hashed, asked), strict=True))
    return render(entries)


def marks(text: str | None, generated: Mapping[str, Secret]) -> dict[str, str]:
    """User → digest (hexadecimal) over a generated password and its hash in the file."""
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
        state: keeps the file, and beside it the `marks` of generated passwords that match.
        registry: the registry's name.
        users: user → password, in the file's order.
        kinds: user → the kind of the password's source.
        save: whether to keep a changed file.

    Raises:
        PasswordError: a user's name cannot stand in the file.
        StateError: the state directory cannot be used.
    """
    name, beside = state_paths.htpasswd(registry), state_paths.fitting(registry)
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
