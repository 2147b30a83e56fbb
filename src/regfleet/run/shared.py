"""Proves that a registry's storage is one file system on all its hosts, before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote

from regfleet import shell
from regfleet.errors import HostError, RegfleetError
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.run.work import Work
from regfleet.shell import frame
from regfleet.ssh.limits import LOOK_SECONDS

_MOUNT = "mount it there, and have the host mount it when it boots (fstab, or a .mount unit)"
_WHY: Mapping[str, tuple[str, str]] = {
    "missing": ("{path} is not there", _MOUNT),
    "unmounted": ("{path} is on the host's own file system: nothing is mounted there", _MOUNT),
    "unwritable": (
        "root cannot write to {path}",
        "let root write there; an NFS server needs `no_root_squash` for these hosts",
    ),
    "unseen": (
        "a file that {first} wrote to {path} is not there after a second",
        "mount the same file system on all hosts of the registry, without long caching",
    ),
    "owner": (
        "a file that {first} wrote to {path} has another owner here",
        "have the file system give the same owners on all hosts",
    ),
}


def to_prove(fleet: Fleet, names: Sequence[str]) -> Iterator[tuple[Registry, list[str]]]:
    """The registries with shared storage that run on several of these hosts, with those."""
    for registry in fleet.declared:
        hosts = [each.name for each in registry.hosts if each.name in names]
        if registry.shared and len(hosts) > 1:
            yield registry, hosts


def prove(work: Work, registry: Registry, names: Sequence[str]) -> Iterator[HostError]:
    """Write a file on the first of these hosts, and read it on the others.

    Args:
        names: hosts of the registry. The file is removed again.

    Yields:
        One error for each host that does not share the storage, or could not be asked.
    """
    first, *others = names
    try:
        owner = _ask(work, first, "write", registry.storage, first)
        for name in others:
            if error := _unlike(work, name, registry.storage, first, owner):
                yield error
        _run(work, first, "forget", registry.storage)
    except HostError as error:
        yield error


class InTurn:
    """The same where hosts are touched one by one: before the first host of each registry."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._errors: dict[str, dict[str, HostError]] = {}

    def refused(self, name: str) -> HostError | None:
        """Why a host does not share the storage of a registry with others; None if it does.

        Call it in the host's turn, so that none of the others is being changed. Only hosts
        of its registries are planned for it: a fleet may have hundreds of others.
        """
        its = [each for each in self._work.fleet.registries_on(name) if each.shared]
        for registry in its:
            if registry.name in self._errors:
                continue
            changing = [each.name for each in registry.hosts if self._changes(each.name)]
            if name in changing and len(changing) > 1:
                found = prove(self._work, registry, changing)
                self._errors[registry.name] = {each.host: each for each in found}
        errors = (self._errors.get(each.name, {}) for each in its)
        return next((found[name] for found in errors if name in found), None)

    def _changes(self, name: str) -> bool:
        try:
            return name in self._work.seen and not self._work.plan(name).empty
        except RegfleetError:  # which that host tells itself
            return False


def _unlike(work: Work, name: str, path: str, first: str, owner: str) -> HostError | None:
    """The error if another host does not see the file as the first one does."""
    try:
        seen = _ask(work, name, "read", path, first)
    except HostError as error:
        return error
    return None if seen == owner else _error(name, "owner", path, first)


def _ask(work: Work, name: str, what: str, path: str, first: str) -> str:
    """The owner of the file, as this host sees it.

    Raises:
        HostError: this host does not share the storage, or did not answer.
        UnreachableError: there is no connection.
    """
    for line in _run(work, name, what, path):
        word, _, rest = line.partition(" ")
        if word == "@shared":
            said, _, owner = rest.partition(" ")
            if said == "ok" and owner.isdigit():
                return owner
            if said in _WHY:
                raise _error(name, said, path, first)
    raise HostError(
        name,
        f"whether {path} is shared could not be found out",
        "run it again; if it stays so, log in by hand and see whether a shell command works",
    )


def _error(name: str, why: str, path: str, first: str) -> HostError:
    found, hint = _WHY[why]
    words = found.format(path=path, first=first)
    return HostError(name, f"the storage of several hosts is not shared: {words}", hint)


def _run(work: Work, name: str, what: str, path: str) -> Sequence[str]:
    mark = f"{work.token}-shared-{what}"
    program = shell.program("regfleet.look", "shared.sh")
    call = f"shared_{what} {quote(path)} {work.token}"
    text = f"{program}\n{frame.around(mark, f'{call} </dev/null')}"
    return frame.framed(work.connections.run(name, text, LOOK_SECONDS), mark).lines
