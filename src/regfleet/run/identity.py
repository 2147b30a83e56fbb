"""Refuse to give an applied fleet a new identity: a CA or passwords that its hosts do not know.

Only the state directory has them. If it is lost, or empty as after a CI checkout, a run would make
new ones for the whole fleet: clients outside the run would refuse the registry, and copies of
passwords elsewhere would stop working. The hosts' ownership records show what the fleet had before.
Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from regfleet import htpasswd, state_paths
from regfleet.desired.resolve import clients_of
from regfleet.errors import UsageError
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.materials import Materials
from regfleet.model.desired import DesiredHost
from regfleet.model.names import counted, listed
from regfleet.model.observed import ObservedHost
from regfleet.record import Owned
from regfleet.state import StagedState, StateDirectory

OPTION = "--new-identity"
VARIABLE = "REGFLEET_NEW_IDENTITY"
HOW_TO = "docs/how-to/keep-the-state.md"
_WIDE = 60  # characters of hosts' names


@dataclass(frozen=True, slots=True)
class Identity:
    """The CA and passwords that a run would make anew.

    Attributes:
        new: names of state files that the run would create.
        place: the state directory, for messages.
        users: by registry, the htpasswd file in the state directory.
    """

    fleet: Fleet
    materials: Materials
    new: frozenset[str]
    place: str
    users: Mapping[str, str]

    @classmethod
    def of(cls, fleet: Fleet, materials: Materials, state: StagedState) -> Identity:
        """From the staged files of a state directory.

        Raises:
            StateError: the state directory cannot be used.
        """
        kept = StateDirectory(state.path)
        found = {name: kept.read_text(state_paths.htpasswd(name)) for name in fleet.registries}
        return cls(
            fleet,
            materials,
            state.new(),
            str(state.path),
            {name: text for name, text in found.items() if text is not None},
        )

    def lost(
        self, desired: Mapping[str, DesiredHost], seen: Mapping[str, ObservedHost]
    ) -> UsageError | None:
        """The error if a CA or password that hosts were set up with is missing here.

        Args:
            desired: the desired state of the run's hosts.
            seen: the looks at those that could be read.
        """
        owned = {
            name: theirs
            for name in desired
            if name in seen and (theirs := seen[name].owned.get(self.fleet.name))
        }
        missing = list(self._missing(desired, owned))
        if not missing:
            return None
        return UsageError(
            f"{counted(len(owned))} of the fleet {self.fleet.name} ({listed(list(owned), _WIDE)}) "
            f"{'was' if len(owned) == 1 else 'were'} set up before, but the state directory "
            f"{self.place} does not have {'; '.join(missing)}. An apply from here would make new "
            "ones, and what the hosts and people have now would stop working",
            f"bring the directory back from where the fleet was applied, or from its backup, or "
            f"name it with --state-dir ({HOW_TO}); where it is lost for good, {OPTION} makes new "
            "ones: then apply to every host, because clients that are left out refuse the registry",
        )

    def apart(self, names: Collection[str]) -> UsageError | None:
        """The error if hosts would get a new CA or password and their registry's host would not.

        Args:
            names: the hosts of the run.
        """
        for name in names:
            for client in clients_of(self.fleet, name):
                for registry in self.fleet.registries.values():
                    if registry.name not in client.uses or registry.instance(names):
                        continue
                    instance = registry.instance()
                    if instance and self._makes(registry):
                        home = instance.host.name
                        return UsageError(
                            f"the fleet {self.fleet.name} has not been applied from "
                            f"{self.place}: {name} would get a new CA or password that the "
                            f"registry {registry.name} on {home} does not have, for that host "
                            "has no part in this run",
                            f"take it in (--limit {name},{home}), or bring the state "
                            f"directory back ({HOW_TO}); {OPTION} does it all the same",
                        )
        return None

    def _makes(self, registry: Registry) -> bool:
        return (registry.tls.source == "fleet-ca" and state_paths.CA_KEY in self.new) or any(
            True for _ in self._passwords(registry)
        )

    def _missing(
        self, desired: Mapping[str, DesiredHost], owned: Mapping[str, Owned]
    ) -> Iterator[str]:
        if state_paths.SALT in self.new and owned:
            yield "the fleet's CA, its generated passwords and all else that regfleet keeps"
            return
        if state_paths.CA_KEY in self.new and self._trusted(desired, owned):
            yield f"the fleet's CA ({state_paths.CA_KEY})"
        for registry in self.fleet.registries.values():
            for user in self._passwords(registry):
                if self._was_made(registry, user, desired, owned):
                    yield f"the generated password of {user} of the registry {registry.name}"

    def _trusted(self, desired: Mapping[str, DesiredHost], owned: Mapping[str, Owned]) -> bool:
        """Whether the fleet owns a file on a host that the CA or its certificates would replace."""
        texts = set()
        for name, material in self.materials.registries.items():
            if self.fleet.registries[name].tls.source == "fleet-ca":
                texts |= {material.ca, material.pair and material.pair.certificate_pem}
        return any(
            file.content in texts and file.path in owned[name].files
            for name in owned
            for file in desired[name].files
        )

    def _passwords(self, registry: Registry) -> Iterator[str]:
        """The users for whom the run would generate a password."""
        place = f"{state_paths.passwords(registry.name)}/"
        for name in sorted(self.new):
            if name.startswith(place):
                yield unquote(name.removeprefix(place))

    def _was_made(
        self,
        registry: Registry,
        user: str,
        desired: Mapping[str, DesiredHost],
        owned: Mapping[str, Owned],
    ) -> bool:
        """Whether a password was generated for the user before, as far as records show."""
        if registry.name in self.users:
            hashed = htpasswd.parse(self.users[registry.name]).get(user, "")
            return htpasswd.is_generated(hashed)
        material = self.materials.registries[registry.name]
        logged_in = (
            (login.endpoint, login.user) for theirs in owned.values() for login in theirs.logins
        )
        return (registry.endpoint, user) in set(logged_in) or any(
            material.htpasswd is not None
            and file.content == material.htpasswd.encode()
            and file.path in owned[name].files
            for name in owned
            for file in desired[name].files
        )


def refused(
    identity: Identity,
    desired: Mapping[str, DesiredHost],
    seen: Mapping[str, ObservedHost],
    names: Sequence[str],
) -> UsageError | None:
    """The error that needs `--new-identity`; None if there is none."""
    return identity.lost(desired, seen) or identity.apart(names)
