"""Docker that takes its options from /etc/sysconfig/docker, as on CentOS, RHEL and Fedora.

Plain registries and mirrors are flags in OPTIONS there, by ownership; further keys go to
daemon.json, as with the engine docker. Flags are read when dockerd starts: a reload does not do.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from regfleet.documents import sysconfig
from regfleet.documents.interface import NotReadableError, parts, path
from regfleet.documents.sysconfig_scan import scan
from regfleet.engines import docker_boot, docker_json, docker_start, edits, installation
from regfleet.engines import docker_facts as facts
from regfleet.engines.docker import Docker
from regfleet.engines.docker_activation import INSECURE, MIRRORS, slashed
from regfleet.engines.interface import ClientNeeds, EnginePlan, EngineWants
from regfleet.errors import HostError
from regfleet.fleet.clients import EngineName
from regfleet.fleet.values import Json
from regfleet.model.desired import DesiredHost, WantedSettings
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import ActivateDocker, Activation, Change, EditFile, Step
from regfleet.model.resource import Resource
from regfleet.record import DAEMON_JSON, Owned, OwnedEdit

FILE = "/etc/sysconfig/docker"
VARIABLE = "OPTIONS"
FLAGS = {
    path(VARIABLE, "--insecure-registry"): INSECURE,
    path(VARIABLE, "--registry-mirror"): MIRRORS,
}
# Of the distributions whose package reads the file; what is read is seen behind the installation.
PROGRAM = installation.Program(
    "docker",
    "Docker",
    "dockerd",
    {"dnf": ("moby-engine",), "yum": ("docker",)},
    facts.PACKAGES_OF,
)
_AT_START = "flags are read at the start alone: a reload does not do"


class DockerSysconfig:
    """dockerd whose unit reads /etc/sysconfig/docker."""

    name: EngineName = "docker-sysconfig"
    shell: str = "docker"
    is_docker: bool = True
    login_file: str = Docker().login_file
    load: str = Docker().load
    no_smoke: str = ""

    def wants(self, needs: ClientNeeds) -> EngineWants:
        """What Docker wants, with the lists of registries and mirrors as flags."""
        wants = Docker().wants(needs)
        daemon = wants.edits.get(DAEMON_JSON, WantedSettings())
        lists = {
            flag: daemon.lists[path(key)]
            for flag, key in FLAGS.items()
            if path(key) in daemon.lists
        }
        reasons = {flag: f"{daemon.reasons[path(FLAGS[flag])]}; {_AT_START}" for flag in lists}
        wanted = {FILE: WantedSettings(lists, {}, reasons)} if lists else {}
        if daemon.values:
            wanted[DAEMON_JSON] = replace(daemon, lists={})
        return replace(wants, edits=wanted)

    def plan(
        self,
        want: DesiredHost,
        seen: ObservedHost,
        owned: Owned,
        others: Collection[Owned],
    ) -> EnginePlan:
        """Docker's plan for daemon.json, and the flags; a restart where they change."""
        if want.engine and seen.engine.state == "missing":
            step = installation.install(PROGRAM, want, seen)
            return EnginePlan((installation.change(step),), install=(step,), apart=True)
        if FILE in want.edits:
            _refuse_unread(want, seen)
            _refuse_keys(want, seen)
        whole = Docker().plan(want, seen, owned, others)
        settings = want.edits.get(FILE, WantedSettings())
        starts = seen.engine.state == "down" or not _runs(seen)
        activation: Activation = "none" if starts else "restart"
        editor = edits.Editor(sysconfig.parse, want, seen, owned, others)
        edited = editor.edit(FILE, settings, activation=activation)
        flags = _Flags.of(seen, edited)
        changes = edited.changes
        if not changes and flags.is_stale(seen):
            reason = f"the running daemon has other flags; {_AT_START}"
            changes = (Change(Resource("file", FILE), "run", reason, activation),)
        if changes:
            whole = _with(whole, seen, flags, activation)
        docker_boot.refuse(want, seen, starts=any(map(docker_boot.starts, whole.configure)))
        return replace(
            whole,
            changes=(*whole.changes, *changes),
            configure=(*edited.steps, *whole.configure),
            edits={**whole.edits, FILE: edited.owned},
            expected=(*whole.expected, *edited.expected),
        )


@dataclass(frozen=True, slots=True)
class _Flags:
    """What OPTIONS says before and after, and what of that is ours."""

    before: dict[str, list[str]]
    after: dict[str, list[str]]
    owned: OwnedEdit

    @classmethod
    def of(cls, seen: ObservedHost, edited: edits.Edited) -> _Flags:
        before = _lists(seen.texts.get(FILE))
        after = before
        for step in edited.steps:
            text = step.content if isinstance(step, EditFile) else seen.originals.get(FILE)
            after = _lists(text)
        return cls(before, after, edited.owned)

    def is_stale(self, seen: ObservedHost) -> bool:
        """Whether something of ours stands in the file and the live daemon does not have it."""
        return seen.engine.state == "up" and not set(self._ours()) <= _live(seen)

    def expected(self, seen: ObservedHost) -> tuple[str, ...]:
        """Lines that the live daemon has to show; others' only where it showed them before.

        It may spell them otherwise (networks are made canonical).
        """
        known = {*self._ours(), *_live(seen)}
        return tuple(line for line in _lines(self.after) if line in known)

    def gone(self) -> tuple[str, ...]:
        """Lines that it must not show any more."""
        after = _lines(self.after)
        return tuple(line for line in _lines(self.before) if line not in after)

    def arguments(self, running: tuple[str, ...]) -> tuple[str, ...]:
        """What it will be started with, of what it runs with now."""
        before = {(FLAGS[key], each) for key, values in self.before.items() for each in values}
        left = [
            words
            for words in docker_start.arguments(running)
            if (facts.key_of(words[0]), words[-1].partition("=")[2] or words[-1]) not in before
        ]
        after = [f"{parts(key)[1]}={each}" for key, values in self.after.items() for each in values]
        return (*(word for words in left for word in words), *after)

    def _ours(self) -> list[str]:
        return _lines({key: list(kept.entries) for key, kept in self.owned.lists.items()})


