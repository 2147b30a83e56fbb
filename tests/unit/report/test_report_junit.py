"""JUnit XML: well-formed whatever hosts say, and counting what it shows."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import CANARY
from reports import everything, failed, host, report

from regfleet.model.checks import Check
from regfleet.model.report import HostReport
from regfleet.report.junit import render

any_text = st.text(st.characters(), max_size=20)


def parsed(made):
    return ET.fromstring(render(made).encode())  # noqa: S314 - our own


def test_a_suite_for_each_host_and_a_case_for_each_check():
    root = parsed(everything())
    assert root.tag == "testsuites"
    assert [suite.get("name") for suite in root] == list(everything().hosts)
    tested = root[-1]
    assert [case.get("name") for case in tested] == ["host", "main/push", "main/pull", "main/run"]
    assert [case.get("classname") for case in tested] == ["tested"] * 4
    assert [[inside.tag for inside in case] for case in tested] == [
        [], [], ["failure"], ["skipped"],
    ]  # fmt: skip
    assert tested[2][0].get("message") == "no route"


@given(
    verdicts=st.lists(st.sampled_from(["passed", "failed", "skipped"]), max_size=6),
    error=st.booleans(),
)
def test_the_counts_are_those_of_the_cases(verdicts, error):
    made = failed() if error else host()
    made.checks = tuple(Check(f"main/{n}", verdict) for n, verdict in enumerate(verdicts))
    (suite,) = parsed(report(made))
    assert int(suite.get("tests")) == len(suite.findall("testcase"))
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(count)) == len(suite.findall(f"testcase/{tag}"))


@given(any_text, any_text, any_text)
def test_whatever_a_host_says_it_is_well_formed(one, two, three):
    made = HostReport(one, "failed", error=two, hint=three)
    made.checks = (
        Check(f"{one}/push", "failed", two), Check(f"{two}/run", "skipped", three),
    )  # fmt: skip
    assert parsed(report(made)).find("testsuite/testcase/error") is not None or not two


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "red"),
        ("a\x00b\x9b", "a\ufffdb\ufffd"),
        ("\ufffe\uffff", "??"),
        ("\ud800\u202e", "\ufffd\ufffd"),
        ("a\nb\tc", "a\nb    c"),
        ("<&\"'>", "<&\"'>"),
        ("ümlaut 🦆", "ümlaut 🦆"),
    ],
)
def test_characters_that_xml_has_no_place_for(text, shown):
    (suite,) = parsed(report(failed(message=text)))
    assert suite.find("testcase/error").get("message") == shown


def test_no_secret():
    assert CANARY not in render(everything())
