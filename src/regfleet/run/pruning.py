"""Delete what retention does not keep: ask hosts for times and clients for images, and decide."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from regfleet.engines import ENGINES
from regfleet.errors import RegfleetError, UsageError
from regfleet.fleet.clients import Client
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.fleet.selection import registries_with
from regfleet.jobs.collection import Collection
from regfleet.model.deletions import Deletion, Deletions, ImageName
from regfleet.model.names import counted
from regfleet.model.retention import Doomed, Pushed
from regfleet.registry_api.contents import parts_of
from regfleet.retention import deployed, pushed
from regfleet.retention.decide import Deployed, doomed, rule_of, undated
from regfleet.run import deletion
from regfleet.run.asking import Asking
from regfleet.run.collection import subjects
from regfleet.run.known import Known
from regfleet.run.work import Work
from regfleet.ssh.limits import LOOK_SECONDS
from regfleet.ssh.session import Session


@dataclass(slots=True)
class Pruning:
    """What retention deletes of one registry.

    Attributes:
        tags: how many tags it has.
        reasons: why each tag goes, by repository and tag.
        deletions: what goes and what stays.
        freed: bytes that a collection would free after that; None if that is not known.
        kept_for: why everything of some rules stays: a client could not be asked.
        notes: tags that no rule counts, and why.
        error, hint: why nothing is known.
    """

    registry: Registry
    deletions: Deletions
    tags: int = 0
    reasons: dict[tuple[str, str], Doomed] = field(default_factory=dict)
    freed: int | None = None
    kept_for: str = ""
    notes: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether all is known, and nothing failed."""
        return not self.error and self.deletions.ok


def chosen(fleet: Fleet, asked: str) -> list[Registry]:
    """The registries with rules; with a name, that one.

    Raises:
        UsageError: there is none.
    """
    if found := registries_with(fleet, asked, lambda each: each.retention.rules):
        return found
    what = f"the registry {asked} has" if asked else f"no registry in {fleet.path.name} has"
    raise UsageError(
        f"{what} {'no ' if asked else ''}rules of retention, so nothing is to be deleted",
        "declare some: `regfleet docs registry.retention.rules` shows how",
    )


