"""The document of `doctor --json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from regfleet.doctor.causes import Recognised, fill
from regfleet.doctor.diagnose import Diagnosis
from regfleet.fleet.values import Json
from regfleet.report.resource_text import found_text
from regfleet.report.status_json import printable

VERSION = 1


def document(diagnosis: Diagnosis) -> str:
    """A diagnosis as JSON; null for unknown or absent."""
    found: dict[str, Json] = {
        "version": VERSION,
        "fleet": diagnosis.fleet,
        "hosts": list(diagnosis.hosts),
        "examined": list(diagnosis.reached),
        "registries": list(diagnosis.registries),
        "findings": [
            {
                "cause": each.cause,
                "title": each.title,
                "hosts": list(each.hosts),
                "registry": each.registry or None,
                "found": found_text(each),
                "said": each.said or None,
                "felt_by": list(each.felt_by),
                "means": each.means,
                "check": list(each.check),
                "fix": list(each.fix),
            }
            for each in diagnosis.findings
        ],
        "not_checked": list(diagnosis.notes),
        "ok": diagnosis.ok,
    }
    return printable(found)


def explanation(found: Sequence[Recognised], values: Mapping[str, str]) -> str:
    """The causes of a pasted error, as JSON."""

    def one(each: Recognised) -> Json:
        known, cause = {**values, **each.values}, each.cause
        return {
            "cause": cause.name,
            "title": fill(cause.title, known),
            "said": each.fragment,
            "means": fill(cause.means, known),
            "check": [fill(line, known) for line in cause.check],
            "fix": [fill(line, known) for line in cause.fix],
            "by_hand": [fill(line, known) for line in cause.by_hand],
        }

    return printable({"version": VERSION, "explanations": [one(each) for each in found]})
