"""Where a difference between host and declaration comes from: host, fleet file, unclear. Pure.

The ownership record says what the fleet wrote last. A recorded resource that is missing or
different was changed on the host; an unrecorded one is newly declared. A resource that is both
counts as changed on the host, because an apply would undo that change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args

from regfleet.documents import json_document
from regfleet.documents.interface import path, same
from regfleet.model.desired import DesiredHost
from regfleet.model.files import File
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Change
from regfleet.model.report import Origin
from regfleet.model.resource import Kind, login_resource
from regfleet.model.service import ServiceKind
from regfleet.record import DAEMON_JSON, PATH, Owned, OwnedEdit


@dataclass(frozen=True, slots=True)
class _Case:
    """A change to judge; `name` is the name of its resource."""

    change: Change
    name: str
    want: DesiredHost
    seen: ObservedHost
    owned: Owned
    salt: str | None


def origin(change: Change, want: DesiredHost, seen: ObservedHost, salt: str | None) -> Origin:
    """Whether a change is due because of the host or of the declaration.

    Args:
        change: a change of the plan for this host.
        salt: the salt of the logins' digests; None if it is lost.

    Returns:
        `host`, `fleet` (the fleet file, a password, a certificate), or `unclear`.
    """
    kind, name = change.resource.kind, change.resource.name
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
    if found is None or (wanted and found.digest == wanted.digest):  # missing, or its mode differs
        return "host"
    if written := case.owned.digests.get(case.name):
        return "fleet" if found.digest == written else "host"
    return _by_service_inputs(case, wanted) if wanted else "unclear"


def _by_service_inputs(case: _Case, wanted: File) -> Origin:
    """The origin for a file whose record has no digest.

    A service's specification contains the digests of its files, and nobody edits it by hand.
    """
    for service in case.want.services:
        made = case.seen.services.get(service.name)
        if made and wanted.digest in service.inputs:
            known = {service.specification, *service.earlier}
            return "host" if made.specification in known else "unclear"
    return "unclear"


def _edited(case: _Case) -> Origin:
    """The origin for a shared file: a change may be in the part that others own."""
    text = case.seen.texts.get(case.name)
    if text is None:
        return "host"
    same = hashlib.sha256(text.encode()).hexdigest() == case.owned.digests.get(case.name)
    return "fleet" if same else "unclear"


def _directory(case: _Case) -> Origin:
    return "host" if case.name in case.owned.directories else "fleet"


def _running(case: _Case) -> Origin:
    ours = case.name in {service.name for service in case.owned.services}
    return "host" if ours and case.change.action != "update" else "fleet"


def _image(case: _Case) -> Origin:
    """The origin for a missing image; the record names the images that regfleet brought."""
    users = {
        each.name for each in case.want.services if each.image and each.image.reference == case.name
    }
    brought = {each.image for each in case.owned.services if each.name in users}
    if case.name in brought:
        return "host"
    return "unclear" if "" in brought else "fleet"


def _data(case: _Case) -> Origin:
    del case
    return "fleet"  # only what is declared moves images


def _interrupted(case: _Case) -> Origin:
    del case
    return "host"


def _daemon(case: _Case) -> Origin:
    if case.change.action == "run":  # the file is as it should be, the running daemon is not
        return "host"
    document, key = json_document.parse(case.seen.daemon_json), path(case.name)
    owned = case.owned.edits.get(DAEMON_JSON, OwnedEdit())
    if key in owned.lists:
        there = document.get(key)
        kept = there if isinstance(there, list) else []
        gone = any(entry not in kept for entry in owned.lists[key].entries)
        return "host" if gone else "fleet"
    if key in owned.values:
        stands = key in document and same(document[key], owned.values[key].value)
        return "fleet" if stands else "host"
    return "fleet"


def _login(case: _Case) -> Origin:
    recorded = {login_resource(each.account, each.endpoint): each for each in case.owned.logins}
    ours = recorded.get(case.change.resource)
    if ours is None:
        return "fleet"
    found = case.seen.logins.get((ours.account, ours.endpoint))
    if found is None:
        return "host"
    if case.salt is None:
        return "unclear"
    return "fleet" if found in (ours.digest, "helper") else "host"


def _engine(case: _Case) -> Origin:
    return "host" if case.owned else "fleet"


def _timer(case: _Case) -> Origin:
    """Its files are as they should be, or they would be named."""
    del case
    return "host"


_KINDS: Mapping[Kind, Callable[[_Case], Origin]] = {
    "file": _file,
    "directory": _directory,
    **dict.fromkeys(get_args(ServiceKind), _running),
    "image": _image,
    "data": _data,
    "interrupted": _interrupted,
    "daemon.json": _daemon,
    "login": _login,
    "proxies": _login,
    "package": _engine,
    "service": _engine,
    "timer": _timer,
}
