"""How dockerd is started, and where each of its flags is set. Pure.

systemd says itself what it starts: `systemctl show docker.service` (look_start in docker.look.sh).
Its files are read for the place of each flag alone. A script under /etc/init.d reads DOCKER_OPTS
from one file: of Debian's docker.io /etc/default/docker, of OpenRC's /etc/conf.d/docker (moby
contrib/init/openrc/docker.initd; openrc-run(8)).

systemd.exec(5): EnvironmentFile= overrides Environment=, of several files the last one wins.
systemd.service(5), "Command lines": `$NAME` as a word of its own becomes the words of the variable,
`${NAME}` is replaced within its word, `$$` is a dollar sign.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from regfleet.documents import unit
from regfleet.documents.sysconfig_scan import scan
from regfleet.engines import docker_facts as facts
from regfleet.model.observed import ObservedHost

DEFAULT = "/etc/default/docker"

Texts = Mapping[str, str]
Span = tuple[int, int]

_ALONE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_BRACED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\$")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_ARGUMENTS = re.compile(r"argv\[\]=(.*?) ; ignore_errors=", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Given:
    """One flag of dockerd.

    Attributes:
        key: its key in daemon.json.
        name: `--insecure-registry` or `-H`.
        value: "true" where it stands alone.
        written: name and value as dockerd gets them.
        file: where it is set; empty where that is not known.
        variable: the variable that holds it; empty for a word of ExecStart.
        spans: where its words are in a unit or drop-in, empty where that cannot be told; None in
            a file of variables.
    """

    key: str
    name: str
    value: str
    written: str
    file: str
    variable: str = ""
    spans: tuple[Span, ...] | None = None

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
        stale: whether unit files have changed since systemd read them: it starts what they said
            before, until it reads them or the machine is restarted.
    """

    file: str = ""
    words: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    given: tuple[Given, ...] = ()
    stale: bool = False


@dataclass(frozen=True, slots=True)
class _Word:
    """One argument of dockerd's, and where it comes from; `spans` is as in `Given`."""

    text: str
    file: str
    variable: str = ""
    spans: tuple[Span, ...] | None = ()


def of(seen: ObservedHost) -> Start:
    """How a host starts dockerd, by what the look brought."""
    shown = seen.engine.start
    if seen.init != "systemd":
        file = "".join(shown.get("Script", (DEFAULT,)))
        return Start(file, given=tuple(_given(_in_file(seen.texts, file, "DOCKER_OPTS"))))
    files = (*shown.get("FragmentPath", ()), *" ".join(shown.get("DropInPaths", ())).split())
    # systemd before 240 names the property otherwise than it is asked for it.
    read = shown.get("EnvironmentFiles", shown.get("EnvironmentFile", ()))
    reads = tuple(_read_files(seen.texts, read))
    assigned = _assigned(" ".join(shown.get("Environment", ())))
    variables = _Variables(seen.texts, files, reads, assigned)
    file, words = _command(seen.texts, files, " ".join(shown.get("ExecStart", ())))
    arguments: list[_Word] = []
    if words and words[0].text.endswith("dockerd"):  # a shell's command line is not ours to read
        for word in words[1:]:
            arguments += variables.expand(word)
    texts = tuple(word.text for word in words)
    stale = "yes" in shown.get("NeedDaemonReload", ())
    return Start(file, texts, reads, tuple(_given(arguments)), stale)


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


