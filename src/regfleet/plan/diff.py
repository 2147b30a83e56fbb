"""`(DesiredHost, ObservedHost) -> Plan`. Pure: the same two give the same plan."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from regfleet import record
from regfleet.desired.model import Container, DesiredHost, Directory, File, Image, LoginEntry
from regfleet.engines.docker import Docker
from regfleet.engines.interface import Engine, EnginePlan
from regfleet.errors import HostError
from regfleet.look.observed import ObservedHost
from regfleet.look.request import login_digest
from regfleet.plan.model import (
    Change,
    EditFile,
    InstallEngine,
    LogIn,
    LogOut,
    MakeDirectory,
    Plan,
    PullImage,
    PutFile,
    RemoveContainer,
    RemoveImage,
    RemovePath,
    RunContainer,
    StartContainer,
    Step,
)
from regfleet.record import Owned, OwnedContainer, OwnedLogin

ROOT = (0, 0)


@dataclass(slots=True)
class _Part:
    """Changes and steps of one kind of resource, collected while it is compared."""

    changes: list[Change] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def add(self, change: Change, *steps: Step) -> None:
        self.changes.append(change)
        self.steps.extend(steps)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What other fleets own on the host; what two fleets want goes with the last of them."""

    files: frozenset[str]
    directories: frozenset[str]
    logins: frozenset[tuple[str, str]]
    images: frozenset[str]

    @classmethod
    def of(cls, others: Iterable[Owned]) -> _Shared:
        others = list(others)
        return cls(
            frozenset(path for each in others for path in each.files),
            frozenset(path for each in others for path in each.directories),
            frozenset(_key(login) for each in others for login in each.logins),
            frozenset(item.image for each in others for item in each.containers),
        )


def diff(
    want: DesiredHost,
    seen: ObservedHost,
    salt: str,
    engines: Sequence[Engine] = (Docker(),),
) -> Plan:
    """What to do on a host.

    Args:
        want: what it should have; an empty one takes out all that the fleet owns there.
        seen: what one look found.
        salt: the salt that the look was given for the digests of logins.
        engines: the host's engines, the client's last.

    Raises:
        HostError: the host cannot be brought there; nothing has been touched.
    """
    if seen.uid != 0:
        raise HostError(
            want.name,
            f"commands run as user id {seen.uid} there, not as root",
            "set `sudo = true` under [ssh], or log in as root",
        )
    if seen.busy:  # what was seen is half of what it does
        raise HostError(
            want.name, f"another regfleet run is at work here: {seen.busy}", "wait for it to end"
        )
    owned = seen.owned.get(want.fleet, Owned())
    others = {fleet: theirs for fleet, theirs in seen.owned.items() if fleet != want.fleet}
    shared = _Shared.of(others.values())
    _same_engine(want, owned)
    part = _engines(want, seen, owned, tuple(others.values()), engines)
    want = _with(want, part)
    if part.new_store:
        seen = replace(seen, images={}, containers={})
    directories, files = _directories(want, seen), _files(want, seen, owned, shared)
    containers, archives = _containers(want, seen, owned)
    logins = _logins(want, seen, owned, shared, salt, engine=engines[-1])
    removals = _removals(want, seen, owned, shared)
    leftover = _leftover_directories(want, owned, shared)
    parts = (directories, files, containers, logins, removals, leftover)
    changes = (
        *_interrupted(seen),
        *part.changes,
        *(change for each in parts for change in each.changes),
    )
    steps = (*files.steps, *logins.steps)
    mine = _owned_after(want, seen, owned, shared, part, steps=steps, salt=salt)
    if not changes and _claims(mine) != _claims(owned):
        changes = (Change(f"file {record.PATH}", "update", "what is whose here has changed"),)
    if not changes:
        return Plan(want.name, running=seen.engine.running, live_restore=seen.engine.live_restore)
    text = record.render({**others, want.fleet: mine}) if mine or any(others.values()) else ""
    plan = Plan(
        host=want.name,
        changes=changes,
        steps=(
            *part.install,
            *directories.steps,
            *files.steps,
            *(step for step in removals.steps if isinstance(step, RemovePath)),
            *part.configure,
            # First those that go: they stand aside, and a new one may want their port.
            *(step for step in removals.steps if not isinstance(step, RemovePath)),
            *containers.steps,
            *_unused_images(want, owned),
            *logins.steps,
            *leftover.steps,
        ),
        record=text,
        expected=_expected(seen, part, (*files.steps, *part.configure)),
        archives=archives,
        running=seen.engine.running,
        live_restore=seen.engine.live_restore,
        may_restart=part.may_restart,
        engines=tuple(engine.shell for engine in engines),
    )
    return _installation(plan, seen) if part.apart else plan


