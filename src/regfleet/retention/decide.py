"""Decide by rules which tags stay and which go. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fnmatch import fnmatchcase

from regfleet import clocks
from regfleet.fleet.registries import Retention, Rule
from regfleet.model.retention import Doomed, Pushed
from regfleet.promotions import MOST_KEPT, rollback_tag
from regfleet.registry_api.deletion import subject_of

_UNFINISHED = "an earlier deletion of it was interrupted"


@dataclass(frozen=True, slots=True)
class Deployed:
    """What clients hold or run of one registry.

    Attributes:
        names: `REPOSITORY:TAG` of the registry, without its endpoint.
        digests: digests of manifests and indexes.
        unknown: why all of it is not known: a client could not be asked. Empty if all is known.
    """

    names: frozenset[str] = frozenset()
    digests: frozenset[str] = frozenset()
    unknown: str = ""


def rule_of(retention: Retention, repository: str) -> Rule | None:
    """The rule that counts for a repository; None where all its tags stay."""
    for rule in retention.rules:
        if any(fnmatchcase(repository, pattern) for pattern in rule.repositories):
            return rule
    return None


def doomed(
    retention: Retention, tags: Iterable[Pushed], deployed: Deployed, now: float
) -> tuple[list[Doomed], str]:
    """The tags that go, each with the reason; and why more would go if more were known.

    Tags of signatures and attestations (`sha256-…`) do not count: they go with what they belong
    to, as `registry_api.deletion` deletes. Nor do those of earlier images, which `demote` goes back
    to, as long as there is the tag itself. Neither do those that cannot be pulled, or whose time
    cannot be: they stay, and take nobody's place.

    Args:
        tags: all tags of the registry.
        now: seconds since 1970.

    Returns:
        What goes, in the order of the tags; and what kept everything of some rule, or nothing.
    """
    by_repository: dict[str, list[Pushed]] = {}
    for tag in tags:
        if subject_of(tag.name) is None:
            by_repository.setdefault(tag.repository, []).append(tag)
    found: list[Doomed] = []
    kept_for = ""
    for repository, its in by_repository.items():
        rule = rule_of(retention, repository)
        if rule is None:
            continue
        if rule.keep_deployed and deployed.unknown:
            kept_for = deployed.unknown
            continue
        # One whose deletion was interrupted was the last to be written, and takes nobody's place.
        # Neither do those that a promotion writes: as many as keep_previous says stay with theirs.
        names = [tag.name for tag in its]
        earlier = {rollback_tag(name, each + 1) for name in names for each in range(MOST_KEPT)}
        counted = [
            tag
            for tag in its
            if tag.name not in earlier and not (tag.unfinished or tag.torn or undated(tag, now))
        ]
        places = {tag.name for tag in counted} - _last(counted, rule.keep_last)
        found += [
            Doomed(tag, _UNFINISHED if tag.unfinished else _why(rule, tag, now))
            for tag in its
            if tag.unfinished or (tag.name in places and not _stays(rule, tag, deployed, now))
        ]
    return found, kept_for


def undated(tag: Pushed, now: float) -> bool:
    """Whether its time is none: the host's clock was wrong when it was pushed."""
    return not clocks.FIRST <= tag.at <= now + clocks.APART


def _last(tags: list[Pushed], count: int) -> AbstractSet[str]:
    """The tags that were pushed last; of the same second, by their names."""
    newest = sorted(tags, key=lambda tag: (tag.at, tag.name), reverse=True)
    return {tag.name for tag in newest[:count]}


def _stays(rule: Rule, tag: Pushed, deployed: Deployed, now: float) -> bool:
    if rule.keep_younger and now - tag.at < rule.keep_younger:
        return True
    if any(fnmatchcase(tag.name, pattern) for pattern in rule.keep_tags):
        return True
    held = f"{tag.repository}:{tag.name}" in deployed.names or tag.digest in deployed.digests
    return rule.keep_deployed and held


def _why(rule: Rule, tag: Pushed, now: float) -> str:
    """Why a tag goes, for people: what would have kept it."""
    age = max(0, now - tag.at)
    days = int(age // 86400)
    words = [f"pushed {days} day{'' if days == 1 else 's'} ago" if days else "pushed today"]
    if rule.keep_last:
        words.append(f"not of the last {rule.keep_last}")
    if rule.keep_tags:
        words.append(f"not {' or '.join(rule.keep_tags)}")
    if rule.keep_deployed:
        words.append("no client holds it")
    return ", ".join(words)
