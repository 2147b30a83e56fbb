"""Promote an image from stage to stage, and go back: gates first, then copies by digest."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from regfleet import clocks, local_command, promotions
from regfleet.errors import RegfleetError, UsageError
from regfleet.fleet.findings import did_you_mean
from regfleet.fleet.model import Fleet
from regfleet.fleet.policies import Promotion
from regfleet.fleet.registries import Registry
from regfleet.promotions import MOST_KEPT, Gate, Log, rollback_tag
from regfleet.replication import engine
from regfleet.replication.settings import side
from regfleet.run.asking import Asking
from regfleet.run.known import Known
from regfleet.run.replicating import Hosts, check_known, dial, way_out
from regfleet.shell import frame

SECONDS = 3600  # of a whole promotion
CHECK_SECONDS = 600
_OUTPUT = 1 << 20  # bytes of a check
_SAID = 300  # characters of a check's output that are kept
_IMAGE = re.compile(r"(?P<name>[a-z0-9][a-z0-9._/-]*):(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})"
                    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?")  # fmt: skip
_PUSHED = re.compile(r"@pushed ([0-9]{1,11}) ([0-9]{1,11})")


@dataclass(frozen=True, slots=True)
class Subject:
    """The image that is promoted, and how it is at both ends.

    Attributes:
        source, target: repositories.
        digest: of the tag at the source; empty when it is not there.
        there: of the tag at the target; empty when it is not there.
        platforms: as `linux/amd64`.
        age: seconds; None when it is not known.
        age_of: what the age counts from; also where a wrong clock hides how old it is.
    """

    stage: Promotion
    source: str
    target: str
    tag: str
    digest: str
    there: str
    platforms: tuple[str, ...] = ()
    age: int | None = None
    age_of: str = ""

    @property
    def values(self) -> dict[str, str]:
        """For the log."""
        return {
            "stage": self.stage.name,
            "source": f"{self.stage.source.registry}/{self.source}",
            "target": f"{self.stage.target.registry}/{self.target}",
            "tag": self.tag,
        }


def stage_of(fleet: Fleet, name: str) -> Promotion:
    """A declared stage.

    Raises:
        UsageError: there is none of that name.
    """
    if name in fleet.promotions:
        return fleet.promotions[name]
    known = list(fleet.promotions)
    hint = f"declared are {', '.join(known)}" if known else "write [promotion.NAME]"
    raise UsageError(
        f"there is no promotion {name} in {fleet.path.name}", did_you_mean(name, known, hint)
    )


def parse_image(text: str) -> tuple[str, str, str]:
    """Repository (without the stage's prefix), tag and digest (or empty) of an argument.

    Raises:
        UsageError: it is none.
    """
    found = _IMAGE.fullmatch(text)
    if not found:
        raise UsageError(
            f"{text} is not NAME:TAG or NAME:TAG@DIGEST",
            "the name is without registry and without the stage's prefix, as in web:1.2",
        )
    return found["name"], found["tag"], found["digest"] or ""


class Promoter:
    """Both registries of a stage.

    Args:
        fleet: the fleet.
        stage: the stage.
        known: CAs and passwords.
        hosts: the connections to the registries' hosts.
    """

    def __init__(self, fleet: Fleet, stage: Promotion, known: Known, hosts: Hosts) -> None:
        self.stage = stage
        self._fleet, self._hosts = fleet, hosts
        self._source = fleet.registries[stage.source.registry]
        target = fleet.registries[stage.target.registry]
        check_known(known, (self._source, target), stage.logins)
        self._clock = engine.Clock(SECONDS)
        asking, materials = Asking(known.registries, hosts), known.materials().registries
        by = way_out(known, stage, None)

        def reach(registry: Registry) -> engine.Registry:
            found = side(registry, materials, stage.logins, {})
            way = None if registry.external else dial(asking, registry)
            return engine.Registry(found, self._clock, way, engine.Proxy(by) if by else None)

        self.source, self.target = reach(self._source), reach(target)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the engine as regfleet's own."""
        try:
            yield
        except (engine.Problem, engine.Stopped, OSError) as error:
            hint = "nothing else was changed; run it again when that is mended"
            raise RegfleetError(f"{error}", hint) from error

    def look(self, name: str, tag: str, digest: str) -> Subject:
        """What there is at both ends.

        Raises:
            RegfleetError: a registry does not answer, or the tag has another digest.
        """
        source, target = f"{self.stage.source.prefix}{name}", f"{self.stage.target.prefix}{name}"
        with self._told():
            found = self.source.digest(source, tag) or ""
            there = self._there(target, tag) or ""
            if digest and found and digest != found:
                raise UsageError(
                    f"{source}:{tag} is {found} by now, not {digest}", "look at it, and name that"
                )
            platforms, created = self._platforms(source, found) if found else ((), "")
        age, age_of = self._age(found, created) if found else (None, "")
        return Subject(self.stage, source, target, tag, found, there, platforms, age, age_of)

    def _platforms(self, repository: str, digest: str) -> tuple[tuple[str, ...], str]:
        """Its platforms, and when it was built by its own words."""
        raw, _ = self.source.manifest(repository, digest)
        parsed = engine.parse_object(raw, digest)
        engine.refuse_what_goes(f"{self.source.name}: {repository}@{digest}", parsed)
        children = engine.descriptors(parsed, "manifests")
        if children:
            found = (each.get("platform") for each in children)
            names = [
                f"{each.get('os')}/{each.get('architecture')}" for each in found
                if isinstance(each, dict) and each.get("os") != "unknown"
            ]  # fmt: skip
            _, created = self._platforms(repository, children[0]["digest"])
            return tuple(dict.fromkeys(names)), created
        config = parsed.get("config")
        if not isinstance(config, dict) or not engine.DIGEST.fullmatch(str(config.get("digest"))):
            return (), ""
        path = engine.blob_path(repository, config["digest"])
        answer = self.source.ask("GET", path, engine.pull(repository), most=1 << 22)
        try:
            about = json.loads(answer.body)
            name = f"{about['os']}/{about['architecture']}"
            return (name,), str(about.get("created") or "")
        except (ValueError, LookupError, TypeError, RecursionError):
            return (), ""

    def _age(self, digest: str, created: str) -> tuple[int | None, str]:
        """Seconds since it was pushed first, by its file on the host; else since it was built."""
        if self._source.hosts and self._source.storage:
            mark = secrets.token_hex(8)
            name, _, value = digest.partition(":")
            path = (
                f"{self._source.storage}/docker/registry/v2/blobs/{name}/{value[:2]}/{value}/data"
            )
            seen = f"$(stat -c %Y {shlex.quote(path)} 2>/dev/null)"
            call = f'printf \'@pushed %s %s\\n\' "$(date +%s)" "{seen}"'
            lines = self._hosts.run(self._source.hosts[0].name, frame.around(mark, call), 60)
            for line in frame.framed(lines, mark).lines:
                found = _PUSHED.fullmatch(line.rstrip("\n"))
                if found:
                    return age_of_push(int(found[1]), int(found[2]), time.time()), "its first push"
        try:
            built = datetime.fromisoformat(created.replace("Z", "+00:00")[:19] + "+00:00")
        except ValueError:
            return None, ""
        if built.year < 2000:  # noqa: PLR2004 - builds that leave their time out say 1970 or 0001
            return None, ""
        return max(0, int(time.time() - built.timestamp())), "its build, by its own words"

    def gates(self, subject: Subject, log: Log) -> list[Gate]:
        """Try all gates; each says what was found."""
        stage = self.stage
        found = []
        if stage.min_age:
            old = subject.age is not None and subject.age >= stage.min_age
            said = "its age is not known"
            if subject.age is None and subject.age_of:  # it has a time, which cannot be
                said += ": the clock of the source's host is wrong, or was when it was pushed"
            if subject.age is not None:
                said = (
                    f"{subject.age // 60} of {stage.min_age // 60} minutes since {subject.age_of}"
                )
            found.append(Gate("min_age", old, said))
        if stage.approve:
            who = {*promotions.approvers(log, stage.name, subject.digest), promotions.user()}
            by = sorted(who & set(stage.approve))
            said = f"by {', '.join(by)}" if by else f"by none of {', '.join(stage.approve)}"
            found.append(Gate("approve", bool(by), said))
        endpoint = self._source.endpoint
        image = f"{endpoint}/{subject.source}@{subject.digest}"
        found += [_check(command, image, self._fleet.path.parent) for command in stage.checks]
        return found

    def copy(self, subject: Subject) -> dict[str, int]:
        """Copy the image by its digest, with its signatures; no tag of an image moves.

        Returns:
            The engine's counts.

        Raises:
            RegfleetError: it did not work.
        """
        names = "manifests blobs mounted present bytes resumed"
        count = dict.fromkeys(names.split(), 0)
        copier = engine.Copier(self.source, self.target, self._clock, count)
        with self._told():
            below = copier.children(subject.source, subject.digest)
            for tag in sorted(self.source.tags(subject.source)):
                match = engine.ATTACHED.fullmatch(tag)
                if match and f"{match[1]}:{match[2]}" in below:
                    found = self.source.digest(subject.source, tag)
                    if found and self.target.digest(subject.target, tag) != found:
                        copier.image(subject.source, subject.target, found, tag)
            copier.image(subject.source, subject.target, subject.digest, subject.digest)
        return count

    def promote(self, subject: Subject) -> None:
        """Set the tag to an image that has been copied, and keep the one before it.

        Raises:
            RegfleetError: it did not work, or the tag moved since the look; the tag is as it was.
        """
        with self._told():
            self._require_unmoved(subject)
            if subject.there and subject.there != subject.digest:
                self._keep(subject)
            self._tag(subject.target, subject.digest, subject.tag)

    @property
    def received(self) -> int:
        """The bytes that came from the source so far."""
        return self.source.received

    def _require_unmoved(self, subject: Subject) -> None:
        """Refuse where the tag moved since it was shown: what is there now was not looked at."""
        now = self._there(subject.target, subject.tag) or ""
        if now != subject.there:
            raise UsageError(
                f"{subject.target}:{subject.tag} is {now or 'gone'} by now, and was "
                f"{subject.there or 'not there'}: somebody else moved it",
                "run it again to see what it is",
            )

    def _keep(self, subject: Subject) -> None:
        """Move the tags of earlier images one on, the oldest first; the newest is the one there."""
        earlier = self.kept(subject.target, subject.tag)
        # Where this was interrupted before, two tags after one another have the same image.
        kept = without_repeats([subject.there, *earlier])[: self.stage.keep_previous]
        for number in range(len(kept), 0, -1):
            self._tag(subject.target, kept[number - 1], rollback_tag(subject.tag, number))

    def kept(self, repository: str, tag: str) -> list[str]:
        """The digests of earlier images, the last one first; empty for one that is going."""
        found: list[str] = []
        for number in range(1, MOST_KEPT + 1):
            digest = self._there(repository, rollback_tag(tag, number))
            if digest is None:
                break
            found.append(digest)
        return found

    def _there(self, repository: str, tag: str) -> str | None:
        """The digest of a tag at the target; empty where its deletion was interrupted."""
        digest = self.target.digest(repository, tag)
        if digest is None:
            return None
        raw, _ = self.target.manifest(repository, digest)
        try:
            engine.refuse_what_goes(tag, engine.parse_object(raw, digest))
        except engine.Going:
            return ""
        return digest

    def demote(self, subject: Subject, logged: str) -> str:
        """Set the tag to the image before, and move the tags of earlier ones back.

        Args:
            logged: the digest that the tag has by the log; empty where that tells of none. Where
                the tag has another one by now, a way back may have been interrupted: it is ended.

        Returns:
            The digest that the tag has now.

        Raises:
            RegfleetError: no earlier image is kept, or it did not work.
        """
        with self._told():
            self._require_unmoved(subject)
            tags = self.kept(subject.target, subject.tag)
            kept = without_repeats(tags)
            begun = subject.there not in ("", logged) and (
                tags[:1] == [subject.there] or (bool(logged) and len(kept) < len(tags))
            )
            if kept[:1] == [subject.there]:
                kept = kept[1:]
            if begun:
                kept = [subject.there, *kept]
            if not kept:
                name = f"{subject.target}:{rollback_tag(subject.tag, 1)}"
                raise UsageError(
                    f"no image before this one is kept: there is no {name}",
                    "promote the image that is wanted; keep_previous says how many are kept",
                )
            self._tag(subject.target, kept[0], subject.tag)
            for number, digest in enumerate(kept[1:], 1):
                self._tag(subject.target, digest, rollback_tag(subject.tag, number))
            for number in range(len(tags), len(kept) - 1, -1):
                last = rollback_tag(subject.tag, number)
                self.target.delete_tag(subject.target, last, lambda _digest: None)
        return kept[0]

    def _tag(self, repository: str, digest: str, tag: str) -> None:
        if self.target.digest(repository, tag) == digest:
            return
        raw, kind = self.target.manifest(repository, digest)
        self.target.put_manifest(repository, tag, raw, kind)

    def close(self) -> None:
        """End all connections."""
        self.source.cut()
        self.target.cut()


def age_of_push(clock: int, pushed: int, now: float) -> int | None:
    """Seconds since a push; None where a clock was wrong then, or is now. Pure.

    Args:
        clock: the host's, in seconds since 1970.
        pushed: when, by that clock.
        now: this machine's.
    """
    if abs(clock - now) > clocks.APART or not clocks.FIRST <= pushed <= now + clocks.APART:
        return None
    return max(0, int(now) - pushed)


def without_repeats(digests: Sequence[str]) -> list[str]:
    """Without empty ones, and those that are the same as the one before. Pure."""
    return [each for each, _ in groupby(filter(None, digests))]


def _check(command: str, image: str, folder: Path) -> Gate:
    whole = f"IMAGE={shlex.quote(image)}; export IMAGE\n{command}"
    try:
        output = local_command.run(whole, seconds=CHECK_SECONDS, limit=_OUTPUT, folder=folder)
    except local_command.LocalCommandError as error:
        return Gate(command, passed=False, said=error.message[-_SAID:])
    said = output.decode("utf-8", "replace").strip().splitlines()
    return Gate(command, passed=True, said=said[-1][-_SAID:] if said else "")


def failed(gates: Sequence[Gate]) -> list[Gate]:
    """The gates that are shut."""
    return [each for each in gates if not each.passed]
