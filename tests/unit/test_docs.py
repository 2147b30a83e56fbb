"""What README and docs/ say is held against the program: commands, links, fleet files."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import tomli
from making import observed
from rich.console import Console

from regfleet import materials
from regfleet.cli.app import cli
from regfleet.desired.resolve import resolve
from regfleet.fleet import reference
from regfleet.fleet.load import load
from regfleet.fleet.read import read
from regfleet.model.observed import ObservedPath
from regfleet.model.report import HostReport, Report
from regfleet.plan.diff import diff
from regfleet.report.plan_text import show_plan
from regfleet.state import StateDirectory

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAGES = [ENGLISH, CHINESE, *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(regfleet [^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ .*$", re.MULTILINE)
_NAMED_FILES = ("image_archive", "certificate", "key", "ca")  # that validate looks for


class Block(NamedTuple):
    page: str
    language: str
    text: str


def of(language: str, pages: list[Path] = PAGES) -> list[Block]:
    return [
        Block(str(page.relative_to(ROOT)), found, text)
        for page in pages
        for found, text in _FENCE.findall(page.read_text("utf-8"))
        if found == language
    ]


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


def command_lines(block: Block) -> list[str]:
    joined = block.text.replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]


def simple_commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a line; variables and comments taken off."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    before = ""
    for token in [*lexer, "|"]:
        if not set(token) <= set("|&;<>"):
            if not (before and set(before) <= set("<>")):  # else the name of a file
                words.append(token)
            before = token
            continue
        before = token
        while words and re.match(r"[A-Z_]+=", words[0]):
            words.pop(0)
        if words and set(token) <= set("|&;"):
            yield words
            words = []


LINES = [(block.page, line) for block in of("console") for line in command_lines(block)]
COMMANDS = [(page, words) for page, line in LINES for words in simple_commands(line)]
IDS = [f"{page}: {' '.join(words)}" for page, words in COMMANDS]
TOML = of("toml")


def parse(words: list[str]) -> None:
    """Parse a command line of regfleet's as click does, and run nothing."""
    context = cli.make_context("regfleet", list(words))
    _, command, rest = cli.resolve_command(context, [*context._protected_args, *context.args])
    assert command is not None
    command.make_context(command.name, rest, parent=context)


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS) > 40
    assert len(TOML) > 12
    assert {words[0] for _, words in COMMANDS} >= {"regfleet", "make", "pyinfra", "ssh"}


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=IDS)
def test_commands_exist(page: str, words: list[str]) -> None:
    program, *arguments = words
    if Path(program).name == "regfleet":
        parse(arguments)
    elif program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(arguments) <= set(targets)
    elif program == "pyinfra":
        scripts = [word.removeprefix("../") for word in arguments if word.endswith(".py")]
        assert all((ROOT / script).is_file() for script in scripts)
    else:
        assert program in KNOWN_PROGRAMS, f"{page}: is {program} a slip of the pen?"


KNOWN_PROGRAMS = {
    *(".", "base64", "cat", "cd", "chmod", "cp", "mkdir", "mv", "printf", "rm", "tar", "umask"),
    *(
        "ansible-inventory",
        "docker",
        "dockerd-rootless-setuptool.sh",
        "eval",
        "kubectl",
        "loginctl",
        "openssl",
        "podman",
        "ssh",
        "ssh-add",
        "ssh-keyscan",
        "sudo",
        "systemctl",
        "taplo",
        "terraform",
    ),
    *("pip", ".venv/bin/pip", "python3", "vagrant"),
}


SENTENCES = [
    (name, text)
    for name, page in zip(NAMES, PAGES, strict=True)
    for text in _INLINE.findall(prose(page))
]


@pytest.mark.parametrize(("page", "text"), SENTENCES)
def test_commands_in_sentences_exist(page: str, text: str) -> None:
    """A sentence may leave the fleet file out, nothing else."""
    del page
    words = shlex.split(text)[1:]
    name = words[0]
    takes_file = any(parameter.name == "file" for parameter in cli.commands[name].params)
    if takes_file and all(word.startswith("-") for word in words[1:]):
        words.insert(1, "fleet.toml")
    parse(words)


