"""No other module writes to standard output or standard error, by whatever way."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "src" / "regfleet"
FILES = [each for each in SOURCE.rglob("*.py") if each.parent.name != "terminal"]

STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__", "displayhook", "excepthook"}
CALLS = {"print", "input", "breakpoint", "Console", "StreamHandler", "basicConfig", "FileIO"}
OF_CLICK = {
    *("echo", "secho", "echo_via_pager", "prompt", "confirm", "pause", "progressbar", "clear"),
    *("get_text_stream", "get_binary_stream"),
}
OF_RICH = {"get_console", "inspect", "print_json", "Prompt", "Confirm"}
OF_OTHERS = {
    ("warnings", "warn"),
    ("traceback", "print_exc"),
    ("traceback", "print_exception"),
    ("traceback", "print_stack"),
    ("os", "system"),
    ("os", "fdopen"),
    ("getpass", "getpass"),
    ("faulthandler", "enable"),
    ("pprint", "pprint"),
}
# What `click.echo`'s module is called by; its decorators print nothing.
_DESCRIPTORS = {1, 2}
ALLOWED = {
    # The stream is closed, and nothing written: its reader has gone.
    ("cli/main.py", "sys.stderr"),
    # A file descriptor of a temporary file.
    ("state.py", "os.fdopen"),
    # A program of its own on hosts: one JSON document, and cleaned words about its settings. Where
    # regfleet imports it, `main` is not called. The descriptor is that of a new file.
    ("replication/engine/program.py", "sys.stdout"),
    ("replication/engine/program.py", "sys.stderr"),
    ("replication/engine/ledger.py", "os.fdopen"),
}


def writes(tree):
    """Ways to a standard stream in a module: `sys.stderr`, `print`, `click.echo`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner, name = node.value.id, node.attr
            if owner == "sys" and name in STREAMS:
                yield f"sys.{name}"
            elif (owner == "click" and name in OF_CLICK) or (owner, name) in OF_OTHERS:
                yield f"{owner}.{name}"
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {alias.name for alias in node.names}
            forbidden = {"sys": STREAMS, "click": OF_CLICK}.get(node.module, set())
            if node.module.startswith("rich"):
                forbidden = OF_RICH | ({"print"} if node.module == "rich" else set())
            yield from (f"{node.module}.{name}" for name in names & forbidden)
        if isinstance(node, ast.Call):
            yield from _calls(node)


def _calls(node):
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    direct = isinstance(node.func, ast.Name)
    if name in CALLS and (direct or name not in ("print", "input")):
        yield name
    if ast.unparse(node.func) in ("os.write", "os.writev", "os.dup2"):
        literal = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant)]
        if set(literal) & _DESCRIPTORS:
            yield "os.write"
    if name == "open":
        paths = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        if any(path in ("/dev/tty", "/dev/stdout", "/dev/stderr", 1, 2) for path in paths):
            yield "open"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_other_module_writes_to_a_standard_stream(path):
    name = str(path.relative_to(SOURCE))
    found = {each for each in writes(ast.parse(path.read_text())) if (name, each) not in ALLOWED}
    assert found == set(), "regfleet.terminal prints, and cleans what it prints"


@pytest.mark.parametrize(
    "line",
    [
        "print('x')",
        "sys.stdout.write('x')",
        "file = sys.stderr",
        "from sys import stdout",
        "click.echo('x')",
        "from click import secho",
        "Console(stderr=True)",
        "rich.console.Console()",
        "from rich import print",
        "logging.basicConfig(stream=x)",
        "logging.StreamHandler()",
        "os.write(2, b'x')",
        "open('/dev/tty', 'w')",
        "traceback.print_exc()",
        "warnings.warn('x')",
    ],
)
def test_each_way_would_be_seen(line):
    assert list(writes(ast.parse(line)))


def test_what_is_harmless_is_not_seen():
    harmless = "console.print(x)\nsys.stdin.isatty()\nclick.option('-v')\nsubprocess.run(stdout=x)"
    assert list(writes(ast.parse(harmless))) == []


def test_there_is_something_to_look_at():
    assert len(FILES) > 150