class Pruner:
    """Decides and deletes by the rules of registries.

    Args:
        known: users and CAs of the fleet.
        hosts: connections.
        now: seconds since 1970, when this is made; of many registries the last is asked much later.
    """

    def __init__(self, fleet: Fleet, known: Known, hosts: Session, now: float) -> None:
        self._fleet = fleet
        self._known = known
        self._hosts = hosts
        self._began = now - time.monotonic()
        self._asking = Asking(known.registries, hosts)

    def plan(self, registry: Registry) -> Pruning:
        """What goes of a registry; errors are in it."""
        found = Pruning(registry, Deletions(self._fleet.name))
        try:
            self._decide(found)
        except RegfleetError as error:
            found.error, found.hint = error.message, error.hint
        return found

    def delete(self, found: Pruning) -> list[Deletion]:
        """Delete what was planned; what was pushed anew meanwhile stays."""
        return list(deletion.delete(self._fleet, found.deletions, self._asking))

    def _decide(self, found: Pruning) -> None:
        registry = found.registry
        if not registry.hosts:
            raise UsageError(f"the registry {registry.name} has no host")
        mark = _mark()
        host = registry.hosts[0].name
        lines = self._hosts.run(host, pushed.render(registry.storage, mark), LOOK_SECONDS)
        now = self._began + time.monotonic()
        tags = pushed.parse(host, lines, mark, now)
        found.tags = len(tags)
        found.notes = _notes(tags, now)
        held = self._deployed(registry)
        going, found.kept_for = doomed(registry.retention, tags, held, now)
        going = self._without_held_parts(registry, going, held)
        found.reasons = {(each.tag.repository, each.tag.name): each for each in going}
        images = [ImageName(registry.name, *place) for place in found.reasons]
        found.deletions = deletion.plan(self._fleet, images, self._asking)
        for each in found.deletions.planned:
            expected = found.reasons[each.image.repository, each.image.tag].tag.digest
            if each.unreadable:
                each.fail(
                    f"{each.image}: the registry cannot read it: it stays",
                    f"`regfleet delete FILE {each.image}` deletes it",
                )
            elif each.digest != expected and not each.unfinished:
                each.fail(f"{each.image} was pushed anew just now: it stays")
        if found.deletions.planned:
            found.freed = self._freed(registry, host, found.deletions.planned)

    def _deployed(self, registry: Registry) -> Deployed:
        """What the clients of a registry hold; all of them are asked only if a rule needs it."""
        if not any(rule.keep_deployed for rule in registry.retention.rules):
            return Deployed()
        names: frozenset[str] = frozenset()
        digests: frozenset[str] = frozenset()
        places = deployed.served_at(self._fleet, registry)
        endpoints = [each.endpoint for each in places]
        for client in self._fleet.clients.values():
            if client.uses.isdisjoint(each.name for each in places):
                continue
            engine = ENGINES[client.engine].shell
            for host in client.hosts:
                if not deployed.can_be_asked(engine):
                    why = f"{host.name}: {client.engine} cannot be asked which images it holds"
                    return Deployed(unknown=why)
                try:
                    more = self._held(host.name, client, endpoints)
                except RegfleetError as error:
                    return Deployed(unknown=f"{host.name}: {error.message}")
                names, digests = names | more[0], digests | more[1]
        return Deployed(names, digests)

    def _held(
        self, host: str, client: Client, endpoints: Sequence[str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        mark = _mark()
        logins = (account for login in client.logins for account in login.accounts)
        accounts = [each for each in dict.fromkeys(logins) if each != "root"]
        program = deployed.render(ENGINES[client.engine].shell, mark, client.account, accounts)
        lines = self._hosts.run(host, program, LOOK_SECONDS)
        return deployed.parse(host, lines, mark, endpoints)

    def _without_held_parts(
        self, registry: Registry, going: Sequence[Doomed], held: Deployed
    ) -> list[Doomed]:
        """Without indexes of which clients hold a part by its digest: it is lost with them."""
        if not held.digests:
            return list(going)
        read: dict[tuple[str, str], bool] = {}
        with deletion.connected(registry, self._asking) as client:
            for each in going:
                place = each.tag.repository, each.tag.digest
                rule = rule_of(registry.retention, each.tag.repository)
                if place not in read and not each.tag.unfinished and rule and rule.keep_deployed:
                    parts = parts_of(client, *place)
                    read[place] = parts is None or not held.digests.isdisjoint(parts)
        return [each for each in going if not read.get((each.tag.repository, each.tag.digest))]

    def _freed(self, registry: Registry, host: str, going: Sequence[Deletion]) -> int | None:
        """Bytes that a collection would free if these images were deleted."""
        wanted = self._known.wanted()
        its = subjects(self._fleet, wanted.desired[host], self._known.registries)
        tags = "".join(
            f"{each.image.repository} {tag}\n"
            for each in going
            for tag in (*each.tags, *each.attached)
        )
        without = base64.b64encode(tags.encode()).decode()
        chosen_ones = tuple(
            replace(each, without=without)
            for each in its
            if each.service == f"regfleet-{registry.name}"
        )
        if not chosen_ones:
            return None
        try:
            ended = Work.of(wanted, self._hosts).do(host, Collection(chosen_ones, foresee=True))
        except RegfleetError:
            return None
        return ended.value[0].size if ended.value else None


def _notes(tags: Sequence[Pushed], now: float) -> tuple[str, ...]:
    """What stays though no rule keeps it, and why."""
    torn = sum(each.torn and not each.unfinished for each in tags)
    odd = sum(undated(each, now) and not each.unfinished for each in tags)
    found = []
    if torn:
        found.append(f"{counted(torn, 'tag')} cannot be pulled: see `regfleet audit`")
    if odd:
        found.append(f"{counted(odd, 'tag')} kept: pushed while the host's clock was wrong")
    return tuple(found)


def _mark() -> str:
    return f"prune-{secrets.token_hex(6)}"
