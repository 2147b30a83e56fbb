"""The engine's file runs on hosts as it is: Python 3.6 and its standard library alone."""

import ast
import sys
from pathlib import Path

from regfleet.replication import engine

SOURCE = Path(engine.__file__).read_text("utf-8")
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
    assert "__future__" not in names  # `annotations` is of Python 3.7
