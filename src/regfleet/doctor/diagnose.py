"""From what was collected to what is wrong: roots first, each said once. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from regfleet.doctor import hosts, registries
from regfleet.doctor.case import Case
from regfleet.doctor.finding import Finding, Symptom, findings
from regfleet.errors import CertificateError, PasswordError
from regfleet.registry_api.errors import RegistryError


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with a fleet.

    Attributes:
        fleet: its name.
        hosts: those that were examined; `reached` of them could be looked at.
        registries: those that were asked, whatever they answered.
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
        """Whether nothing was found."""
        return not self.findings


def diagnose(case: Case, file: str) -> Diagnosis:
    """Say what is wrong.

    Args:
        file: the fleet file as the user named it, for commands.
    """
    first, last = list(_of_fleet(case)), list(_not_applied(case))
    clocks = list(hosts.clocks(case))
    of_hosts = [each for exam in case.hosts.values() for each in hosts.of_host(case, exam)]
    roots: dict[str, Symptom] = {}
    of_registries: list[Symptom] = []
    for exam in case.registries.values():
        said, root = registries.of_registry(case, exam, of_hosts)
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
    every = [*first, *clocks, *of_hosts, *of_registries, *of_clients, *last]
    return Diagnosis(
        case.fleet.name,
        findings(found.with_felt(every), case.fleet, file),
        tuple(case.hosts),
        tuple(name for name, exam in case.hosts.items() if exam.seen is not None),
        tuple(
            name
            for name, exam in case.registries.items()
            if exam.error is None or isinstance(exam.error, RegistryError)
        ),
        tuple(registries.notes(case)),
    )


def _of_fleet(case: Case) -> Iterator[Symptom]:
    """Whether what it needs is here."""
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
    """Hosts without anything of the fleet's: last, since what else is found would hinder that."""
    for name, exam in case.hosts.items():
        if exam.seen is not None and not case.applied(name):
            yield Symptom("not-applied", name, f"there is no record of fleet {case.fleet.name}")
