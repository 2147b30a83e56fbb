"""The ownership record after a plan, and the digests that a host must still have before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from regfleet import record
from regfleet.engines.interface import EnginePlan
from regfleet.look.request import login_digest
from regfleet.model.desired import DesiredHost, LoginEntry
from regfleet.model.files import File
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import EditFile, LogIn, PutFile, Step
from regfleet.model.service import Service
from regfleet.plan.part import Shared, login_key
from regfleet.record import Adopted, Owned, OwnedLogin, OwnedService


def owned_after(
    want: DesiredHost,
    seen: ObservedHost,
    owned: Owned,
    shared: Shared,
    part: EnginePlan,
    *,
    steps: Iterable[Step],
    salt: str,
    adopted: tuple[Adopted, ...] = (),
) -> Owned:
    """The fleet's ownership record after the plan: what it owned and still wants, and what it adds.

    A resource that another fleet owns and this one wants belongs to both. A resource that was on
    the host just as wanted, and that no fleet owns, is not claimed.
    """
    steps = list(steps)
    files = {step.file.path for step in steps if isinstance(step, PutFile)}
    files |= {*owned.files, *shared.files}
    directories = {*owned.directories, *shared.directories}
    logins = {login_key(step.login) for step in steps if isinstance(step, LogIn)}
    logins |= {login_key(login) for login in owned.logins} | shared.logins
    kept = [file for file in want.files if file.path in files]
    return Owned(
        files=tuple(file.path for file in kept),
        directories=tuple(
            directory.path
            for directory in want.directories
            if directory.own or directory.path in directories or directory.path not in seen.paths
        ),
        logins=tuple(
            _owned_login(login, salt) for login in want.logins if login_key(login) in logins
        ),
        services=tuple(
            OwnedService(
                service.name,
                service.storage,
                _owned_image(service, want.fleet, seen, owned, shared),
                service.kind,
                service.registry,
            )
            for service in want.services
        ),
        digests=_file_digests(kept, owned, part),
        engine=want.engine or owned.engine,
        edits={path: edit for path, edit in part.edits.items() if edit},
        adopted=adopted,
    )


def claims(owned: Owned) -> frozenset[tuple[str, ...]]:
    """The keys of everything that a fleet owns, without digests and other state."""
    return frozenset(
        (
            *(("file", path) for path in owned.files),
            *(("directory", path) for path in owned.directories),
            *(
                ("entry", path, key, entry)
                for path, edit in owned.edits.items()
                for key, kept in edit.lists.items()
                for entry in kept.entries
            ),
            *(("value", path, key) for path, edit in owned.edits.items() for key in edit.values),
            *(("login", *login_key(login)) for login in owned.logins),
        )
    )


def expected_digests(
    seen: ObservedHost, part: EnginePlan, steps: Iterable[Step]
) -> tuple[tuple[str, str], ...]:
    """SHA-256, by path, that each file to be written must still have when the touch begins."""
    expected = dict(part.expected)
    for step in steps:
        if isinstance(step, PutFile):
            found = seen.paths.get(step.file.path)
            expected[step.file.path] = found.digest if found else "absent"
        elif isinstance(step, EditFile):
            expected[step.path] = digest_of(seen.texts.get(step.path))
    expected[record.PATH] = digest_of(seen.record)
    return tuple(expected.items())


def digest_of(text: str | None) -> str:
    """SHA-256 of a file's text; `absent` if there is no file."""
    return "absent" if text is None else hashlib.sha256(text.encode()).hexdigest()


def _file_digests(files: Iterable[File], owned: Owned, part: EnginePlan) -> dict[str, str]:
    """SHA-256, by path, of the written files and of the edited documents as a whole."""
    known = {path: owned.digests[path] for path in part.edits if path in owned.digests}
    edited = {
        step.path: hashlib.sha256(step.content.encode()).hexdigest()
        for step in part.configure
        if isinstance(step, EditFile) and step.path in part.edits
    }
    return {**{file.path: file.digest for file in files}, **known, **edited}


def _owned_image(
    service: Service, fleet: str, seen: ObservedHost, owned: Owned, shared: Shared
) -> str:
    """The service's image if regfleet brought it and so removes it; else an empty text."""
    if service.image is None:  # that of the runtime before stays its own, and goes with the fleet
        before = {(each.name, each.kind): each.image for each in owned.services}
        return before.get((service.name, service.kind), "")
    reference = service.image.reference
    ours = reference in {each.image for each in owned.services} | shared.images
    brought = (service.image.engine, reference) in seen.brought_by(fleet)
    return reference if ours or brought or reference not in seen.images else ""


def _owned_login(login: LoginEntry, salt: str) -> OwnedLogin:
    return OwnedLogin(login.account, login.endpoint, login.user, login_digest(login, salt))
