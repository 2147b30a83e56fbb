"""docs/json.md shows what is printed, to the letter."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from reports import RELOAD, host, planned, report

from regfleet import errors
from regfleet.errors import UsageError
from regfleet.model.checks import Check
from regfleet.report.as_json import apply_document, plan_document
from regfleet.report.error_json import error_document

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "json.md").read_text()
BLOCKS = re.findall(r"^```json\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("number", "printed"),
    [
        (
            0,
            error_document(
                UsageError(
                    "--limit wbe1: there is no such host or group in fleet.toml",
                    "did you mean web1?",
                )
            ),
        ),
        (
            1,
            plan_document(
                report(planned(changes=(replace(RELOAD, diff="-old\n+new"),))), diff=True
            ),
        ),
        (2, apply_document(report(host(status="changed", checks=(Check("main/push", "passed"),))))),
    ],
)
def test_the_examples_are_what_is_printed(number, printed):
    assert BLOCKS[number] == printed


def test_the_kinds_of_errors_are_those_of_the_page():
    of_classes = {
        each.sort
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.RegfleetError)
    }
    (sentence,) = re.findall(r"`kind` is (.*?)\.", PAGE, re.DOTALL)
    assert set(re.findall(r"`([\w-]+)`", sentence)) == of_classes