@pytest.mark.parametrize(
    "words", [["aply", "x"], ["plan", "x", "--no-such"], ["plan", "x", "y"], ["up", "surplus"]]
)
def test_a_wrong_command_would_be_seen(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(words)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings: lower case, blanks to hyphens, punctuation gone."""
    titles = (heading.lstrip("#").strip().lower() for heading in _HEADING.findall(prose(page)))
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


# What the programs print whose output the fleet files of a page take as hosts.
PRINTED = {
    "ansible-inventory": {
        "_meta": {"hostvars": {"reg1": {"ansible_host": "192.0.2.1"}}},
        "registry": {"hosts": ["reg1"]},
        "build": {"hosts": ["b1", "b2.example.com"]},
    },
    "terraform": {"b1": "192.0.2.11", "b2.example.com": "2001:db8::1"},
}


@pytest.mark.parametrize("block", TOML, ids=[block.page for block in TOML])
def test_fleet_files_are_valid(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program, printed in PRINTED.items():
        (tmp_path / program).write_text(f"#!/bin/sh\necho '{json.dumps(printed)}'\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "build.csv").write_text("name,address\nb1,192.0.2.11\nb2.example.com,\n")
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / "web.toml").write_text('[client.web]\nhosts = ["web1"]\n')
    file = tmp_path / "fleet.toml"
    file.write_text(block.text, "utf-8")
    make_files_named_in(read(file).document, tmp_path)
    assert load(file).name
    explained = (ROOT / block.page).read_text("utf-8")
    unexplained = [each for each in load(file).warnings if "warning" not in explained]
    assert not unexplained, "the page has to say why this may be, or the file must not declare it"


def make_files_named_in(item: object, folder: Path) -> None:
    for key, value in item.items() if isinstance(item, dict) else ():
        if key in _NAMED_FILES and isinstance(value, str) and not value.startswith("~"):
            (folder / value).parent.mkdir(exist_ok=True)
            (folder / value).touch()
        make_files_named_in(value, folder)


def test_both_readmes_have_the_same_commands() -> None:
    def commands(page: Path) -> list[list[list[str]]]:
        lines = [command_lines(block) for block in of("console", [page])]
        return [[shlex.split(line, comments=True) for line in block] for block in lines]

    assert commands(CHINESE) == commands(ENGLISH)


def test_both_readmes_have_the_same_fleet_files() -> None:
    documents = [[tomli.loads(block.text) for block in of("toml", [page])] for page in PAGES[:2]]
    assert documents[0] == documents[1]
    assert documents[0]


def test_both_readmes_have_the_same_structure() -> None:
    def outline(page: Path) -> list[str]:
        parts = re.findall(r"^(#+|\*) |^(```)", page.read_text("utf-8"), re.MULTILINE)
        return [heading or fence for heading, fence in parts]

    def links(page: Path) -> list[str]:
        return sorted(set(_LINK.findall(prose(page))) - {ENGLISH.name, CHINESE.name})

    def terms(page: Path) -> set[str]:
        return set(re.findall(r"`([^`\n]+)`", prose(page)))

    assert outline(CHINESE) == outline(ENGLISH)
    assert links(CHINESE) == links(ENGLISH)
    assert terms(CHINESE) == terms(ENGLISH)


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_the_readmes_plan_is_what_its_fleet_gives(page: Path, tmp_path: Path) -> None:
    """As a terminal of 80 columns shows it, for machines that have Docker and nothing of ours."""
    file = tmp_path / "fleet.toml"
    file.write_text(of("toml", [page])[0].text, "utf-8")
    fleet = load(file)
    made = materials.gather(fleet, StateDirectory(tmp_path / "state"), save=False)
    there = ObservedPath("/etc/docker", directory=True, mode=0o755, owner=(0, 0), digest="")
    seen = observed(paths={there.path: there})
    hosts = {
        name: HostReport(name, plan=diff(want, seen, made.salt))
        for name, want in resolve(fleet, made).items()
    }
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system=None)
    show_plan(Report(fleet.name, hosts), console, fleet)
    (shown,) = of("text", [page])
    assert shown.text == stream.getvalue()


def test_the_files_that_the_architecture_names_are_there() -> None:
    """Whole paths; those with a word in capitals stand for what is to be written."""
    text = (ROOT / "docs/architecture.md").read_text()
    named = re.findall(r"`((?:src|schema|tests|docs)/[\w./-]+)`", text)
    assert len(named) > 30
    there = [path for path in named if not re.search(r"[A-Z]{3}", path)]
    assert [path for path in there if not (ROOT / path).exists()] == []
    source = ROOT / "src/regfleet"
    rooms = re.findall(r"`([\w.]+(?:/|\.py))`", text.split("## Where something new goes")[0])
    assert [room for room in rooms if not (source / room.rstrip("/")).exists()] == []


def test_the_reference_is_up_to_date() -> None:
    written = (ROOT / "docs" / "reference.md").read_text("utf-8")
    assert written == reference.reference(), (
        "the schema has changed; write the reference again:\n"
        "    python -m regfleet.fleet.reference > docs/reference.md"
    )


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    linked = {str((ROOT / "docs" / target).resolve()) for target in _LINK.findall(index)}
    pages = {str(page) for page in (ROOT / "docs").rglob("*.md")}
    assert pages - linked <= {str(ROOT / "docs" / "README.md")}


def test_what_is_installed_to_run_is_a_part_of_what_is_tested() -> None:
    """README's way to install takes the same versions, by the same hashes."""
    tested, run = (
        re.split(r"\n(?=\w)", (ROOT / name).read_text("utf-8").split("make lock\n")[1].strip())
        for name in ("requirements.lock", "requirements-run.lock")
    )
    assert set(run) < set(tested)
    named = {re.split(r"[=<>!~ ]", each)[0] for each in run}
    project = tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    assert {re.split(r"[=<>!~ ]", each)[0] for each in wanted} <= named
