"""Changes that an apply would make and that no other symptom explains. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regfleet.desired.resolve import registries_on
from regfleet.doctor.case import Case, HostExam
from regfleet.doctor.finding import Symptom
from regfleet.doctor.program import used
from regfleet.model.plan import Change
from regfleet.model.resource import Kind

_MOST_CHANGES = 4  # changes in one line
_ENGINE_CAUSES = {
    *("daemon-json", "unknown-key", "flag-conflict", "mirror-refused", "disk-full"),
    *("engine-missing", "engine-down", "engine-stopped", "engine-silent"),
}
_LOGIN_CAUSES = {
    "config-json",
    "logged-out",
    "unauthorized",
    "password-differs",
    "password-unknown",
    "denied",
}
_FLEET_FILE_CAUSES = {
    "plain-server",
    "tls-server",
}  # the fleet file changed; other changes follow from it
_CONFIGURATION_CAUSES = {"ignored-key", "plain-missing", "proxy"}
_OF_REGISTRY: tuple[Kind, ...] = ("container", "compose", "image")
_ENGINE_KINDS: tuple[Kind, ...] = (
    "daemon.json",
    *_OF_REGISTRY,
    "service",
    "package",
    "login",
    "proxies",
)


def of_host(case: Case, exam: HostExam, said: Iterable[Symptom]) -> Iterator[Symptom]:
    """Symptoms from a host's plan that the given ones do not explain.

    Args:
        said: the symptoms found so far, of any host.
    """
    if exam.plan is None or exam.seen is None or not case.applied(exam.name):
        return
    said = list(said)
    here = [each for each in said if exam.name in (each.host, *each.felt_by)]
    its = [*registries_on(case.fleet, exam.name), *used(case.fleet, exam.name)]
    names = {each.name for each in its}
    if any(each.cause in _FLEET_FILE_CAUSES and each.registry in names for each in said):
        return
    left = []
    for change in exam.plan.changes:
        if change.resource in case.unknown.get(exam.name, ()):
            continue
        symptom = _authority(case, exam, change)
        if symptom is None and not _explained(case, exam.name, change, here):
            left.append(change)
        elif symptom is not None and not any(_is_same(symptom, each) for each in here):
            yield symptom
    if left:
        more = max(0, len(left) - _MOST_CHANGES)
        yield Symptom(
            "not-as-declared", exam.name, "", changes=tuple(left[:_MOST_CHANGES]), more=more
        )


def _is_same(one: Symptom, other: Symptom) -> bool:
    return (one.cause, one.registry) == (other.cause, other.registry)


def _authority(case: Case, exam: HostExam, change: Change) -> Symptom | None:
    """The symptom of a missing or wrong CA on a client, whether or not the registry answers."""
    path = change.resource.name
    directory, _, name = path.rpartition("/")
    registry = case.by_endpoint(directory.rpartition("/")[2])
    declared = any(file.path == path for file in case.desired[exam.name].files)
    if change.resource.kind != "file" or "/certs.d/" not in directory or not name.endswith(".crt"):
        return None
    if registry is None or not declared or exam.seen is None:
        return None
    values = {"path": path}
    if exam.seen.paths.get(path) is None:
        return Symptom("ca-missing", exam.name, f"{path} is missing", registry.name, "", values)
    found = f"{path} is not the declared CA"
    return Symptom("ca-other", exam.name, found, registry.name, "", values)


def _explained(case: Case, host: str, change: Change, here: Iterable[Symptom]) -> bool:
    """Whether a symptom of the host explains the change."""
    kind, what = change.resource.kind, change.resource.name
    causes = {each.cause for each in here}
    if causes & _ENGINE_CAUSES and kind in _ENGINE_KINDS:
        return True
    if kind == "login":
        return bool(causes & _LOGIN_CAUSES)
    if kind == "daemon.json":
        return bool(causes & _CONFIGURATION_CAUSES)
    own = {registry.name for registry in registries_on(case.fleet, host)}
    of_registry = any(each.registry in own for each in here)
    return of_registry and (kind in _OF_REGISTRY or what.startswith("/etc/regfleet/"))
