"""Diagnose a case: root causes first, each once. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from regfleet.doctor import differences, hosts, registries
from regfleet.doctor.case import Case
from regfleet.doctor.finding import Finding, Symptom, findings
from regfleet.errors import CertificateError, PasswordError, UnreadLoginError
from regfleet.registry_api.errors import RegistryError

# Causes of other failures come first: fixing them often removes the rest. What clients report
# comes after these, in no fixed order.
_ORDER = (
    ("password-unknown", "certificate-unusable", "elsewhere"),
    ("unreachable", "not-looked-at"),
    ("clock", "gateway-clock", "disk-full"),
    ("daemon-json", "unknown-key", "flag-conflict", "mirror-refused", "ignored-key"),
    ("engine-missing", "engine-down", "engine-stopped", "engine-silent", "start-limit"),
    ("port-taken", "name-not-resolved", "mirror-not-resolved", "wrong-address"),
    ("proxy-unreachable", "proxy"),
    (
        "registry-down",
        "registry-silent",
        "registry-full",
        "bucket",
        "registry-error",
        "not-a-registry",
    ),
    ("server-other", "wrong-name", "certificate-dates", "plain-server", "tls-server"),
    ("password-differs",),
)
_LAST = (("refused",), ("not-as-declared",), ("not-applied",))


def _rank(symptom: Symptom) -> int:
    for order, start in ((_ORDER, 0), (_LAST, len(_ORDER) + 1)):
        for number, causes in enumerate(order, start):
            if symptom.cause in causes:
                return number
    return len(_ORDER)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The faults of a fleet.

    Attributes:
        fleet: its name.
        hosts: the examined hosts; `reached`: those that could be read.
        registries: the registries that were asked, whatever they answered.
        notes: what could not be checked.
    """

    fleet: str
    findings: tuple[Finding, ...]
    hosts: tuple[str, ...]
    reached: tuple[str, ...]
    registries: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings


def diagnose(case: Case, file: str) -> Diagnosis:
    """Diagnose a case.

    Args:
        file: the fleet file as the user named it, used in commands.
    """
    first, last = list(_fleet_symptoms(case)), list(_not_applied(case))
    clocks = [*hosts.clocks(case), *hosts.gateway_clocks(case)]
    of_hosts = [each for exam in case.hosts.values() for each in hosts.of_host(case, exam)]
    roots: dict[str, Symptom] = {}
    of_registries: list[Symptom] = []
    for exam in case.registries.values():
        said, root = registries.of_registry(case, exam, [*clocks, *of_hosts])
        if root:
            roots[exam.name] = root
        if said:
            of_registries.append(said)
    found = registries.Roots(roots)
    known = (*clocks, *of_hosts)
    of_clients = [
        each
        for exam in case.hosts.values()
        for each in registries.of_client(case, exam, found, known)
    ]
    # An unreadable login file also makes the plan fail: report it once.
    unread = {each.host for each in of_clients if each.cause == "config-json"}
    of_hosts = [
        each
        for each in of_hosts
        if each.cause != "refused"
        or each.host not in unread
        or not _refused_for_logins(case, each.host)
    ]
    told = [*first, *clocks, *of_hosts, *of_registries, *of_clients]
    seen = list(found.with_felt(told))
    others = [
        each for exam in case.hosts.values() for each in differences.of_host(case, exam, seen)
    ]
    every = sorted([*seen, *others, *last], key=_rank)
    return Diagnosis(
        case.fleet.name,
        findings(every, case.fleet, file),
        tuple(case.hosts),
        tuple(name for name, exam in case.hosts.items() if exam.seen is not None),
        tuple(
            name
            for name, exam in case.registries.items()
            if exam.error is None or isinstance(exam.error, RegistryError)
        ),
        tuple(registries.notes(case)),
    )


def _refused_for_logins(case: Case, host: str) -> bool:
    """Whether planning a host failed because of an unreadable login file."""
    return isinstance(case.hosts[host].refused, UnreadLoginError)


def _fleet_symptoms(case: Case) -> Iterator[Symptom]:
    """Symptoms of missing secrets or state on this machine."""
    looked = [name for name, exam in case.hosts.items() if exam.seen is not None]
    applied = [name for name in looked if case.applied(name)]
    for error in case.errors:
        fix = (error.hint,) if error.hint else ()
        if isinstance(error, PasswordError):
            yield Symptom("password-unknown", "", error.message, fix=fix)
        elif isinstance(error, CertificateError):
            yield Symptom("certificate-unusable", "", error.message, fix=fix)
    missing = [
        error for error in case.errors if not isinstance(error, (PasswordError, CertificateError))
    ]
    if missing and applied:
        yield Symptom("elsewhere", "", missing[0].message)


def _not_applied(case: Case) -> Iterator[Symptom]:
    """Hosts on which the fleet owns nothing; last, because other findings come before an apply."""
    for name, exam in case.hosts.items():
        if exam.seen is not None and not case.applied(name):
            yield Symptom("not-applied", name, f"there is no record of fleet {case.fleet.name}")
