"""The fleet file that `regfleet init` writes, from the schema's descriptions and defaults."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from regfleet.fleet import toml_text
from regfleet.fleet.findings import RefusedError, Table
from regfleet.fleet.formats import check_name
from regfleet.fleet.schema import definition, schema

_WIDTH = 96
_HEAD = """\
The registries and clients that regfleet sets up. A line that begins with # and a blank explains; \
a line that begins with # and a key shows that key with its default, or with an example.

Next: regfleet validate FILE, regfleet plan FILE, regfleet apply FILE.
"""


def render_template(name: str) -> str:
    """A commented fleet file that is valid as it stands.

    Args:
        name: the fleet's name; a name that is not valid becomes `fleet`.
    """
    try:
        check_name(name)
    except RefusedError:
        name = "fleet"
    return "\n".join(_lines(name)) + "\n"


def _lines(name: str) -> Iterator[str]:
    for paragraph in _HEAD.splitlines():
        yield from _comment(paragraph)
    yield ""
    tables = schema()["properties"]
    yield from _keys(
        {key: tables[key] for key in ("version", "name")}, {"version": 1, "name": name}
    )
    yield from _table("ssh", tables["ssh"], "ssh", {})
    registry, client = definition("registry")["properties"], definition("client")["properties"]
    yield from _table(
        "registry.main", tables["registry"], "registry", {"hosts": ["registry.example.com"]}
    )
    yield from _table("registry.main.tls", registry["tls"], "tls", {})
    yield from _header("registry.main.users", registry["users"])
    yield from _comment(definition("user")["properties"]["password"]["description"])
    yield 'ci = { password = "generate" }'
    yield '#alice = { password = { env = "ALICE_PASSWORD" } }'
    used = {
        "hosts": client["hosts"]["examples"][0],
        "registries": ["main"],
        "login": {"main": "ci"},
    }
    yield from _table("client.build", tables["client"], "client", used)
    yield from _table("rollout", tables["rollout"], "rollout", {})
    yield from _table("smoke", tables["smoke"], "smoke", {})


def _table(header: str, subschema: Table, name: str, used: Mapping[str, Any]) -> Iterator[str]:
    yield from _header(header, subschema)
    keys = definition(name)["properties"]
    with_own_header = ("tls", "users")
    yield from _keys({key: keys[key] for key in keys if key not in with_own_header}, used)


def _header(header: str, subschema: Table) -> Iterator[str]:
    yield ""
    yield from _comment(subschema["description"])
    yield f"[{header}]"


def _keys(keys: Mapping[str, Table], used: Mapping[str, Any]) -> Iterator[str]:
    """Each key under its description; keys outside `used` are commented out."""
    for key, subschema in keys.items():
        yield from _comment(subschema["description"])
        if key in used:
            yield f"{key} = {toml_text.value(used[key])}"
        else:
            # An empty list or table shows nothing, so the example is written.
            default = subschema.get("default", [])
            shown = subschema["examples"][0] if default in ([], {}) else default
            yield f"#{key} = {toml_text.value(shown)}"


def _comment(text: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    ) or ["#"]
