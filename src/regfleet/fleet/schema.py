"""The second stage: the document against fleet.schema.json, and the defaults that are in it.

The schema is the single truth for keys, types and defaults. What JSON Schema says in its own
terms is said here in TOML's.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

from regfleet import resources
from regfleet.fleet import toml_text
from regfleet.fleet.findings import Finding, Place, RefusedError, Table, did_you_mean
from regfleet.fleet.formats import FORMATS

_TOML_TYPES = {
    "array": "an array",
    "boolean": "true or false",
    "integer": "an integer",
    "object": "a table",
    "string": "a string",
}
_NAMED = ("registry", "client")  # tables of tables that users name
# A secret may be there by mistake: neither a value nor the schema's example for it is shown.


@functools.cache
def schema() -> Table:
    """fleet.schema.json."""
    loaded: Table = json.loads(resources.path("fleet.schema.json").read_text("utf-8"))
    return loaded


def resolved(subschema: Table) -> Table:
    """A subschema with what its `$ref` points at merged under its own keys."""
    if "$ref" not in subschema:
        return subschema
    return {**schema()["$defs"][subschema["$ref"].removeprefix("#/$defs/")], **subschema}


def defaults(definition: str) -> dict[str, Any]:
    """The defaults of one of the schema's `$defs`, by key; keys without one are left out."""
    properties = schema()["$defs"][definition]["properties"]
    return {key: each["default"] for key, each in properties.items() if "default" in each}


def check(document: Table) -> list[Finding]:
    """Everything in a document that the schema does not allow."""
    errors = list(_validator().iter_errors(document))
    spoken_for = {_place(error) for error in errors if error.validator == "format"}
    found: dict[Finding, None] = {}
    for error in errors:
        if error.validator == "pattern" and _place(error) in spoken_for:
            continue  # the pattern is for editors, the format says it in words
        found.update(dict.fromkeys(_findings(error)))
    return list(found)


def without(document: Table, findings: list[Finding]) -> Table:
    """The document with None in each place that has a finding, so that the rest can be checked."""
    whole: dict[str, Any] = {"": json_like(document)}
    for finding in findings:
        inner: Any = whole
        *way, last = ("", *finding.place)
        for step in way:
            inner = _at(inner, step)
        if isinstance(inner, dict) or (isinstance(inner, list) and isinstance(last, int)):
            inner[last] = None
    pruned: Table = whole[""] or {}
    return pruned


def json_like(item: Any) -> Any:  # noqa: ANN401  the document's values are of every type
    """A copy of a value's tables and arrays; the leaves are the same."""
    if isinstance(item, dict):
        return {key: json_like(child) for key, child in item.items()}
    if isinstance(item, list):
        return [json_like(child) for child in item]
    return item


def _at(item: object, step: str | int) -> object:
    if isinstance(item, dict):
        return item.get(step)
    if isinstance(item, list) and isinstance(step, int):
        return item[step]
    return None


@functools.cache
def _validator() -> Draft202012Validator:
    formats = FormatChecker(formats=())
    for name, refuse in FORMATS.items():
        formats.checks(name, raises=RefusedError)(_predicate(refuse))
    # JSON Schema takes 1.0 for an integer; in TOML it is a float.
    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, item: isinstance(item, int) and not isinstance(item, bool)
    )
    validator: Draft202012Validator = extend(Draft202012Validator, type_checker=types)(
        schema(), format_checker=formats
    )
    return validator


def _predicate(refuse: Callable[[str], None]) -> Callable[[object], bool]:
    def allowed(item: object) -> bool:
        if isinstance(item, str):
            refuse(item)
        return True

    return allowed


def _place(error: ValidationError) -> Place:
    place: Place = tuple(error.absolute_path)
    # An error in a key's name is at the table to jsonschema, with the key as the instance.
    return (*place, str(error.instance)) if "propertyNames" in error.absolute_schema_path else place


def _findings(error: ValidationError) -> Iterator[Finding]:
    place = _place(error)
    here: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    limit, found = error.validator_value, error.instance
    match error.validator:
        case "additionalProperties":
            known = here.get("properties", {})
            for key in found.keys() - known.keys():
                hint = did_you_mean(key, known, f"known here: {', '.join(known)}")
                yield Finding((*place, key), "is not a known key", hint)
        case "required":
            for key in limit:
                if key not in found:
                    example = resolved(here["properties"][key])["examples"][0]
                    hint = f"for example: {toml_text.key(key)} = {toml_text.value(example)}"
                    yield Finding((*place, key), "is missing", hint)
        case "type":
            yield Finding(place, _wrong_type(limit, found), _type_hint(place, limit, found, here))
        case "enum":
            allowed = ", ".join(map(toml_text.value, limit))
            word = found if isinstance(found, str) else ""
            yield Finding(place, f"must be one of {allowed}", did_you_mean(word, limit))
        case "const":
            yield Finding(place, f"must be {toml_text.value(limit)}, not {_number(found)}")
        case "minimum":
            yield Finding(place, f"must be {limit} or more, not {_number(found)}")
        case "maximum":
            yield Finding(place, f"must be {limit} or less, not {_number(found)}")
        case "minItems":
            yield Finding(place, "must not be empty", _example(here))
        case "minProperties" | "maxProperties":
            keys = ", ".join(here.get("properties", {}))
            yield Finding(place, f"must have exactly one of {keys}")
        case "format" if isinstance(error.cause, RefusedError):
            yield Finding(place, error.cause.message, error.cause.hint)
        case _:  # a keyword that the schema does not use today
            yield Finding(place, f"is refused by the schema's {error.validator}")


def _wrong_type(expected: str | list[str], found: object) -> str:
    types = [expected] if isinstance(expected, str) else expected
    return f"must be {' or '.join(_TOML_TYPES[each] for each in types)}, not {_described(found)}"


def _described(found: object) -> str:
    if isinstance(found, list) and found and all(isinstance(item, dict) for item in found):
        return "an array of tables"
    return toml_text.type_name(found)


def _type_hint(
    place: Place, expected: str | list[str], found: object, here: Mapping[str, Any]
) -> str:
    section = place[0] if place else ""
    if len(place) == 2 and section in _NAMED:  # noqa: PLR2004  [registry.NAME]
        if isinstance(found, list) and _described(found) == "an array of tables":
            return f"write [{toml_text.place(place)}], in single brackets"
        if place[1] in schema()["$defs"][str(section)]["properties"]:
            return f"is the name missing? write [{section}.NAME], and {place[1]} under it"
    if expected == "integer" and isinstance(found, str) and found.isascii() and found.isdigit():
        return f"write {toml_text.shown(found)[1:-1]}, without quotes"
    if expected == "boolean" and found in ("true", "false"):
        return f"write {found}, without quotes"
    if expected == "array":
        return f"put it in brackets{'; ' if (example := _example(here)) else ''}{example}"
    return _example(here)


def _example(here: Mapping[str, Any]) -> str:
    return f"for example: {toml_text.value(here['examples'][0])}" if "examples" in here else ""


def _number(found: object) -> str:
    return toml_text.value(found) if isinstance(found, (int, float)) else toml_text.type_name(found)
