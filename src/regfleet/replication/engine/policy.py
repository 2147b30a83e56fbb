"""The settings of a copy, and what they decide. Pure."""

import fnmatch
import re
from typing import Any, Dict, List, Optional

from regfleet.replication.engine.manifests import ATTACHED
from regfleet.replication.engine.problems import Problem, clean

VERSION = 1


SETTINGS = {
    "version": int,  # 1
    "policy": str,  # the name
    "source": dict,  # see `Registry`
    "target": dict,
    "http_proxy": dict,  # see `Proxy`
    "repositories": list,  # patterns of the source's names
    "exclude": list,
    "tags": list,
    "strip": str,  # taken from the beginning of a repository's name
    "add": str,  # put there instead
    "delete": bool,
    "max_delete": (int, str),  # a number, or "20%" of what was brought
    "conflict": str,  # overwrite | keep
    "two_way": bool,
    "parallel": int,
    "deadline": (int, float),  # seconds
    "ledger": str,  # paths
    "lock": str,
    "record": str,
}


def check_settings(settings: Any) -> None:
    """Raise Problem when the settings are none."""
    if not isinstance(settings, dict) or settings.get("version") != VERSION:
        raise Problem(f"settings: not of version {VERSION}")
    for key in ("policy", "source", "target"):
        if key not in settings:
            raise Problem(f"settings: no {key}")
    for key, value in settings.items():
        if key not in SETTINGS:
            raise Problem(f"settings: unknown key {clean(key, 40)}")
        if not isinstance(value, SETTINGS[key]):  # type: ignore[arg-type]
            raise Problem(f"settings: {key}: wrong type")


class Policy:
    """What a copy's settings want.

    Attributes:
        names: the source's repositories, where the settings name them all; None for a pattern.
        all_tags: whether every tag is wanted.
        conflict, two_way: as of `decide`.
        delete: whether deletions follow; then `max_delete` is as of `most_deletions`.
    """

    def __init__(self, settings: Dict[str, Any]) -> None:
        given: List[str] = settings.get("repositories", ["*"])
        self.names = None if any(set(each) & set("*?[") for each in given) else given
        self.all_tags = settings.get("tags", ["*"]) == ["*"]
        self.conflict = settings.get("conflict", "overwrite")
        self.two_way = bool(settings.get("two_way"))
        self.delete = bool(settings.get("delete"))
        self.max_delete = settings.get("max_delete", "20%")
        self._repositories = patterns(given)
        self._exclude = patterns(settings.get("exclude", []))
        self._tags = patterns(settings.get("tags", ["*"]))
        self._strip, self._add = settings.get("strip", ""), settings.get("add", "")

    def wants(self, repository: str) -> bool:
        """Whether a repository of the source is copied."""
        return any(each.match(repository) for each in self._repositories) and not any(
            each.match(repository) for each in self._exclude
        )

    def wants_tag(self, tag: str) -> bool:
        """Whether a tag is copied; of signatures and the like, their images decide."""
        return bool(ATTACHED.fullmatch(tag)) or any(each.match(tag) for each in self._tags)

    def target(self, repository: str) -> str:
        """The target's repository for one of the source."""
        bare = repository[len(self._strip) :] if repository.startswith(self._strip) else repository
        return str(self._add + bare)

    def source(self, repository: str) -> str:
        """The source's repository for one of the target."""
        bare = repository[len(self._add) :] if repository.startswith(self._add) else repository
        return str(self._strip + bare)


def patterns(texts: List[str]) -> List[Any]:
    """Shell patterns; `*` also stands for slashes."""
    return [re.compile(fnmatch.translate(text)) for text in texts]


def decide(here: str, there: Optional[str], entry: Any, conflict: str, two_way: bool) -> str:
    """What to do with a tag. Pure.

    Args:
        here: the source's digest.
        there: the target's, or None.
        entry: what the ledger knows.
        conflict: `overwrite` or `keep`.
        two_way: whether the target is also copied to the source.

    Returns:
        `same`; `copy`; `kept` (the target has one of its own, and keeps it); `left` (only the
        target's has changed since both were equal: the copy the other way brings it).
    """
    if here == there:
        return "same"
    if there is None or (entry is not None and there in (entry.digest, entry.pending)):
        return "copy"
    if two_way and entry is not None and here == entry.digest:
        return "left"
    return "copy" if conflict == "overwrite" else "kept"


def most_deletions(limit: Any, brought: int) -> int:
    """How many tags a run may delete: a number, or percent of what was brought, at least one."""
    if isinstance(limit, int):
        return limit
    return max(1, brought * int(limit.rstrip("%")) // 100)