def _with(want: DesiredHost, part: EnginePlan) -> DesiredHost:
    """What is wanted once the look has told which of the conditional things are."""
    known = {directory.path for directory in want.directories}
    more = [
        item
        for item in dict.fromkeys(part.also)
        if isinstance(item, Directory) and item.path not in known
    ]
    files = [item for item in part.also if isinstance(item, File)]
    return replace(
        want, directories=(*want.directories, *more), files=(*want.files, *files), conditional=()
    )


def _same_engine(want: DesiredHost, owned: Owned) -> None:
    if owned.engine and owned.engine not in want.engines:
        raise HostError(
            want.name,
            f"this fleet has set it up for the engine {owned.engine}, "
            f"and {want.engines[-1]} is declared now",
            f'declare `engine = "{owned.engine}"` again, `regfleet destroy FILE --limit '
            f"{want.name}`, then declare the new engine and apply",
        )


def _engines(
    want: DesiredHost,
    seen: ObservedHost,
    owned: Owned,
    others: tuple[Owned, ...],
    engines: Sequence[Engine],
) -> EnginePlan:
    """The engines' parts as one. At most one of them is Docker, the owner of daemon.json."""
    whole = EnginePlan()
    for engine in engines:
        part = engine.plan(want, seen, owned, others)
        whole = replace(
            part,
            changes=(*whole.changes, *part.changes),
            also=(*whole.also, *part.also),
            install=(*whole.install, *part.install),
            configure=(*whole.configure, *part.configure),
            daemon_created=whole.daemon_created or part.daemon_created,
            lists={**whole.lists, **part.lists},
            values={**whole.values, **part.values},
            edits={**whole.edits, **part.edits},
            apart=whole.apart or part.apart,
            expected=(*whole.expected, *part.expected),
            may_restart=whole.may_restart or part.may_restart,
            new_store=whole.new_store or part.new_store,
        )
    return whole


def _installation(plan: Plan, seen: ObservedHost) -> Plan:
    """A touch that only installs: what else is to be done is planned on what the packages bring."""
    return replace(
        plan,
        steps=tuple(step for step in plan.steps if isinstance(step, InstallEngine)),
        record=seen.record or "",
        expected=((record.PATH, _digest(seen.record)),),
        archives=(),
        again=True,
    )


def _interrupted(seen: ObservedHost) -> tuple[Change, ...]:
    if not seen.pending:
        return ()
    reason = "a change was cut off here: what was there before comes back first"
    return (Change("interrupted change", "run", reason),)


def _directories(want: DesiredHost, seen: ObservedHost) -> _Part:
    part = _Part()
    ours = set(seen.owned.get(want.fleet, Owned()).directories)
    for directory in want.directories:
        found = seen.paths.get(directory.path)
        if found is None:
            change = Change(f"directory {directory.path}", "create", directory.reason)
            part.add(change, MakeDirectory(directory))
        elif not found.directory:
            raise HostError(
                want.name,
                f"{directory.path} is a file where a directory belongs",
                "move it away by hand, then run this again",
            )
        elif directory.path in ours and (found.mode, found.owner) != (directory.mode, ROOT):
            reason = f"mode {found.mode:04o} is not {directory.mode:04o}"
            change = Change(f"directory {directory.path}", "update", reason)
            part.add(change, MakeDirectory(directory))
    return part


def _files(want: DesiredHost, seen: ObservedHost, owned: Owned, shared: _Shared) -> _Part:
    part = _Part()
    for file in want.files:
        found = seen.paths.get(file.path)
        ours = file.path in owned.files
        foreign = not ours and file.path not in shared.files
        if found is None:
            reason = "it was deleted by hand" if ours else file.reason
            change = Change(f"file {file.path}", "create", reason, diff=_added(file))
            part.add(change, PutFile(file, foreign=False))
        elif found.directory:
            raise HostError(
                want.name,
                f"{file.path} is a directory where a file belongs",
                "move it away by hand, then run this again",
            )
        elif found.digest != file.digest:
            change = Change(f"file {file.path}", "update", file.reason, diff=_added(file))
            part.add(change, PutFile(file, foreign=foreign))
        elif (found.mode, found.owner) != (file.mode, ROOT) and (ours or file.secret):
            reason = f"mode {found.mode:04o} is not root's {file.mode:04o}"
            change = Change(f"file {file.path}", "update", reason)
            part.add(change, PutFile(file, foreign=foreign))
    return part


