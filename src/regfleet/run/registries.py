"""The registry side of the smoke test: refusals, roles, what is put there and deleted again."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from regfleet.errors import RegfleetError
from regfleet.fleet.registries import Registry
from regfleet.model.checks import Check, Verdict
from regfleet.registry_api import tiny
from regfleet.registry_api.checks import negative_checks
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import RegistryError, only_registry_errors
from regfleet.registry_api.role_checks import role_checks
from regfleet.registry_api.target import Credentials
from regfleet.roles import who_may
from regfleet.run.asking import Asking
from regfleet.run.work import Work
from regfleet.smoke.outcome import pushed_digest
from regfleet.smoke.render import OTHER_ROLES, Given, Subject, subjects

_COUNT = itertools.count(1)


class Registries:
    """The registries of a run.

    Args:
        work: the run's work, for its materials and connections.
    """

    def __init__(self, work: Work) -> None:
        self._work = work

    @property
    def _asking(self) -> Asking:
        return Asking.of(self._work.materials, self._work.connections)

    def refusals(self, registry: Registry, host: str) -> tuple[Check, ...]:
        """Check that a registry's instance on a host refuses what it must, and holds its roles."""
        user = registry.users[0].name if registry.users else None
        try:
            with only_registry_errors(registry.endpoint):
                material = self._work.materials.registries[registry.name]
                target = self._asking.target(registry, (host,))
                refused = negative_checks(
                    registry.name,
                    target,
                    user,
                    retired=material.retired,
                    pushes=registry.takes_pushes,
                    credentials=self._asking.user(registry)[0],
                )
                if registry.name in self._work.other_roles:
                    return (*refused, Check(f"{registry.name}/roles", "skipped", OTHER_ROLES))
                held = role_checks(registry, target, material.passwords, self._work.token)
                return (*refused, *held)
        except RegfleetError as error:
            return (Check(f"{registry.name}/refusals", "skipped", error.message),)

    def give(self, hosts: Iterable[str]) -> None:
        """Put into the registries what clients on these hosts pull that may not push.

        One image for each registry and repository, over one connection; it is noted in the work.
        """
        wanted: dict[tuple[str, str], list[tuple[str, Subject]]] = defaultdict(list)
        for host in hosts:
            for subject in subjects(self._work.fleet, host):
                if subject.only_pulls and subject.registry.name not in self._work.other_roles:
                    wanted[subject.registry.name, subject.repository].append((host, subject))
        for (name, _), each in wanted.items():
            given = self._give(each[0][1])
            self._work.given |= {(host, name): given for host, _ in each}

    def _give(self, subject: Subject) -> Given:
        registry, repository = subject.registry, subject.repository
        passwords = self._work.materials.registries[registry.name].passwords
        pusher = who_may(registry, passwords, repository, "push")
        deleter = who_may(registry, passwords, repository, "delete")
        if not pusher or not deleter or not registry.delete:
            what = "put anything there" if not pusher else "delete again what is put there"
            return Given(why=f"{subject.only_pulls}, and nobody could {what}")
        tag = f"{self._work.token}-{next(_COUNT)}"
        image = tiny.make(tag)
        try:
            with self._asking.client(registry, Credentials(pusher, passwords[pusher])) as client:
                tiny.push(client, repository, tag, image)
        except RegfleetError as error:
            why = f"{subject.only_pulls}, and nothing could be put there to pull: {error.message}"
            return Given(why=why)
        return Given(tag, image.digests)

    def _take(self, hosts: Iterable[str]) -> dict[str, tuple[Check, ...]]:
        """Delete what was put there for these hosts; a check for each of them."""
        taken: dict[tuple[str, str], Check] = {}
        verdicts: dict[str, tuple[Check, ...]] = defaultdict(tuple)
        for host in hosts:
            for subject in subjects(self._work.fleet, host):
                registry = subject.registry
                if not subject.only_pulls:
                    continue
                given = self._work.given.pop((host, registry.name), None)
                if given is None or given.why:
                    continue
                key = registry.name, given.tag
                if key not in taken:
                    entries = [("", subject.repository, digest) for digest in given.digests]
                    found = [check for _, check in self._delete(registry, entries)]
                    bad = (check for check in found if check.verdict != "passed")
                    taken[key] = next(bad, found[0])
                verdicts[host] = (*verdicts[host], taken[key])
        return verdicts

    def clean(self, checks: Mapping[str, Sequence[Check]]) -> dict[str, tuple[Check, ...]]:
        """Delete the tags that clients pushed, and what was put there for others to pull.

        Args:
            checks: each client's checks, which name the digests that it pushed.

        Returns:
            For each client a check `REGISTRY/delete` for each registry that it pushed to.
        """
        pushed: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        for name, found in checks.items():
            for subject in subjects(self._work.fleet, name):
                digest = pushed_digest(found, subject.registry.name)
                if digest:
                    pushed[subject.registry.name].append((name, subject.repository, digest))
        verdicts = self._take(checks)
        for registry, entries in pushed.items():
            for name, check in self._delete(self._work.fleet.registries[registry], entries):
                verdicts[name] = (*verdicts.get(name, ()), check)
        return verdicts

    def _delete(
        self, registry: Registry, entries: Sequence[tuple[str, str, str]]
    ) -> list[tuple[str, Check]]:
        what = f"{registry.name}/delete"
        if not registry.delete and not registry.external:
            skip = Check(what, "skipped", "deletion is off in this registry")
            return [(name, skip) for name, _, _ in entries]
        verdicts = []
        by_user: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        for entry in entries:
            by_user[self._deleter(registry, entry[1])].append(entry)
        if registry.projects:
            why = "no declared user may delete there"
            verdicts += [(name, Check(what, "skipped", why)) for name, _, _ in by_user.pop("", ())]
        try:
            for user, its in by_user.items():
                with self._asking.client(registry, self._credentials(registry, user)) as client:
                    for name, repository, digest in its:
                        verdict, detail = _deleted(client, registry, repository, digest)
                        verdicts.append((name, Check(what, verdict, detail)))
        except RegfleetError as error:  # no way to the registry from here
            skip = Check(what, "skipped", error.message)
            return [(name, skip) for name, _, _ in entries]
        return verdicts

    def _deleter(self, registry: Registry, repository: str) -> str:
        """The user who deletes there; empty for the registry's usual one, or where nobody may."""
        passwords = self._work.materials.registries[registry.name].passwords
        return who_may(registry, passwords, repository, "delete") if registry.projects else ""

    def _credentials(self, registry: Registry, user: str) -> Credentials | None:
        if not user:
            return self._asking.user(registry)[0]
        return Credentials(user, self._work.materials.registries[registry.name].passwords[user])


def _deleted(
    client: RegistryClient, registry: Registry, repository: str, digest: str
) -> tuple[Verdict, str]:
    try:
        with only_registry_errors(registry.endpoint):
            client.delete(repository, digest)
    except RegistryError as error:
        off = registry.external or error.kind == "unsupported"
        return "skipped" if off else "failed", error.message
    except RegfleetError as error:  # no way to the registry from here
        return "skipped", error.message
    return "passed", digest
