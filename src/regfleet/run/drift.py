"""Where a difference between a host and its declaration comes from, as far as it can be told. Pure.

The ownership record on the host says what was written there last. What it names and is gone or
different was changed on the host; what it does not name is newly declared. What is both counts as
changed on the host: that is what an apply would undo.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from regfleet.desired.model import DesiredHost, File
from regfleet.fleet.model import Json
from regfleet.look.observed import ObservedHost
from regfleet.plan import daemon_json
from regfleet.plan.model import Change
from regfleet.record import PATH, Owned
from regfleet.report.model import Origin


@dataclass(frozen=True, slots=True)
class _Case:
    """A change to be judged; `name` is its resource without the kind."""

    change: Change
    name: str
    want: DesiredHost
    seen: ObservedHost
    owned: Owned
    salt: str | None


def origin(change: Change, want: DesiredHost, seen: ObservedHost, salt: str | None) -> Origin:
    """Whether the host was changed, or what is declared for it.

    Args:
        change: of the plan for this host.
        salt: the kept salt of the digests of logins, None where it is lost.

    Returns:
        `host`, `fleet` (the fleet file, a password, a certificate), or `unclear`.
    """
    kind, _, name = change.resource.partition(" ")
    if change.action == "delete" and kind != "daemon.json":
        return "fleet"
    judge = _KINDS.get(kind)
    owned = seen.owned.get(want.fleet, Owned())
    return judge(_Case(change, name, want, seen, owned, salt)) if judge else "unclear"


def _file(case: _Case) -> Origin:
    if case.name in case.owned.edits:
        return _edited(case)
    if case.name == PATH or case.name not in case.owned.files:
        return "fleet"
    found = case.seen.paths.get(case.name)
    wanted = next((file for file in case.want.files if file.path == case.name), None)
    if found is None or (wanted and found.digest == wanted.digest):  # gone, or its mode
        return "host"
    if written := case.owned.digests.get(case.name):
        return "fleet" if found.digest == written else "host"
    return _vouched(case, wanted) if wanted else "unclear"


def _vouched(case: _Case, wanted: File) -> Origin:
    """A file of a record without digests.

    A container's label says for which files it was made, and no editor of files reaches it.
    """
    for container in case.want.containers:
        made = case.seen.containers.get(container.name)
        if made and wanted.digest in container.inputs:
            return "host" if made.specification == container.specification else "unclear"
    return "unclear"


def _edited(case: _Case) -> Origin:
    """A file that others write too: who changed it may have changed what is theirs."""
    text = case.seen.texts.get(case.name)
    if text is None:
        return "host"
    same = hashlib.sha256(text.encode()).hexdigest() == case.owned.digests.get(case.name)
    return "fleet" if same else "unclear"


def _directory(case: _Case) -> Origin:
    return "host" if case.name in case.owned.directories else "fleet"


def _container(case: _Case) -> Origin:
    ours = case.name in {container.name for container in case.owned.containers}
    return "host" if ours and case.change.action != "update" else "fleet"


def _image(case: _Case) -> Origin:
    """An image that is missing; the record names those that came with us."""
    users = {each.name for each in case.want.containers if each.image.reference == case.name}
    brought = {each.image for each in case.owned.containers if each.name in users}
    if case.name in brought:
        return "host"
    return "unclear" if "" in brought else "fleet"


def _cut_off(case: _Case) -> Origin:
    del case
    return "host"


def _daemon(case: _Case) -> Origin:
    if case.change.action == "run":  # the file is as it should be, the running daemon is not
        return "host"
    document, key = daemon_json.parse(case.seen.daemon_json), case.name
    if key in case.owned.lists:
        there = document.get(key)
        kept = there if isinstance(there, list) else []
        gone = any(entry not in kept for entry in case.owned.lists[key].entries)
        return "host" if gone else "fleet"
    if key in case.owned.values:
        same = key in document and _same(document[key], case.owned.values[key].value)
        return "fleet" if same else "host"
    return "fleet"


def _same(one: Json, other: Json) -> bool:
    return daemon_json.render({"": one}) == daemon_json.render({"": other})


def _login(case: _Case) -> Origin:
    account, _, endpoint = case.name.partition("@")
    key = (account, endpoint)
    recorded = {(each.account, each.endpoint): each.digest for each in case.owned.logins}
    if key not in recorded:
        return "fleet"
    found = case.seen.logins.get(key)
    if found is None:
        return "host"
    if case.salt is None:
        return "unclear"
    return "fleet" if found in (recorded[key], "helper") else "host"


def _engine(case: _Case) -> Origin:
    return "host" if case.owned else "fleet"


_KINDS: Mapping[str, Callable[[_Case], Origin]] = {
    "file": _file,
    "directory": _directory,
    "container": _container,
    "image": _image,
    "interrupted": _cut_off,
    "daemon.json": _daemon,
    "login": _login,
    "package": _engine,
    "service": _engine,
}