def _refuse_unread(want: DesiredHost, seen: ObservedHost) -> None:
    """Refuse a host whose dockerd would not see the flags, with what was found and the remedy."""
    start = docker_start.of(seen)
    problem = ""
    if seen.init != "systemd":
        problem = "systemd does not run there, and scripts read other files"
    elif not start.file:
        problem = "no unit docker.service with an ExecStart was found"
    elif FILE not in start.reads:
        read = f"it reads {', '.join(start.reads)}" if start.reads else "it has no EnvironmentFile"
        problem = f"{start.file} does not read it ({read})"
    elif not any(_expands(word) for word in start.words):
        problem = f"ExecStart in {start.file} has no ${VARIABLE}: `{' '.join(start.words)}`"
    else:
        later = start.reads[start.reads.index(FILE) + 1 :]
        shadow = next((file for file in later if VARIABLE in scan(seen.texts.get(file, ""))), "")
        problem = f"{shadow} is read behind it and sets {VARIABLE}, too" if shadow else ""
    if problem:
        program = start.words[0] if start.words else "/usr/bin/dockerd"
        rest = " ".join(word for word in start.words[1:] if not _expands(word))
        line = " ".join(filter(None, (program, rest, f"${VARIABLE}")))
        raise HostError(
            want.name,
            f"dockerd does not take its flags from {FILE}: {problem}",
            'use `engine = "docker"`, or give the unit a drop-in with [Service], '
            f"`EnvironmentFile=-{FILE}`, `ExecStart=` and `ExecStart={line}`",
        )


def _expands(word: str) -> bool:
    """Whether a word of ExecStart becomes the words of the variable.

    systemd.service(5): `$NAME` as a word of its own is split at blanks, `${NAME}` is one word.
    In the text of a `sh -c` the shell does the same with `$NAME`.
    """
    return bool(re.search(rf"\${VARIABLE}\b", word))


def _refuse_keys(want: DesiredHost, seen: ObservedHost) -> None:
    """Refuse flags that somebody's keys in daemon.json would keep dockerd from starting with."""
    try:
        document = docker_json.read(seen)
    except NotReadableError:
        return  # Docker's own plan refuses it
    for flag, key in FLAGS.items():
        if flag in want.edits[FILE].lists and path(key) in document:
            raise HostError(
                want.name,
                f'{seen.engine.config} has "{key}", beside which dockerd takes no flag of the same '
                "meaning: it would not start again",
                f"take it out there (what it lists may stand in {FILE}), or use "
                '`engine = "docker"`',
            )


def _with(
    whole: EnginePlan, seen: ObservedHost, flags: _Flags, activation: Activation
) -> EnginePlan:
    """Docker's plan with the flags' part of the activation, which is one for both files."""
    arguments = flags.arguments(seen.engine.flags) if seen.engine.flags else None
    expect, refuse = flags.expected(seen), flags.gone()
    steps: list[Step] = []
    found = False
    for step in whole.configure:
        if isinstance(step, ActivateDocker):
            found = True
            steps.append(
                replace(
                    step,
                    how=activation,
                    meanwhile="",
                    undo="",
                    expect=(*step.expect, *expect),
                    refuse=(*step.refuse, *refuse),
                    flags=arguments,
                )
            )
        else:
            steps.append(step)
    if not found:
        config = seen.engine.config
        steps.insert(0, ActivateDocker(config, activation, expect, refuse, flags=arguments))
    changes = tuple(
        replace(change, activation=activation) if change.activation == "reload" else change
        for change in whole.changes
    )
    return replace(whole, changes=changes, configure=tuple(steps))


def _runs(seen: ObservedHost) -> bool:
    return seen.engine.state in {"up", "silent"}


def _lists(text: str | None) -> dict[str, list[str]]:
    document = sysconfig.parse(text)
    return {key: _strings(document.get(key)) for key in FLAGS}


def _strings(value: Json) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _lines(lists: dict[str, list[str]]) -> list[str]:
    """As the touch shows the live daemon (docker.touch.sh, `live`)."""
    insecure, mirrors = (lists.get(key, []) for key in FLAGS)
    return [*(f"insecure {each}" for each in insecure), *(f"mirror {slashed(u)}" for u in mirrors)]


def _live(seen: ObservedHost) -> set[str]:
    insecure = {f"insecure {each}" for each in seen.engine.insecure}
    return insecure | {f"mirror {slashed(url)}" for url in seen.engine.mirrors}
