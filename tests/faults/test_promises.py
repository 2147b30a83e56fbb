"""docs/promises.md names tests that exist, and leaves no test of a fault unnamed."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = set(re.findall(r"`(tests/\S+\.py)::(\w+)`", (ROOT / "docs/promises.md").read_text()))
TESTS_OF_TESTS = {"test_each_is_known", "test_the_hunt_sees_into_the_hosts"}


def _tests(path):
    tree = ast.parse((ROOT / path).read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {name for name in names if name.startswith("test_")}


def test_every_test_that_is_named_is_there():
    assert len(NAMED) > 30
    assert [(path, name) for path, name in NAMED if name not in _tests(path)] == []


def test_every_test_of_a_fault_proves_a_promise():
    there = {
        (str(path.relative_to(ROOT)), name)
        for path in (ROOT / "tests/faults").glob("test_*.py")
        for name in _tests(path) - TESTS_OF_TESTS
        if path != Path(__file__)
    }
    assert there - NAMED == set()


def _rows():
    lines = (ROOT / "docs/promises.md").read_text().splitlines()
    return [line for line in lines if line.startswith("| ") and not line.startswith("| promise")]


def _in_the_soak(path, name):
    """Whether its file or the function itself is marked; one parameter is not the whole test."""
    body = ast.parse((ROOT / path).read_text()).body
    marks = [ast.unparse(each.value) for each in body if _assigns(each, "pytestmark")]
    for each in body:
        if isinstance(each, ast.FunctionDef) and each.name == name:
            marks += [mark for mark in map(ast.unparse, each.decorator_list) if "(" not in mark]
    return any("mark.soak" in mark for mark in marks)


def _assigns(node, name):
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name


def test_what_is_proven_in_the_soak_alone_is_marked():
    wrong = []
    for row in _rows():
        alone = [_in_the_soak(*each) for each in re.findall(r"`(tests/\S+\.py)::(\w+)`", row)]
        if all(alone) != ("(soak) |" in row):
            wrong.append(row)
    assert wrong == []


def test_every_promise_names_a_test():
    rows = _rows()
    assert [row for row in rows if not re.search(r"\| `tests/\S+\.py::test_\w+` \|$", row)] == []
