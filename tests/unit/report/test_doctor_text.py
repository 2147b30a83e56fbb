"""A diagnosis as people and programs read it."""

import io
import json
import re

import pytest
from rich.console import Console

from regfleet.doctor.causes import explain
from regfleet.doctor.diagnose import Diagnosis
from regfleet.doctor.finding import Finding
from regfleet.report import doctor_json, doctor_text

FINDING = Finding(
    cause="ca-missing",
    title="the CA of reg:5000 is missing on web1",
    hosts=("web1",),
    registry="main",
    found="/etc/docker/certs.d/reg:5000/ca.crt is not there",
    said="x509: [unknown] authority",
    means="certs.d has no file with the CA there, so the engine trusts it no more than a stranger.",
    check=("$ ls -l /x    # on web1",),
    fix=("write this, then apply:", 'tls = { source = "none" }', "$ regfleet apply fleet.toml"),
    felt_by=(),
)
ESCAPES = re.compile("\x1b\\[[0-9;]*m")


def diagnosis(*findings, **changes):
    settings = {"hosts": ("web1", "web2"), "reached": ("web1", "web2"), "registries": ("main",)}
    return Diagnosis("acme", findings, **{**settings, **changes})


def said(found, width=100, terminal=False, **settings):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal, no_color=True)
    doctor_text.render(found, console, **settings)
    return ESCAPES.sub("", stream.getvalue())


def test_a_finding_in_its_parts():
    means = FINDING.means
    assert said(diagnosis(FINDING)).splitlines() == [
        "1. the CA of reg:5000 is missing on web1",
        "   where   web1, registry main",
        "   found   /etc/docker/certs.d/reg:5000/ca.crt is not there",
        "   said    x509: [unknown] authority",
        f"   means   {means}",
        "   fix     write this, then apply:",
        '           tls = { source = "none" }',
        "           $ regfleet apply fleet.toml",
        "",
        "1 finding on 2 hosts and 1 registry examined.",
        "Fix it, then run this again.",
    ]


def test_how_to_see_it_for_oneself():
    assert "   check   $ ls -l /x    # on web1\n" in said(diagnosis(FINDING), verbose=True)


def test_a_narrow_terminal_folds_prose_and_no_command():
    lines = said(diagnosis(FINDING), width=50, terminal=True).splitlines()
    prose = [line for line in lines if "certs.d has no" in line]
    assert len(prose[0]) <= 50
    assert "           $ regfleet apply fleet.toml" in lines
    wordy = Finding(**{**as_dict(FINDING), "means": f"it has `a = 1`; {FINDING.means}"})
    lines = said(diagnosis(wordy), width=50, terminal=True).splitlines()
    assert max(len(line) for line in lines if "it has" in line or "stranger" in line) <= 50


def test_nothing_found_says_what_was_looked_at():
    text = said(diagnosis())
    assert text.startswith("Nothing found: 2 hosts and 1 registry examined: SSH, clocks,")


def test_what_was_not_checked_is_said():
    text = said(diagnosis(notes=("main was not asked",), reached=("web1",)))
    assert "not checked: main was not asked\n" in text
    text = said(diagnosis(FINDING, FINDING, reached=("web1",)))
    assert "2 findings on 1 host and 1 registry examined (1 host could not be).\n" in text


def test_many_hosts_are_counted():
    names = tuple(f"web{n}" for n in range(50))
    text = said(diagnosis(Finding(**{**as_dict(FINDING), "hosts": names, "felt_by": names})))
    assert "web10 and 39 more" in text
    assert "felt by web0" in text


def as_dict(finding):
    return {name: getattr(finding, name) for name in Finding.__slots__}


def test_no_escapes_where_there_is_no_terminal():
    stream = io.StringIO()
    doctor_text.render(diagnosis(FINDING), Console(file=stream))
    assert "\x1b" not in stream.getvalue()


def test_the_document():
    found = json.loads(doctor_json.document(diagnosis(FINDING, notes=("a note",))))
    (finding,) = found.pop("findings")
    assert found == {
        "version": 1,
        "fleet": "acme",
        "hosts": ["web1", "web2"],
        "examined": ["web1", "web2"],
        "registries": ["main"],
        "not_checked": ["a note"],
        "ok": False,
    }
    assert finding["registry"] == "main"
    assert finding["said"] == FINDING.said
    assert finding["fix"][-1] == "$ regfleet apply fleet.toml"
    assert json.loads(doctor_json.document(diagnosis()))["ok"] is True


@pytest.mark.parametrize("as_json", [False, True])
def test_an_explanation(as_json):
    found = explain('Get "https://reg.example:5000/v2/": no basic auth credentials')
    values = {"file": "fleet.toml", "limit": ""}
    if as_json:
        (one,) = json.loads(doctor_json.explanation(found, values))["explanations"]
        assert one["by_hand"] == ["$ docker login reg.example:5000"]
        assert one["cause"] == "not-logged-in"
        return
    stream = io.StringIO()
    doctor_text.explanation(found, values, Console(file=stream, width=100))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "reg.example:5000 requires a login, and this account has none"
    assert "   said    no basic auth credentials" in lines
    assert "   by hand $ docker login reg.example:5000" in lines