def _added(file: File) -> str:
    if file.secret:
        return "(secret: not shown)"
    return "\n".join(f"+{line}" for line in file.content.decode(errors="replace").splitlines())


def _containers(
    want: DesiredHost, seen: ObservedHost, owned: Owned
) -> tuple[_Part, tuple[Image, ...]]:
    part = _Part()
    archives: dict[str, Image] = {}
    fetched: set[str] = set()
    ours = {container.name for container in owned.containers}
    for container in want.containers:
        found = seen.containers.get(container.name)
        resource = f"container {container.name}"
        if found and found.fleet != want.fleet:
            raise HostError(
                want.name,
                f"a container named {container.name} is there and belongs to "
                f"{f'the fleet {found.fleet}' if found.fleet else 'somebody else'}",
                f"rename or remove it (`docker rename {container.name} ...`), then run this again",
            )
        if found and found.specification == container.specification:
            if not found.running:
                change = Change(resource, "run", "it does not run")
                part.add(change, StartContainer(container))
            continue
        image = container.image
        if image.reference not in seen.images and image.reference not in fetched:
            fetched.add(image.reference)
            change = Change(f"image {image.reference}", "create", f"{container.reason}.image")
            part.add(change, *(() if image.archive else (PullImage(image),)))
        if image.archive and _archive_needed(container, found, seen):
            archives[image.reference] = image
        reason = container.reason
        if not found and container.name in ours:
            reason = "it was removed by hand"
        elif found:
            reason = f"{container.reason}: its specification changed"
        part.add(Change(resource, "update" if found else "create", reason), RunContainer(container))
    return part, tuple(archives.values())


def _archive_needed(container: Container, found: object, seen: ObservedHost) -> bool:
    """Whether the archive has to travel: no such image, or the container had another archive."""
    if container.image.reference not in seen.images:
        return True
    specification = getattr(found, "specification", "")
    return bool(specification) and not specification.endswith(container.archive_mark)


def _logins(
    want: DesiredHost,
    seen: ObservedHost,
    owned: Owned,
    shared: _Shared,
    salt: str,
    *,
    engine: Engine,
) -> _Part:
    part = _Part()
    recorded = {_key(login): login.digest for login in owned.logins}
    for login in want.logins:
        key = _key(login)
        found = seen.logins.get(key, "")
        if found == "no-account":
            raise HostError(
                want.name,
                f"there is no account {login.account} to log in",
                f"make the account, or take it out of {login.reason}",
            )
        if found == "helper":  # a credential helper keeps it: what we wrote last is what counts
            found = recorded.get(key, "")
        if found == login_digest(login, salt):
            continue
        change = Change(
            f"login {login.account}@{login.endpoint}", "update" if found else "create", login.reason
        )
        part.add(change, LogIn(login))
    wanted = {_key(login) for login in want.logins} | shared.logins
    for account, endpoint in recorded:
        if (account, endpoint) not in wanted:
            change = Change(f"login {account}@{endpoint}", "delete", "no longer declared")
            part.add(change, LogOut(account, endpoint, engine.shell, engine.login_file))
    return part


def _removals(want: DesiredHost, seen: ObservedHost, owned: Owned, shared: _Shared) -> _Part:
    part = _Part()
    wanted_files = {file.path for file in want.files} | shared.files
    for path in owned.files:
        if path not in wanted_files:
            part.add(Change(f"file {path}", "delete", "no longer declared"), RemovePath(path))
    wanted = {container.name for container in want.containers}
    for container in owned.containers:
        if container.name in wanted:
            continue
        if seen.engine.state == "down" and not want.engine:
            raise HostError(
                want.name,
                f"the engine does not run, so the container {container.name} cannot be removed",
                "start the engine (`systemctl start docker`), then run this again",
            )
        delete = container.storage if container.storage in want.delete_storage else ""
        change = Change(f"container {container.name}", "delete", "no longer declared")
        part.add(change, RemoveContainer(container.name, want.fleet, delete))
        if delete:
            part.add(Change(f"data {delete}", "delete", "--delete-data"))
    return part


def _unused_images(want: DesiredHost, owned: Owned) -> tuple[Step, ...]:
    wanted = {container.image.reference for container in want.containers}
    brought = dict.fromkeys(each.image for each in owned.containers if each.image)
    return tuple(RemoveImage(reference) for reference in brought if reference not in wanted)


