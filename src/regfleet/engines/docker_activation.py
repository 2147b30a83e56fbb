"""How dockerd takes up a change of daemon.json, and what shows that it has. Pure.

The least that works: nothing where it does not run, a reload where all keys that change can be
reloaded, a restart elsewhere (see docker_facts.py).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from regfleet.documents import json_document
from regfleet.documents.interface import Document, path, same
from regfleet.documents.merge import Merged
from regfleet.engines import docker_facts as facts
from regfleet.fleet.values import Json
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import ActivateDocker, Activation
from regfleet.record import OwnedEdit, OwnedList

INSECURE = "insecure-registries"
MIRRORS = "registry-mirrors"

Keys = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Activator:
    """One change of daemon.json.

    Attributes:
        want, seen: as an engine's `plan` has them.
        merged: the document before and after.
        owned: the fleet's ownership in it afterwards.
        before, after: what the document says, by key.
    """

    want: DesiredHost
    seen: ObservedHost
    merged: Merged
    owned: OwnedEdit
    before: Keys
    after: Keys

    @classmethod
    def of(
        cls, want: DesiredHost, seen: ObservedHost, merged: Merged, owned: OwnedEdit
    ) -> Activator:
        """What takes up the outcome of a merge."""
        after = merged.after.tree() if merged.after is not None else {}
        return cls(want, seen, merged, owned, merged.before.tree(), after)

    @property
    def changed(self) -> list[str]:
        """The keys that change, in the order of the file, those that come behind the rest."""
        return [
            key
            for key in dict.fromkeys((*self.before, *self.after))
            if (key in self.before) != (key in self.after)
            or not same(self.before[key], self.after[key])
        ]

    @property
    def stale(self) -> list[str]:
        """Keys of ours that the file holds and the live daemon does not."""
        engine = self.seen.engine
        if engine.state != "up":
            return []
        stale = []
        if not set(self._entries(INSECURE)) <= engine.insecure:
            stale.append(INSECURE)
        if not {slashed(url) for url in self._entries(MIRRORS)} <= set(engine.mirrors):
            stale.append(MIRRORS)
        stale += [
            key
            for key, shown in engine.values.items()
            if path(key) in self.owned.values and shown != self.owned.values[path(key)].value
        ]
        changed = self.changed
        return [key for key in stale if key not in changed]

    @property
    def how(self) -> Activation:
        """The least that makes dockerd take it up."""
        state = self.seen.engine.state
        if state == "down" or (state == "missing" and not self.want.engine):
            return "none"  # it starts with the new file, today or another day
        if any(key not in facts.RELOADABLE for key in (*self.changed, *self.stale)):
            return "restart"
        if snapshotter(self.before) != snapshotter(self.after):
            return "restart"  # `features` reloads, the image store is chosen when dockerd starts
        if any(key not in facts.EXPLICIT_DEFAULTS for key in self._gone):
            return "restart"
        return "reload"

    def step(self, how: Activation, flags: tuple[str, ...] | None = None) -> ActivateDocker:
        """The step of the plan.

        Args:
            how: `self.how`, or a restart where something else needs one.
            flags: the arguments that dockerd starts with from now on, None where they stay.
        """
        expect, refuse = self._live()
        version = facts.version_of(self.seen.engine.version)
        reload = how == "reload"
        after = self.merged.after
        return ActivateDocker(
            self.seen.engine.config,
            how,
            expect,
            refuse,
            meanwhile=_with_defaults(after, self._gone) if reload else "",
            undo=_with_defaults(self.merged.before, self._new) if reload else "",
            flags=flags,
            parser=not version or not facts.NO_PARSER.holds(version),
        )

    @property
    def _gone(self) -> list[str]:
        return [key for key in self.changed if key not in self.after]

    @property
    def _new(self) -> list[str]:
        return [key for key in self.changed if key not in self.before]

    def _entries(self, key: str) -> tuple[str, ...]:
        return self.owned.lists.get(path(key), OwnedList((), existed=False)).entries

    def _live(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What `docker info` has to show after the activation, and what it must not.

        Entries that are not ours are expected only where the daemon held them before: it may spell
        them otherwise (networks are made canonical).
        """
        engine = self.seen.engine
        insecure, mirrors = _strings(self.after.get(INSECURE)), _strings(self.after.get(MIRRORS))
        known = engine.insecure | set(self._entries(INSECURE))
        expect = [f"insecure {entry}" for entry in insecure if entry in known]
        expect += [f"mirror {slashed(url)}" for url in mirrors]
        expect += [
            f"{key} {_printed(self.owned.values[path(key)].value)}"
            for key in engine.values
            if path(key) in self.owned.values
        ]
        gone = set(_strings(self.before.get(INSECURE))) - set(insecure)
        refuse = [f"insecure {entry}" for entry in sorted(gone)]
        gone_mirrors = {slashed(url) for url in _strings(self.before.get(MIRRORS))}
        gone_mirrors -= {slashed(url) for url in mirrors}
        refuse += [f"mirror {url}" for url in sorted(gone_mirrors)]
        return tuple(expect), tuple(refuse)


def snapshotter(keys: Keys) -> Json:
    """Whether daemon.json chooses containerd's image store; None where it does not say."""
    features = keys.get("features")
    return features.get("containerd-snapshotter") if isinstance(features, dict) else None


def slashed(url: str) -> str:
    """A mirror as dockerd shows it: with one slash at its end (registry.ValidateMirror)."""
    return url.rstrip("/") + "/"


def _with_defaults(document: Document | None, keys: Iterable[str]) -> str:
    """The text with keys at the value that dockerd has without them; empty where there are none."""
    explicit = [key for key in keys if key in facts.EXPLICIT_DEFAULTS]
    if not explicit:
        return ""
    document = json_document.parse(None) if document is None else copy.copy(document)
    for key in explicit:
        document[path(key)] = facts.EXPLICIT_DEFAULTS[key]
    return document.text()


def _printed(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _strings(value: Json) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list) else []
