"""How dockerd is started, and where each of its flags is set. Pure.

On systemd the unit and its drop-ins say it, and files of variables that they read (systemd.unit(5),
systemd.exec(5)); Debian's script under /etc/init.d reads DOCKER_OPTS from /etc/default/docker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from regfleet.documents import unit
from regfleet.documents.sysconfig_scan import flags, scan
from regfleet.engines import docker_facts as facts
from regfleet.look.observed import ObservedHost

UNIT = "docker.service"
DEFAULT = "/etc/default/docker"


@dataclass(frozen=True, slots=True)
class Given:
    """One flag of dockerd.

    Attributes:
        key: its key in daemon.json.
        name: `--insecure-registry` or `-H`.
        value: "true" where it stands alone.
        written: name and value as they are written.
        file: where it is set.
        variable: the variable of that file that holds it; empty in a unit.
        spans: where in the unit its words are.
    """

    key: str
    name: str
    value: str
    written: str
    file: str
    variable: str = ""
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def place(self) -> str:
        """Where it is set, for people."""
        return f"{self.variable} in {self.file}" if self.variable else self.file


@dataclass(frozen=True, slots=True)
class Start:
    """dockerd's command line, as it will be at its next start.

    Attributes:
        file: the unit, drop-in or script's file that has it; empty where none is known.
        words: the command line, variables as they are written.
        reads: files of variables, in the order in which they are read: the last one wins.
        given: its flags, in their order.
    """

    file: str = ""
    words: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    given: tuple[Given, ...] = ()


def of(seen: ObservedHost) -> Start:
    """How a host starts dockerd, by the files that the look brought."""
    if seen.init != "systemd":
        return Start(DEFAULT, given=tuple(_of_variable(seen.texts, (DEFAULT,), "DOCKER_OPTS")))
    file = ""
    words: tuple[unit.Word, ...] = ()
    reads: list[str] = []
    for path in _units(seen.texts):
        for setting in unit.settings(seen.texts[path]):
            if setting.name == "ExecStart":
                file, words = (path, setting.words) if setting.words else ("", ())
            elif setting.name == "EnvironmentFile":
                reads = [*reads, *_paths(setting.words)] if setting.words else []
    given = tuple(_of_command(seen.texts, file, words, reads))
    return Start(file, tuple(word.text for word in words), tuple(reads), given)


def _units(texts: Mapping[str, str]) -> list[str]:
    """The unit, then its drop-ins in systemd's order: by name, wherever they lie."""
    whole = [path for path in texts if path.endswith(f"/{UNIT}")]
    drop_ins = [path for path in texts if path.endswith(".conf") and "service.d/" in path]
    return whole + sorted(drop_ins, key=lambda path: path.rpartition("/")[2])


def _paths(words: Sequence[unit.Word]) -> Iterator[str]:
    return (word.text.removeprefix("-") for word in words)


def _of_command(
    texts: Mapping[str, str], file: str, words: Sequence[unit.Word], reads: Sequence[str]
) -> Iterator[Given]:
    if not words or not words[0].text.endswith("dockerd"):
        return  # a shell's command line is not ours to read
    at = 1
    while at < len(words):
        word = words[at]
        text = word.text
        if text.startswith("$"):
            yield from _of_variable(texts, reads, text.strip("${}"))
        elif text.startswith("-"):
            name, joined, value = text.partition("=")
            taken = [word]
            following = words[at + 1] if at + 1 < len(words) else None
            if not joined and following and not following.text.startswith(("-", "$")):
                value = following.text
                taken.append(following)
                at += 1
            elif not joined:
                value = "true"
            written = " ".join(each.text for each in taken)
            spans = tuple((each.start, each.end) for each in taken)
            yield Given(facts.key_of(name), name, value, written, file, spans=spans)
        at += 1


def _of_variable(texts: Mapping[str, str], reads: Sequence[str], name: str) -> Iterator[Given]:
    for path in reversed(reads):
        variable = scan(texts.get(path, "")).get(name)
        if variable:
            for flag in flags(variable) or ():
                written = f"{flag.name}{flag.form}{flag.value}" if flag.form else flag.name
                key = facts.key_of(flag.name)
                yield Given(key, flag.name, flag.value, written, path, name)
            return


def arguments(running: Sequence[str]) -> list[tuple[str, ...]]:
    """The running daemon's arguments, each flag with its value."""
    found: list[tuple[str, ...]] = []
    words = list(running[1:])
    while words:
        taken = [words.pop(0)]
        if "=" not in taken[0] and words and not words[0].startswith("-"):
            taken.append(words.pop(0))
        found.append(tuple(taken))
    return found
