"""What changes is a value: read from notes of any version, put in words by `report` alone."""

import ast
from pathlib import Path

import pytest

from regfleet.model.resource import Resource, from_note, login_resource, note_of
from regfleet.report.resource_text import resource_text

SOURCE = Path(__file__).resolve().parents[3] / "src" / "regfleet"
NOTES = {
    "file /etc/docker/daemon.json": Resource("file", "/etc/docker/daemon.json"),
    "file /etc/a b": Resource("file", "/etc/a b"),
    "daemon.json registry-mirrors": Resource("daemon.json", "registry-mirrors"),
    "login root@[fd00::1]:5000": login_resource("root", "[fd00::1]:5000"),
    "interrupted change": Resource("interrupted", "change"),
    "container regfleet-main": Resource("container", "regfleet-main"),
    # Of another version, or cut short.
    "moon full": Resource("other", "moon full"),
    "other thing": Resource("other", "other thing"),
    "file": Resource("other", "file"),
    "file ": Resource("other", "file "),
    "": Resource("other", ""),
}


@pytest.mark.parametrize("note", NOTES)
def test_a_note_is_read_and_written_as_it_was(note):
    assert from_note(note) == NOTES[note]
    assert note_of(NOTES[note]) == note


@pytest.mark.parametrize("note", NOTES)
def test_people_read_what_is_noted(note):
    assert resource_text(from_note(note)) == note


def test_a_password_is_somebodys():
    assert resource_text(Resource("password", "alice")) == "password of alice"


def modules():
    for file in sorted(SOURCE.rglob("*.py")):
        yield file.relative_to(SOURCE), ast.parse(file.read_text("utf-8"))


def users(name):
    """The packages with a module that names a function."""
    return {
        inside.parts[0].removesuffix(".py")
        for inside, tree in modules()
        if any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))
    }


def test_notes_are_written_and_read_where_they_are_kept():
    assert users("note_of") == {"journal", "touch"}
    assert users("from_note") == {"journal", "touch"}


def test_nothing_else_puts_a_resource_in_words():
    """Neither `f"{change.resource}"` nor `f"{resource.kind} {resource.name}"` nor `str(...)`."""
    found = [
        f"{inside}:{node.lineno}: {ast.unparse(node)}"
        for inside, tree in modules()
        if str(inside) not in ("model/resource.py", "report/resource_text.py")
        for node in ast.walk(tree)
        if (isinstance(node, ast.FormattedValue) and is_resource(node.value))
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in ("str", "repr", "format")
            and any(map(is_resource, node.args)))
    ]  # fmt: skip
    assert found == []


def is_resource(node):
    name = ast.unparse(node)
    return name.endswith(("resource", "resource.kind"))
