"""What the smoke test asks of registries from here: whether they refuse, and to delete its tags.

The way is a channel in the SSH connection of the registry's host, since this machine often has no
other; an external registry is asked directly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from regfleet.errors import RegfleetError
from regfleet.fleet.model import Registry
from regfleet.registry_api.checks import negative_checks
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import RegistryError
from regfleet.registry_api.target import Credentials, Target
from regfleet.registry_api.tunnel import Dial, direct
from regfleet.run.work import Work
from regfleet.smoke.outcome import Check, Verdict, pushed_digest
from regfleet.smoke.render import subjects


class Registries:
    """The registries of a run.

    Args:
        work: the run's work, for its materials and connections.
    """

    def __init__(self, work: Work) -> None:
        self._work = work

    def refusals(self, registry: Registry) -> tuple[Check, ...]:
        """Once a registry: whom it must turn away, it does."""
        user = registry.users[0].name if registry.users else None
        try:
            return negative_checks(
                registry.name,
                self._target(registry),
                user,
                retired=self._work.materials.registries[registry.name].retired,
                pushes=registry.proxy is None,
                credentials=self._credentials(registry),
            )
        except RegfleetError as error:
            return (Check(f"{registry.name}/refusals", "skipped", error.message),)

    def clean(self, checks: Mapping[str, Sequence[Check]]) -> dict[str, tuple[Check, ...]]:
        """Delete the tags that clients pushed, over one connection a registry.

        Args:
            checks: each client's checks, which tell what it pushed.

        Returns:
            For each client a check `REGISTRY/delete` for each registry that it pushed to.
        """
        pushed: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        for name, found in checks.items():
            for subject in subjects(self._work.fleet, self._work.materials, name):
                digest = pushed_digest(found, subject.registry.name)
                if digest:
                    pushed[subject.registry.name].append((name, subject.repository, digest))
        verdicts: dict[str, tuple[Check, ...]] = defaultdict(tuple)
        for registry, entries in pushed.items():
            for name, check in self._delete(self._work.fleet.registries[registry], entries):
                verdicts[name] = (*verdicts[name], check)
        return verdicts

    def _delete(
        self, registry: Registry, entries: Sequence[tuple[str, str, str]]
    ) -> list[tuple[str, Check]]:
        what = f"{registry.name}/delete"
        if not registry.delete and not registry.external:
            skip = Check(what, "skipped", "deletion is off in this registry")
            return [(name, skip) for name, _, _ in entries]
        verdicts = []
        with RegistryClient(self._target(registry), self._credentials(registry)) as client:
            for name, repository, digest in entries:
                verdict, detail = _deleted(client, registry, repository, digest)
                verdicts.append((name, Check(what, verdict, detail)))
        return verdicts

    def _target(self, registry: Registry) -> Target:
        material = self._work.materials.registries[registry.name]
        dial: Dial | None = None
        if registry.hosts:
            host = registry.hosts[0]
            dial = self._work.connections.tunnel(host.name, registry.port)
            dial = dial or direct("127.0.0.1", registry.port)
        return Target.of(registry, material.ca, dial)

    def _credentials(self, registry: Registry) -> Credentials | None:
        passwords = self._work.materials.registries[registry.name].passwords
        if not passwords:
            return None
        user = next(iter(passwords))
        return Credentials(user, passwords[user])


def _deleted(
    client: RegistryClient, registry: Registry, repository: str, digest: str
) -> tuple[Verdict, str]:
    try:
        client.delete(repository, digest)
    except RegistryError as error:
        off = registry.external or error.kind == "unsupported"
        return "skipped" if off else "failed", error.message
    except RegfleetError as error:  # no way to the registry from here
        return "skipped", error.message
    return "passed", digest
