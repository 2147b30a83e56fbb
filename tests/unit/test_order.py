"""The order of the packages: what stands in one line imports from the lines above it alone.

Read from the source, imports inside functions included. A module that a command imports by its
name (cli/app.py) is not seen here; the command line stands last anyway.
"""

import ast
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "regfleet"

ORDER = (
    "clocks local_command secret state_paths terminal",
    "errors",
    "given_files resources seed shell state",
    "fleet kept",
    "archives backup_state htpasswd http_proxy members passwords pki record roles unproven",
    "model",
    "documents journal materials promotions registry_api timers",
    "gateway image_work replication services",
    "engines runtimes",
    "desired look",
    "plan smoke touch",
    "jobs retention ssh",
    "run",
    "doctor inventory",
    "report",
    "deploy rehearse",
    "cli",
    "__main__",
)
LEVEL = {name: level for level, line in enumerate(ORDER) for name in line.split()}


def imports():
    """Triples of file, its package and a package that it imports from."""
    for file in sorted(SOURCE.rglob("*.py")):
        inside = file.relative_to(SOURCE)
        own = inside.parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{each.name}" for each in node.names]
            elif isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            else:
                continue
            for name in names:
                parts = name.split(".")
                if parts[0] == "regfleet" and len(parts) > 1 and parts[1] != own:
                    yield str(inside), own, parts[1]


def test_every_package_has_a_place():
    there = {file.relative_to(SOURCE).parts[0].removesuffix(".py") for file in SOURCE.rglob("*.py")}
    assert there - {"__init__"} == set(LEVEL)


def test_nothing_imports_from_its_own_line_or_one_below():
    back = [
        f"{file}: {other}"
        for file, own, other in imports()
        if own != "__init__" and other != "__version__" and LEVEL[other] >= LEVEL[own]
    ]
    assert back == []
