"""The engine is one file on hosts, for Python 3.6 and its standard library alone."""

import ast
import sys
from pathlib import Path

from regfleet.replication import bundle, engine

SOURCE = bundle.text()
# Of the standard library, but newer than Python 3.6.
NEWER = {"dataclasses", "contextvars", "graphlib", "tomllib", "zoneinfo"}
# Names and arguments that Python 3.6 does not have, where they would be easy to use.
LATER = (
    "removeprefix",
    "removesuffix",
    "fromisoformat",
    "time_ns",
    "cached_property",
    "nullcontext",
)


def test_it_is_python_36():
    ast.parse(SOURCE, feature_version=(3, 6))
    tree = ast.walk(ast.parse(SOURCE))
    found = {
        each.attr if isinstance(each, ast.Attribute) else each.id
        for each in tree
        if isinstance(each, ast.Attribute | ast.Name)
    }
    assert found.isdisjoint(LATER)
    assert not any(isinstance(each, ast.NamedExpr) for each in ast.walk(ast.parse(SOURCE)))


def test_it_imports_the_standard_library_alone():
    names = set()
    for each in ast.walk(ast.parse(SOURCE)):
        if isinstance(each, ast.Import):
            names |= {alias.name.split(".")[0] for alias in each.names}
        elif isinstance(each, ast.ImportFrom):
            assert each.level == 0
            names.add(each.module.split(".")[0])
    assert names <= sys.stdlib_module_names - NEWER
    assert "regfleet.replication" not in SOURCE
    assert "__future__" not in names  # `annotations` is of Python 3.7


def test_all_modules_are_in_it_and_no_two_have_a_name_in_common():
    folder = Path(engine.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(bundle.MODULES)
    tree = ast.parse(SOURCE).body
    names = [each.name for each in tree if isinstance(each, ast.ClassDef | ast.FunctionDef)]
    for each in tree:
        if isinstance(each, ast.Assign):
            names += [target.id for target in each.targets]
        if isinstance(each, ast.AnnAssign):
            names.append(each.target.id)
        if isinstance(each, ast.Import | ast.ImportFrom):
            names += [alias.name for alias in each.names]
    assert len(names) > 60
    assert len(names) == len(set(names))


def test_each_module_uses_only_those_before_it():
    folder = Path(engine.__file__).parent
    for number, name in enumerate(bundle.MODULES):
        tree = ast.walk(ast.parse((folder / f"{name}.py").read_text("utf-8")))
        taken = {each.module for each in tree if isinstance(each, ast.ImportFrom)}
        own = {each.rpartition(".")[2] for each in taken if each.startswith("regfleet.")}
        assert own <= set(bundle.MODULES[:number])
