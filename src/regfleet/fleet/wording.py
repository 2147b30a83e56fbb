"""Translates jsonschema's errors into findings in TOML's terms.

A message shows a value from the file only when it cannot be a misplaced password.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from jsonschema import ValidationError

from regfleet.fleet import toml_text
from regfleet.fleet.findings import Finding, Place, RefusedError, Table, did_you_mean
from regfleet.fleet.schema import definition, resolved

_EXPECTED = {
    "array": "an array",
    "boolean": "true or false",
    "integer": "an integer",
    "object": "a table",
    "string": "a string",
}
_SECTIONS = ("registry", "client")  # their tables have names: [registry.NAME]


class Error(NamedTuple):
    """A jsonschema error, typed."""

    place: Place
    keyword: str  # of the schema: `type`, `enum`, `required`
    limit: Any  # the keyword's value in the schema
    found: Any  # the value in the document
    here: Table  # the subschema that the keyword is in
    cause: RefusedError | None  # from a format


def parse_error(error: ValidationError) -> Error:
    """The parts of a jsonschema error that `findings` needs."""
    place: Place = tuple(error.absolute_path)
    # jsonschema reports a mistake in a key's name at the table, with the key as the instance.
    if "propertyNames" in error.absolute_schema_path:
        place = (*place, str(error.instance))
    cause = error.cause if isinstance(error.cause, RefusedError) else None
    here = error.schema if isinstance(error.schema, dict) else {}
    return Error(place, str(error.validator), error.validator_value, error.instance, here, cause)


def findings(error: Error) -> Iterator[Finding]:
    """The findings for an error: one for each key that it is about."""
    translate = _TRANSLATIONS.get(error.keyword)
    if translate is None:  # a keyword that the schema does not use today
        yield Finding(
            error.place, f"is refused by the schema's {error.keyword}", _example(error.here)
        )
    else:
        yield from translate(error)


def _unknown_keys(error: Error) -> Iterator[Finding]:
    known = error.here.get("properties", {})
    for key in error.found:
        if key not in known:
            hint = did_you_mean(key, known, f"known here: {', '.join(known)}")
            yield Finding((*error.place, key), "is not a known key", hint)


def _missing_keys(error: Error) -> Iterator[Finding]:
    for key in error.limit:
        if key not in error.found:
            example = resolved(error.here["properties"][key])["examples"][0]
            hint = f"for example: {toml_text.key(key)} = {toml_text.value(example)}"
            yield Finding((*error.place, key), "is missing", hint)


def _wrong_type(error: Error) -> Iterator[Finding]:
    types = [error.limit] if isinstance(error.limit, str) else error.limit
    expected = " or ".join(_EXPECTED[each] for each in types)
    message = f"must be {expected}, not {_described(error.found)}"
    yield Finding(error.place, message, _type_hint(error))


def _described(found: object) -> str:
    if isinstance(found, list) and found and all(isinstance(item, dict) for item in found):
        return "an array of tables"
    return toml_text.type_name(found)


def _type_hint(error: Error) -> str:
    expected, found = error.limit, error.found
    if expected == "integer" and isinstance(found, str) and found.isascii() and found.isdigit():
        return f"write {toml_text.shown(found)[1:-1]}, without quotes"
    if expected == "boolean" and found in ("true", "false"):
        return f"write {found}, without quotes"
    if "array" in expected:
        return "; ".join(filter(None, ("put it in brackets", _example(error.here))))
    return _section_hint(error) or _example(error.here)


def _section_hint(error: Error) -> str:
    """A hint for who wrote `[registry]` or `[[registry.main]]` instead of `[registry.main]`."""
    section, key = error.place if len(error.place) == len(("registry", "main")) else ("", "")
    if section not in _SECTIONS:
        return ""
    if _described(error.found) == "an array of tables":
        return f"write [{toml_text.place(error.place)}], in single brackets"
    if key in definition(str(section))["properties"]:
        return f"is the name missing? write [{section}.NAME], and {key} under it"
    return ""


def _not_listed(error: Error) -> Iterator[Finding]:
    allowed = ", ".join(map(toml_text.value, error.limit))
    word = error.found if isinstance(error.found, str) else ""
    yield Finding(
        error.place,
        f"must be one of {allowed}",
        did_you_mean(word, error.limit, _example(error.here)),
    )


def _exactly(error: Error) -> Iterator[Finding]:
    wanted = toml_text.value(error.limit)
    yield Finding(error.place, f"must be {wanted}, not {_number(error.found)}", f"write {wanted}")


def _at_least(error: Error) -> Iterator[Finding]:
    yield Finding(
        error.place,
        f"must be {error.limit} or more, not {_number(error.found)}",
        _example(error.here),
    )


def _at_most(error: Error) -> Iterator[Finding]:
    yield Finding(
        error.place,
        f"must be {error.limit} or less, not {_number(error.found)}",
        _example(error.here),
    )


def _empty(error: Error) -> Iterator[Finding]:
    yield Finding(error.place, "must not be empty", _example(error.here))


def _too_many(error: Error) -> Iterator[Finding]:
    yield Finding(error.place, f"must have {error.limit} items at most", _example(error.here))


def _not_one_key(error: Error) -> Iterator[Finding]:
    properties = error.here["properties"]
    key, first = next(iter(properties.items()))
    hint = f"for example: {toml_text.value({key: first['examples'][0]})}"
    yield Finding(error.place, f"must have exactly one of {', '.join(properties)}", hint)


def _refused(error: Error) -> Iterator[Finding]:
    if error.cause:
        yield Finding(error.place, error.cause.message, error.cause.hint)


def _example(here: Table) -> str:
    return f"for example: {toml_text.value(here['examples'][0])}" if "examples" in here else ""


def _number(found: object) -> str:
    return toml_text.value(found) if isinstance(found, (int, float)) else toml_text.type_name(found)


_TRANSLATIONS: Mapping[str, Callable[[Error], Iterator[Finding]]] = {
    "additionalProperties": _unknown_keys,
    "const": _exactly,
    "enum": _not_listed,
    "format": _refused,
    "maxProperties": _not_one_key,
    "maximum": _at_most,
    "maxItems": _too_many,
    "minItems": _empty,
    "minProperties": _not_one_key,
    "minimum": _at_least,
    "required": _missing_keys,
    "type": _wrong_type,
}
