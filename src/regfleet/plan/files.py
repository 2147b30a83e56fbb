"""Plan which whole files to write, and which of the fleet's files to remove."""

from __future__ import annotations

from collections.abc import Mapping

from regfleet import htpasswd, roles
from regfleet.errors import HostError
from regfleet.model.desired import DesiredHost
from regfleet.model.files import File, account_of
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Change, Part, PutFile, RemovePath
from regfleet.model.resource import Resource
from regfleet.plan.part import PlanPart, Shared, is_fit
from regfleet.plan.roles import role_changes
from regfleet.record import Owned
from regfleet.roles import Roles


def files_to_write(want: DesiredHost, seen: ObservedHost, owned: Owned, shared: Shared) -> PlanPart:
    """Write files that are missing or differ in content, mode or owner.

    Raises:
        HostError: a directory is in the place of a file.
    """
    part = PlanPart()
    for file in want.files:
        found, resource = seen.paths.get(file.path), Resource("file", file.path)
        ours = file.path in owned.files
        foreign = not ours and file.path not in shared.files
        if found is None:
            reason = "it was deleted by hand" if ours else file.reason
            parts = () if ours else _parts(file, {}, Roles())
            change = Change(resource, "create", reason, diff=_added_lines(file), parts=parts)
            part.add(change, PutFile(file, foreign=False))
        elif found.directory:
            raise HostError(
                want.name,
                f"{file.path} is a directory, but must be a file",
                "move it away by hand, then run this again",
            )
        elif found.digest != file.digest:
            parts = _parts(file, seen.users.get(file.path), seen.roles.get(file.path))
            change = Change(resource, "update", file.reason, diff=_added_lines(file), parts=parts)
            part.add(change, PutFile(file, foreign=foreign))
        elif not is_fit(found, file.mode) and (ours or file.secret):
            whose = account_of(file.path) or "root"
            reason = f"mode {found.mode:04o} is not {whose}'s {file.mode:04o}"
            change = Change(resource, "update", reason)
            part.add(change, PutFile(file, foreign=foreign))
    return part


def files_to_remove(want: DesiredHost, owned: Owned, shared: Shared) -> PlanPart:
    """Remove the fleet's files that are no longer wanted."""
    part = PlanPart()
    wanted_files = {file.path for file in want.files} | shared.files
    for path in owned.files:
        if path not in wanted_files:
            part.add(Change(Resource("file", path), "delete", want.why_gone), RemovePath(path))
    return part


def _added_lines(file: File) -> str:
    if file.secret and not file.shown:
        return "(secret: not shown)"
    text = file.shown if file.secret else file.content.decode(errors="replace")
    return "\n".join(f"+{line}" for line in text.splitlines())


def _parts(file: File, users: Mapping[str, str] | None, there: Roles | None) -> tuple[Part, ...]:
    """What changes in a file of users or roles, one by one; nothing for other files.

    Args:
        users, there: of the file on the host, as in `ObservedHost`; None if unknown.
    """
    if file.users and users is not None:
        return _user_changes(file, users)
    wanted = roles.parse(file.content.decode()) if file.roles and there else None
    return role_changes(wanted, there) if wanted and there else ()


def _user_changes(file: File, there: Mapping[str, str]) -> tuple[Part, ...]:
    """The users that an htpasswd file gains or loses, and the passwords that change.

    Args:
        there: `htpasswd.marks_of_users` of the file on the host.
    """
    wanted = htpasswd.marks_of_users(file.content.decode())
    parts = [Part(Resource("user", name), "create") for name in wanted if name not in there]
    parts += [
        Part(Resource("password", name), "update")
        for name, mark in wanted.items()
        if mark and there.get(name, mark) != mark
    ]
    parts += [Part(Resource("user", name), "delete") for name in there if name not in wanted]
    return tuple(parts)
