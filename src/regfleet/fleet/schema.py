"""fleet.schema.json, which alone defines a fleet file's keys, types, descriptions, defaults."""

from __future__ import annotations

import functools
import json
from typing import Any

from regfleet import resources
from regfleet.fleet.findings import Table

_REFERENCE = "#/$defs/"


@functools.cache
def schema() -> Table:
    """The parsed schema."""
    parsed: Table = json.loads(resources.path("fleet.schema.json").read_text("utf-8"))
    return parsed


def definition(name: str) -> Table:
    """One of the schema's `$defs`: `ssh`, `registry`, `tls`, `client` and so on."""
    found: Table = schema()["$defs"][name]
    return found


def resolved(subschema: Table) -> Table:
    """A subschema with the keys of the definition that its `$ref` names; its own keys win."""
    reference = subschema.get("$ref")
    if reference is None:
        return subschema
    return {**definition(reference.removeprefix(_REFERENCE)), **subschema}


@functools.cache
def _defaults(name: str) -> Table:
    properties = definition(name)["properties"]
    return {key: each["default"] for key, each in properties.items() if "default" in each}


def defaults(name: str) -> dict[str, Any]:
    """The default of each key of a definition that has one."""
    return dict(_defaults(name))
