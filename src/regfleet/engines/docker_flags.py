"""Flags of dockerd that cannot stand beside what daemon.json is to hold: found, refused, migrated.

The same directive as flag and in the file keeps dockerd from starting, even when the two are equal
(moby daemon/config/config.go, findConfigurationConflicts). Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from regfleet.documents import sysconfig, unit
from regfleet.documents.interface import NotReadableError, path
from regfleet.engines import docker_facts as facts
from regfleet.engines import docker_start
from regfleet.engines.docker_start import Given
from regfleet.errors import HostError
from regfleet.fleet.values import Json
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Activation, Change, EditFile
from regfleet.model.resource import Resource

_PACKAGED = ("/usr/", "/lib/", "/run/")


@dataclass(frozen=True, slots=True)
class Migrated:
    """Flags that leave the places where they are set.

    Attributes:
        values: what they say, by key of daemon.json.
        texts: the files without them, by path.
        gone: the flags, in their order.
    """

    values: Mapping[str, Json]
    texts: Mapping[str, str]
    gone: tuple[Given, ...]

    def changes(self, seen: ObservedHost, activation: Activation) -> tuple[Change, ...]:
        """A line of the plan for each file."""
        changes = []
        for file, text in self.texts.items():
            gone = ", ".join(each.written for each in self.gone if each.file == file)
            before = seen.texts[file].splitlines()
            lines = difflib.unified_diff(before, text.splitlines(), lineterm="", n=0)
            diff = "\n".join(line for line in list(lines)[2:] if not line.startswith("@@"))
            reason = f"migrate_flags: daemon.json takes {gone}"
            changes.append(Change(Resource("file", file), "update", reason, activation, diff))
        return tuple(changes)

    def steps(self) -> tuple[EditFile, ...]:
        """The files' edits. They stay when everything of ours goes: the values do, too."""
        return tuple(EditFile(file, text) for file, text in self.texts.items())

    def left(self, running: Sequence[str]) -> tuple[str, ...]:
        """The arguments that dockerd starts with from now on, of those that it runs with."""
        keys = {flag.key for flag in self.gone}
        left = [
            words
            for words in docker_start.arguments(running)
            if not words[0].startswith("-") or facts.key_of(words[0]) not in keys
        ]
        return tuple(word for words in left for word in words)


def conflicts(seen: ObservedHost, keys: Iterable[str]) -> list[Given]:
    """The flags that set some keys of daemon.json: those of the files, and those it runs with."""
    given = docker_start.of(seen).given
    running = facts.flag_keys(seen.engine.flags)
    found: list[Given] = []
    for key in keys:
        set_here = [flag for flag in given if flag.key == key]
        found += set_here
        if not set_here and key in running:
            name, _, value = running[key].partition("=")
            found.append(Given(key, name, value, running[key], ""))
    return found


def refuse_unread(want: DesiredHost, seen: ObservedHost) -> None:
    """Refuse a host whose systemd has not read the unit files as they are now.

    Raises:
        HostError: what dockerd will be started with at the next boot cannot be told.
    """
    start = docker_start.of(seen)
    if start.stale:
        raise HostError(
            want.name,
            "the unit files of docker.service have changed since systemd read them: which flags "
            "dockerd starts with next is not known",
            "run `systemctl daemon-reload` there (it restarts nothing), then run this again",
        )


def refuse(want: DesiredHost, seen: ObservedHost, found: Sequence[Given]) -> None:
    """Refuse the first of the flags that stand in the way, with its place.

    Raises:
        HostError: there is one.
    """
    for flag in found:
        where = "there" if flag.file else "where it is set (see `systemctl cat docker`)"
        raise HostError(
            want.name,
            f"dockerd has the flag `{flag.written}` {_place(seen, flag)}, which cannot stand "
            f'beside "{flag.key}" in {seen.engine.config}: dockerd would not start again',
            f"take it out {where}, then run this again; or set `migrate_flags = true` for this "
            "client to have such flags moved into daemon.json",
        )


def migrate(want: DesiredHost, seen: ObservedHost, found: Sequence[Given]) -> Migrated:
    """Those flags out of where they are set, and as values of daemon.json.

    Raises:
        HostError: one of them is set where it cannot be taken out, or is none of daemon.json's.
    """
    texts: dict[str, str] = {}
    for flag in found:
        problem = _problem(seen, flag)
        if problem:
            raise HostError(
                want.name,
                f"the flag `{flag.written}` {_place(seen, flag)} cannot be migrated: {problem}",
                "take it out by hand, then run this again",
            )
    for file in dict.fromkeys(flag.file for flag in found):
        here = [flag for flag in found if flag.file == file]
        texts[file] = _without(want, file, seen.texts[file], here)
    values = {
        key: _value(want, [flag for flag in found if flag.key == key])
        for key in dict.fromkeys(flag.key for flag in found)
    }
    return Migrated(values, texts, tuple(found))


def _place(seen: ObservedHost, flag: Given) -> str:
    if flag.file:
        return f"({flag.place})"
    known = docker_start.of(seen).file or seen.engine.unit
    where = f"; {known} is what starts it" if known else ""
    return f"(on its command line{where})"


def _problem(seen: ObservedHost, flag: Given) -> str:
    if not flag.file:
        return "it is in no unit, drop-in or file of variables that is known"
    if flag.spans is not None and flag.file.startswith(_PACKAGED):
        what = "Environment" if flag.variable else "ExecStart"
        return f"that file is the package's (a drop-in with an {what} of its own takes its place)"
    if flag.file not in seen.texts:
        return "the file cannot be read"
    if flag.spans == ():
        return "its words there are not the ones that systemd reads"
    if flag.key not in facts.FLAG_VALUES:
        return "daemon.json has no such key, or says it in another way"
    return ""


def _without(want: DesiredHost, file: str, text: str, here: Sequence[Given]) -> str:
    spans = [span for flag in here for span in flag.spans or ()]
    if spans:
        return unit.without(text, spans)
    try:
        document = sysconfig.parse(text)
        for variable, name in dict.fromkeys((flag.variable, flag.name) for flag in here):
            del document[path(variable, name)]
    except NotReadableError as error:
        raise HostError(want.name, f"{file} cannot be edited: {error}", error.hint) from error
    return document.text()


def _value(want: DesiredHost, same: Sequence[Given]) -> Json:
    """What flags of one key say, as daemon.json says it; of one that is no list the last counts."""
    last = same[-1]
    kind = facts.FLAG_VALUES[last.key]
    if kind == "list":
        return list(dict.fromkeys(flag.value for flag in same))
    if kind == "map":
        return dict(flag.value.partition("=")[::2] for flag in same)
    if kind == "switch" and last.value in {"true", "false"}:
        return last.value == "true"
    if kind == "number" and last.value.lstrip("-").isdigit():
        return int(last.value)
    if kind == "text" and last.written != last.name:
        return last.value
    raise HostError(
        want.name,
        f"the flag `{last.written}` ({last.place}) cannot be migrated: its value is no {kind}",
        "take it out by hand, then run this again",
    )
