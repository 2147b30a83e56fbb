"""The registry side of the smoke test: check refusals, and delete the pushed tags."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from regfleet.errors import RegfleetError
from regfleet.fleet.model import Registry
from regfleet.model.checks import Check, Verdict
from regfleet.registry_api.checks import negative_checks
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import RegistryError, only_registry_errors
from regfleet.run.asking import Asking
from regfleet.run.work import Work
from regfleet.smoke.outcome import pushed_digest
from regfleet.smoke.render import subjects


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
        """Check that a registry's instance on a host refuses the requests that it must refuse."""
        user = registry.users[0].name if registry.users else None
        try:
            with only_registry_errors(registry.endpoint):
                return negative_checks(
                    registry.name,
                    self._asking.target(registry, (host,)),
                    user,
                    retired=self._work.materials.registries[registry.name].retired,
                    pushes=registry.proxy is None,
                    credentials=self._asking.user(registry)[0],
                )
        except RegfleetError as error:
            return (Check(f"{registry.name}/refusals", "skipped", error.message),)

    def clean(self, checks: Mapping[str, Sequence[Check]]) -> dict[str, tuple[Check, ...]]:
        """Delete the tags that clients pushed, over one connection a registry.

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
        user, _ = self._asking.user(registry)
        try:
            with self._asking.client(registry, user) as client:
                for name, repository, digest in entries:
                    verdict, detail = _deleted(client, registry, repository, digest)
                    verdicts.append((name, Check(what, verdict, detail)))
        except RegfleetError as error:  # no way to the registry from here
            skip = Check(what, "skipped", error.message)
            return [(name, skip) for name, _, _ in entries]
        return verdicts


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