def _leftover_directories(want: DesiredHost, owned: Owned, shared: _Shared) -> _Part:
    """Directories of ours that nothing wants; deepest first, removed only when empty."""
    part = _Part()
    wanted = {directory.path for directory in want.directories} | shared.directories
    for path in sorted(owned.directories, key=len, reverse=True):
        if path not in wanted:
            change = Change(f"directory {path}", "delete", "no longer declared, when it is empty")
            part.add(change, RemovePath(path, directory=True))
    return part


def _owned_after(
    want: DesiredHost,
    seen: ObservedHost,
    owned: Owned,
    shared: _Shared,
    part: EnginePlan,
    *,
    steps: Iterable[Step],
    salt: str,
) -> Owned:
    """The ownership once the plan is done: what was ours and is wanted, and what we write now.

    What another fleet owns and this one wants too is both's; what somebody put there by hand just
    as it is wanted stays theirs.
    """
    steps = list(steps)
    files = {step.file.path for step in steps if isinstance(step, PutFile)}
    files |= {*owned.files, *shared.files}
    directories = {*owned.directories, *shared.directories}
    logins = {_key(step.login) for step in steps if isinstance(step, LogIn)}
    logins |= {_key(login) for login in owned.logins} | shared.logins
    kept = [file for file in want.files if file.path in files]
    return Owned(
        files=tuple(file.path for file in kept),
        directories=tuple(
            directory.path
            for directory in want.directories
            if directory.own or directory.path in directories or directory.path not in seen.paths
        ),
        daemon_created=part.daemon_created,
        lists=part.lists,
        values=part.values,
        logins=tuple(_owned_login(login, salt) for login in want.logins if _key(login) in logins),
        containers=tuple(
            OwnedContainer(
                container.name, container.storage, _brought(container, seen, owned, shared)
            )
            for container in want.containers
        ),
        digests=_digests(kept, owned, part),
        engine=want.engine or owned.engine,
        edits={path: edit for path, edit in part.edits.items() if edit},
    )


def _digests(files: Iterable[File], owned: Owned, part: EnginePlan) -> dict[str, str]:
    """What the files will be that we write, and the whole of those in which something is ours."""
    known = {path: owned.digests[path] for path in part.edits if path in owned.digests}
    edited = {
        step.path: hashlib.sha256(step.content.encode()).hexdigest()
        for step in part.configure
        if isinstance(step, EditFile) and step.path in part.edits
    }
    return {**{file.path: file.digest for file in files}, **known, **edited}


def _brought(container: Container, seen: ObservedHost, owned: Owned, shared: _Shared) -> str:
    """The container's image where it came with us, so that it goes with us; empty otherwise."""
    reference = container.image.reference
    ours = reference in {each.image for each in owned.containers} | shared.images
    return reference if ours or reference not in seen.images else ""


def _claims(owned: Owned) -> frozenset[tuple[str, ...]]:
    """What the record says is a fleet's, without how it is."""
    return frozenset(
        (
            *(("file", path) for path in owned.files),
            *(("directory", path) for path in owned.directories),
            *(("entry", key, each) for key, kept in owned.lists.items() for each in kept.entries),
            *(("value", key) for key in owned.values),
            *(
                (kind, path, key)
                for path, edit in owned.edits.items()
                for kind, keys in (("entry", edit.lists), ("value", edit.values))
                for key in keys
            ),
            *(("login", *_key(login)) for login in owned.logins),
        )
    )


def _key(login: LoginEntry | OwnedLogin) -> tuple[str, str]:
    return login.account, login.endpoint


def _owned_login(login: LoginEntry, salt: str) -> OwnedLogin:
    return OwnedLogin(login.account, login.endpoint, login.user, login_digest(login, salt))


def _expected(
    seen: ObservedHost, part: EnginePlan, steps: Iterable[Step]
) -> tuple[tuple[str, str], ...]:
    expected = dict(part.expected)
    for step in steps:
        if isinstance(step, PutFile):
            found = seen.paths.get(step.file.path)
            expected[step.file.path] = found.digest if found else "absent"
        elif isinstance(step, EditFile):
            expected[step.path] = _digest(seen.texts.get(step.path))
    expected[record.PATH] = _digest(seen.record)
    return tuple(expected.items())


def _digest(text: str | None) -> str:
    return "absent" if text is None else hashlib.sha256(text.encode()).hexdigest()
