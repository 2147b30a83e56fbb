"""What people and programs get to see of a rehearsal."""

import io
import json

import pytest
from rich.console import Console

from regfleet.errors import HostError
from regfleet.model.checks import Check
from regfleet.model.plan import Change, Plan
from regfleet.model.report import HostReport, Report
from regfleet.model.resource import Resource
from regfleet.rehearse import shown
from regfleet.rehearse.differences import Difference
from regfleet.rehearse.rehearsal import Result, Stage, staged

CHANGE = Change(Resource("file", "/etc/x"), "create", "client.build.registries")


def report(*hosts):
    return Report("acme", {host.name: host for host in hosts})


def host(name, **settings):
    return HostReport(name, plan=Plan(name, settings.pop("changes", ())), **settings)


def checks(**verdicts):
    return tuple(Check(f"main/{name}", verdict, f"{name} detail") for name, verdict in
                 verdicts.items())  # fmt: skip


def well():
    passed = checks(push="passed", pull="passed")
    return Result(
        "acme",
        [Stage("apply", "3 changed", 12.345), Stage("again", "nothing to do", 1.0)],
        {"web1": "bookworm", "web2": "sid"},
        {"web1": "20.10.24"},
        report(
            host("web1", status="changed", changes=(CHANGE,), checks=passed),
            host("web2", status="changed", changes=(CHANGE,), checks=passed),
        ),
        report(host("web1"), host("web2")),
        report(host("web1", status="changed"), host("web2", status="changed")),
        {},
        (Difference("hosts", "9 left out"), Difference("hosts", "more"), Difference("SSH", "keys")),
    )


def text(result, width=None, **options):
    out = io.StringIO()
    shown.render(result, Console(file=out, width=width, force_terminal=bool(width)), **options)
    return out.getvalue()


def test_the_plan_is_shown_when_asked_for():
    assert "+ file /etc/x" in text(well(), plan=True)
    assert "+ file /etc/x" not in text(well())


def test_hosts_with_the_same_checks_are_told_once():
    assert "  web1, web2\n    passed  main: push, pull\n" in text(well())


def test_topics_are_told_once():
    lines = text(well()).splitlines()
    start = lines.index("What this rehearsal does not show")
    assert lines[start + 1 : start + 4] == [
        "  hosts  9 left out",
        "         more",
        "  SSH    keys",
    ]


def test_a_narrow_terminal_is_respected():
    narrow = well()
    narrow.differences = (Difference("hosts", "many words " * 20),)
    assert all(len(line) < 60 + 12 for line in text(narrow, width=60).splitlines())


def test_failed_checks_come_with_their_words():
    bad = well()
    bad.applied = report(host("web1", checks=checks(push="failed", pull="skipped", tag="passed")))
    found = text(bad)
    assert "    failed  main/push: push detail\n" in found
    assert "    skipped main/pull: pull detail\n" in found
    assert "    passed  main: tag\n" in found


def test_what_went_wrong_comes_last():
    bad = well()
    bad.applied.hosts["web2"].fail(HostError("web2", "the disk is full", "make room"))
    bad.again = report(host("web1", changes=(CHANGE,)))
    bad.left = {"web1": ("left: /etc/x", "changed: /etc/y"), "web2": ("left: /etc/x",)}
    found = text(bad)
    order = [
        "What this rehearsal does not show",
        "the disk is full",
        "make room",
        "The second apply still has to do:",
        "+ file /etc/x",
        "Not as it was before:\n  web1, web2: left: /etc/x\n  web1: changed: /etc/y\n",
    ]
    places = [found.index(words) for words in order]
    assert places == sorted(places)


def test_a_host_cannot_write_on_the_terminal():
    bad = well()
    bad.left = {"web1": ("left: /etc/\x1b[2Jx",)}
    assert "\x1b" not in text(bad)


def test_the_document():
    found = json.loads(shown.document(well()))
    assert (found["version"], found["fleet"], found["ok"]) == (1, "acme", True)
    assert found["stages"][0] == {
        "name": "apply", "ok": True, "seconds": 12.3, "said": "3 changed",
    }  # fmt: skip
    assert found["hosts"]["web1"] == {
        "suite": "bookworm",
        "engine": "20.10.24",
        "status": "changed",
        "changes": [
            {
                "resource": "file /etc/x",
                "action": "create",
                "reason": "client.build.registries",
                "activation": "none",
                "drift": False,
                "impact": None,
            }
        ],
        "error": None,
        "smoke": {"main/push": "passed", "main/pull": "passed"},
        "again": [],
        "left": [],
    }
    assert found["hosts"]["web2"]["engine"] is None
    assert found["not_shown"][0] == {"topic": "hosts", "text": "9 left out"}


def test_what_was_not_come_to_is_null_in_the_document():
    early = Result("acme", [Stage("images", ok=False)], {"web1": "sid"})
    assert json.loads(shown.document(early)) == {
        "version": 1,
        "fleet": "acme",
        "stages": [{"name": "images", "ok": False, "seconds": 0.0, "said": ""}],
        "hosts": {"web1": {"suite": "sid", "engine": None, "again": None, "left": None}},
        "not_shown": [],
        "ok": False,
    }


@pytest.mark.parametrize(
    ("error", "said"), [(HostError("a", "b"), "see below"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_stage_that_is_left_by_an_error_is_not_well(error, said):
    result, out = Result("acme"), io.StringIO()
    told = shown.Told(Console(file=out), verbose=False)

    def run():
        with staged(result, told, "hosts"):
            told.line("not to be seen")
            raise error

    with pytest.raises(type(error)):
        run()
    assert result.ok is False
    assert out.getvalue() == f"fail hosts      0.0 s  {said}\n"


def test_verbose_tells_every_line():
    out = io.StringIO()
    told = shown.Told(Console(file=out), verbose=True)
    with staged(Result("acme"), told, "apply") as stage:
        told.line("web1: done")
        stage.said = "1 changed"
    assert out.getvalue() == "  web1: done\nok   apply      0.0 s  1 changed\n"
