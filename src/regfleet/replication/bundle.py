"""The engine as hosts get it: its modules one after another in one file, without regfleet. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

# Each one uses only those before it. No two of them have a name of the same spelling.
MODULES = (
    "problems",
    "manifests",
    "transport",
    "client",
    "registry",
    "ledger",
    "copier",
    "policy",
    "run",
    "program",
)
HEAD = '''#!/usr/bin/env python3
"""Copy images from one registry to another: only what differs, byte for byte, again and again.

Managed by regfleet. It needs Python 3.6 or later and its standard library, nothing else.

    python3 engine.py SETTINGS.json [--dry-run]

prints one JSON document. Exit code: 0 done, 1 something failed, 2 the settings are wrong, 75 a
registry is away or another run of the same copy is at work.
"""
'''
END = """\
if __name__ == "__main__":
    sys.exit(main())
"""
_IMPORT = re.compile(
    r"^(?:import (?P<module>\S+)|from (?P<of>\S+) import (?P<names>\([^)]*\)|[^(\n]+))\n",
    re.MULTILINE,
)


@cache
def text() -> str:
    """The file."""
    folder = files("regfleet.replication.engine")
    sources = [folder.joinpath(f"{name}.py").read_text("utf-8") for name in MODULES]
    parts = [_IMPORT.sub("", source).strip("\n") for source in sources]
    return "\n\n\n".join([f"{HEAD}\n{_imports(sources)}", *parts, END])


def _imports(sources: Sequence[str]) -> str:
    """What the modules import, without what they take from one another."""
    whole: set[str] = set()
    names: dict[str, set[str]] = {}
    for source in sources:
        for found in _IMPORT.finditer(source):
            if found["module"]:
                whole.add(found["module"])
            elif not found["of"].startswith("regfleet."):
                named = found["names"].strip("()").split(",")
                names.setdefault(found["of"], set()).update(filter(None, map(str.strip, named)))
    lines = [f"import {module}" for module in sorted(whole)]
    lines += [
        f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)
    ]
    return "\n".join(lines)