@dataclass(frozen=True, slots=True)
class _Variables:
    """What the variables of a command line stand for.

    Attributes:
        texts: all files that the look brought.
        files: the unit and its drop-ins, in the order in which systemd reads them.
        reads: files of variables, in their order.
        assigned: what `Environment=` comes to.
    """

    texts: Texts
    files: Sequence[str]
    reads: Sequence[str]
    assigned: Mapping[str, str]

    def expand(self, word: _Word) -> Iterator[_Word]:
        """What a word of the command line becomes."""
        alone = _ALONE.fullmatch(word.text)
        if alone:
            yield from self._words(alone[1])
            return
        text = _BRACED.sub(lambda m: self._value(m[1]) if m[1] else "$", word.text)
        whole = _BRACED.fullmatch(word.text)
        if whole and whole[1]:
            places = [*self._words(whole[1])]
            if len(places) == 1:
                word = places[0]
        yield replace(word, text=text)

    def _value(self, name: str) -> str:
        file = self._file(name)
        return scan(self.texts[file])[name].text if file else self.assigned.get(name, "")

    def _file(self, name: str) -> str:
        found = (file for file in reversed(self.reads) if name in scan(self.texts.get(file, "")))
        return next(found, "")

    def _words(self, name: str) -> Iterator[_Word]:
        file = self._file(name)
        if file:
            yield from _in_file(self.texts, file, name)
            return
        words = [word.text for word in unit.split(self.assigned.get(name, ""))]
        for file in reversed(self.files):
            found = unit.variable(self.texts.get(file, ""), name)
            if found:
                same = [word.text for word in found] == words
                spans = [((word.start, word.end),) if same else () for word in found]
                for text, span in zip(words, spans or [], strict=False):
                    yield _Word(text, file, name, span)
                return
        for text in words:
            yield _Word(text, "", name)


def _in_file(texts: Texts, file: str, name: str) -> Iterator[_Word]:
    variable = scan(texts.get(file, "")).get(name)
    for word in unit.split(variable.text) if variable else ():
        yield _Word(word.text, file, name, None)


def _given(words: Sequence[_Word] | Iterator[_Word]) -> Iterator[Given]:
    """The flags that arguments are, each with its value."""
    left = list(words)
    while left:
        taken = [left.pop(0)]
        name, joined, value = taken[0].text.partition("=")
        if not name.startswith("-"):
            continue
        if not joined and left and not left[0].text.startswith("-"):
            taken.append(left.pop(0))
            value = taken[1].text
        elif not joined:
            value = "true"
        first = taken[0]
        spans: tuple[Span, ...] | None = None
        if first.spans is not None:
            known = all(word.spans and word.file == first.file for word in taken)
            spans = tuple(span for word in taken for span in word.spans or ()) if known else ()
        elif any(word.file != first.file for word in taken):
            spans = ()
        written = " ".join(word.text for word in taken)
        yield Given(facts.key_of(name), name, value, written, first.file, first.variable, spans)


def _read_files(texts: Texts, shown: Sequence[str]) -> Iterator[str]:
    """`PATH (ignore_errors=yes)`; PATH may be a pattern (glob(7)), whose files come sorted."""
    for each in shown:
        path = each.rpartition(" (")[0] or each
        yield from sorted(fnmatch.filter(texts, path)) or (path,)


def _assigned(shown: str) -> dict[str, str]:
    """What `Environment=` comes to. systemd before 240 puts no quotes around values."""
    found: dict[str, str] = {}
    name = ""
    for word in unit.split(shown):
        if _ASSIGNMENT.match(word.text):
            name, _, found[name] = word.text.partition("=")
        elif name:
            found[name] += f" {word.text}"
    return found


def _command(texts: Texts, files: Sequence[str], shown: str) -> tuple[str, list[_Word]]:
    """The command line and its file. systemd shows its words without their quotes."""
    match = _ARGUMENTS.search(shown)
    if not match:
        return "", []
    words = match[1].split()
    for file in reversed(files):
        for setting in reversed(unit.settings(texts.get(file, ""))):
            if setting.name != "ExecStart" or not setting.words:
                continue
            known = [
                _Word(each.text, file, spans=((each.start, each.end),)) for each in setting.words
            ]
            if " ".join(each.text for each in known).split() == words:
                return file, known
            return file, [_Word(text, file) for text in words]
    return "", [_Word(text, "") for text in words]
