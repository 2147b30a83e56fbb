"""The second stage: checks the document against the schema."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.validators import extend

from regfleet.fleet import wording
from regfleet.fleet.findings import Finding, RefusedError, Table
from regfleet.fleet.formats import FORMATS
from regfleet.fleet.schema import schema


def validate(document: Table) -> list[Finding]:
    """Everything in a document that the schema does not allow."""
    errors = [wording.parse_error(error) for error in _validator().iter_errors(document)]
    # A value of the wrong type gets no further findings. A pattern is for editors: a format
    # beside it says the same in words.
    mistyped = {error.place for error in errors if error.keyword == "type"}
    worded = {error.place for error in errors if error.keyword == "format"}
    found: dict[Finding, None] = {}
    for error in errors:
        if error.place in mistyped and error.keyword != "type":
            continue
        if error.place in worded and error.keyword == "pattern":
            continue
        found.update(dict.fromkeys(wording.findings(error)))
    return list(found)


def without(document: Table, findings: list[Finding]) -> Table:
    """A copy with None in each place that has a finding, so that the rest can be checked."""
    whole: dict[str, Any] = {"document": _copy(document)}
    for finding in findings:
        inner: Any = whole
        steps: list[Any] = ["document", *finding.place]
        for step in steps[:-1]:
            inner = _child(inner, step)
        if isinstance(inner, (dict, list)):
            inner[steps[-1]] = None
    sound: Table = whole["document"] or {}
    return sound


def _copy(item: Any) -> Any:  # noqa: ANN401  a document's values are of every type
    if isinstance(item, dict):
        return {key: _copy(child) for key, child in item.items()}
    if isinstance(item, list):
        return [_copy(child) for child in item]
    return item


def _child(item: Any, step: Any) -> Any:  # noqa: ANN401  same
    """The value at a step, or None when another finding has removed it."""
    if isinstance(item, dict):
        return item.get(step)
    return item[step] if isinstance(item, list) else None


@functools.cache
def _validator() -> Draft202012Validator:
    formats = FormatChecker(formats=())
    for name, check in FORMATS.items():
        formats.checks(name, raises=RefusedError)(_as_format(check))
    # JSON Schema takes 1.0 for an integer; in TOML it is a float.
    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, item: isinstance(item, int) and not isinstance(item, bool)
    )
    strict: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]  # its stub
        Draft202012Validator, type_checker=types
    )
    return strict(schema(), format_checker=formats)


def _as_format(check: Callable[[str], None]) -> Callable[[object], bool]:
    """A format check as jsonschema calls it: takes any value, returns True unless it raises."""

    def passes(item: object) -> bool:
        if isinstance(item, str):
            check(item)
        return True

    return passes
