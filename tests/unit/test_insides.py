"""The insides of other packages stay theirs: no private name of theirs is used or replaced."""

import ast
import importlib
import pkgutil
from pathlib import Path

import regfleet

SOURCE = Path(__file__).resolve().parents[2] / "src" / "regfleet"
# Of a namedtuple these are public (the documentation of `collections.namedtuple`).
NAMED_TUPLE = {"_replace", "_asdict", "_fields", "_make"}
# Settings of modules that are theirs to be set: `sys.excepthook` in its documentation.
SETTINGS = {"sys.excepthook"}
# Bases that are no package's insides: each class that has them gets names of theirs.
NOBODY = {"regfleet", "builtins", "typing", "abc", "collections", "enum"}

MADE = {"_abc_impl"}  # in every abstract class, by Python itself


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def trees():
    for file in sorted(SOURCE.rglob("*.py")):
        yield str(file.relative_to(SOURCE)), ast.parse(file.read_text("utf-8"))


def imported(tree):
    """What a module imports from other packages, by the name that it has there."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.asname or each.name.split(".")[0]: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return {name: whole for name, whole in names.items() if not whole.startswith("regfleet")}


def own_names():
    """Every name that regfleet defines or sets."""
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield node.attr
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def test_nothing_asks_for_a_private_name_of_anybody_else():
    known, found = {*own_names(), *NAMED_TUPLE}, []
    for file, tree in trees():
        found += [
            f"{file}:{node.lineno}: {node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in known
        ]
        found += [
            f"{file}: {whole}"
            for whole in imported(tree).values()
            if any(map(is_private, whole.split(".")))
        ]
    assert found == []


def dotted(node):
    """The name of `a.b.c`; empty where it begins with anything else than a name."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return before and f"{before}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def what_is_set(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield dotted(node)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            yield dotted(node.value)
        elif isinstance(node, ast.Call) and dotted(node.func) == "setattr":
            yield dotted(node.args[0])


def test_nothing_is_set_in_a_module_or_class_of_anybody_else():
    found = [
        f"{file}: {name}"
        for file, tree in trees()
        for name in what_is_set(tree)
        if name.split(".")[0] in imported(tree) and name not in SETTINGS
    ]
    assert found == []


def modules():
    for each in pkgutil.walk_packages(regfleet.__path__, "regfleet."):
        if not each.name.endswith("__main__"):
            yield importlib.import_module(each.name)


def test_no_class_of_ours_takes_the_place_of_a_private_name():
    found = []
    for module in modules():
        for kind in vars(module).values():
            if not (isinstance(kind, type) and kind.__module__ == module.__name__):
                continue
            theirs = [
                base for base in kind.__mro__[1:] if base.__module__.split(".")[0] not in NOBODY
            ]
            found += [
                f"{kind.__qualname__}.{name} of {base.__module__}"
                for name in vars(kind)
                if is_private(name) and name not in MADE
                for base in theirs
                if name in vars(base)
            ]
    assert found == []
