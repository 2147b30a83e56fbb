"""What README and docs/ say is held against the program: commands, links, fleet files."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import tomli

from regfleet.cli.app import cli
from regfleet.fleet import reference
from regfleet.fleet.load import load
from regfleet.fleet.read import read

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
    for token in [*lexer, "|"]:
        if not set(token) <= set("|&;<>"):
            words.append(token)
            continue
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
    *(".", "cat", "cd", "cp", "mkdir", "mv", "rm"),
    *("ansible-inventory", "docker", "openssl", "ssh", "ssh-keyscan", "taplo", "terraform"),
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
    "words", [["aply", "x"], ["plan", "x", "--no-such"], ["plan"], ["up", "surplus"]]
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


@pytest.mark.parametrize("block", TOML, ids=[block.page for block in TOML])
def test_fleet_files_are_valid(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(block.text, "utf-8")
    make_files_named_in(read(file).document, tmp_path)
    assert load(file).name


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


ANSIBLE = {
    "_meta": {"hostvars": {"reg1": {"ansible_host": "192.0.2.1"}, "b1": {}}},
    "registry": {"hosts": ["reg1"]},
    "build": {"hosts": ["b1", "b2.example.com"]},
}
TERRAFORM = {"b1": "192.0.2.11", "b2.example.com": "2001:db8::1"}


@pytest.mark.parametrize(
    ("number", "given", "addresses"),
    [
        (0, ANSIBLE, ["192.0.2.1", "b1", "b2.example.com"]),
        (1, TERRAFORM, ["reg1.example.com", "192.0.2.11", "2001:db8::1"]),
    ],
)
def test_the_scripts_print_fleet_files(
    number: int, given: object, addresses: list[str], tmp_path: Path
) -> None:
    page = ROOT / "docs" / "how-to" / "hosts-from-elsewhere.md"
    script = of("python", [page])[number].text
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
    )
    file = tmp_path / "fleet.toml"
    file.write_text(done.stdout, "utf-8")
    fleet = load(file)
    assert list(fleet.groups()["client_build"]) == ["b1", "b2.example.com"]
    assert [host.address for host in fleet.hosts().values()] == addresses
