"""What people read: grouped, escaped, and with the next thing to do."""

import io

import pytest
from making import CANARY
from reports import FILE, RELOAD, everything, failed, host, planned, report
from rich.console import Console

from regfleet.plan.model import Change, Plan
from regfleet.report import text
from regfleet.smoke.outcome import Check


def shown(render, *args, **settings):
    stream = io.StringIO()
    render(*args[:1], Console(file=stream, width=200), *args[1:], **settings)
    return stream.getvalue()


def test_hosts_with_the_same_changes_stand_together():
    said = shown(text.plan, report(planned("web1"), planned("web2"), planned("web3", (RELOAD,))))
    assert said.splitlines()[:5] == [
        "web1, web2, web3",
        "  + daemon.json registry-mirrors [reload]  client.build.mirrors",
        "web1, web2",
        "  ~ file /etc/x  client.build.registries",
        "Plan: 5 changes on 3 of 3 hosts.",
    ]


def test_many_hosts_are_counted():
    said = shown(text.plan, report(*[planned(f"web{n}") for n in range(9)]))
    assert said.splitlines()[0] == "web0, web1, web2, web3, web4 and 4 more"


@pytest.mark.parametrize(("action", "sign"), [("create", "+"), ("update", "~"), ("delete", "-"),
                                              ("run", ">")])  # fmt: skip
def test_signs(action, sign):
    said = shown(text.plan, report(planned(changes=(Change("x", action, "why"),))))
    assert said.splitlines()[1] == f"  {sign} x  why"


@pytest.mark.parametrize("diff", [True, False])
def test_a_diff_only_when_asked_for(diff):
    said = shown(text.plan, report(planned(changes=(FILE,))), diff=diff)
    assert ("      -old\n      +new\n" in said) is diff


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ([failed()], "Plan: no host could be looked at."),
        ([planned(changes=())], "Plan: nothing to do on 1 host."),
        ([planned(changes=()), failed("web2")], "Plan: nothing to do on 1 host."),
        ([planned(changes=(FILE,)), planned("web2", ())], "Plan: 1 change on 1 of 2 hosts."),
    ],
)
def test_the_sum(hosts, said):
    assert said in shown(text.plan, report(*hosts)).splitlines()


RESTART = Change("daemon.json data-root", "create", "why", "restart")
IMPACT = [
    ([], "Impact: no engine is reloaded or restarted."),
    ([Plan("a", (FILE,))], "Impact: no engine is reloaded or restarted."),
    ([Plan("a", (RELOAD,))], "Impact: 1 host: the engine reloads, no container stops."),
    (
        [Plan("a", (RELOAD,)), Plan("b", (RELOAD,))],
        "Impact: 2 hosts: the engine reloads, no container stops.",
    ),
    (
        [Plan("a", (RESTART,), running=3, live_restore=True)],
        "Impact: 1 host: the engine restarts, no container stops.",
    ),
    (
        [Plan("a", (RESTART,), running=3), Plan("b", (RESTART, RELOAD), running=2)],
        "Impact: 2 hosts: the engine restarts, 5 running containers stop",
    ),
]


@pytest.mark.parametrize(("plans", "said"), IMPACT)
def test_the_impact(plans, said):
    assert text.impact(plans).startswith(said)


def test_errors_that_hosts_share_stand_together():
    said = shown(text.errors, report(failed("web1"), failed("web2"), failed("web3", "other")))
    assert said.splitlines() == [
        "failed web1, web2: it broke",
        "  hint: mend it",
        "failed web3: other",
        "  hint: mend it",
    ]


def test_a_run_that_went_well():
    made = report(
        host(status="changed", checks=(Check("main/push", "passed"), Check("a/b", "skipped"))),
        host("web2"),
    )
    assert shown(text.summary, made, "regfleet apply f.toml").splitlines() == [
        "smoke web1: 1 passed, 1 skipped",
        "Done: 1 changed, 1 unchanged",
    ]


def test_a_run_that_did_not_says_what_to_type_next():
    said = shown(text.summary, everything(), "regfleet apply acme.toml --limit gone")
    assert "  failed main/pull: no route" in said.splitlines()
    assert "Not done: 2 unchanged, 2 changed, 1 unreachable" in said
    assert "`regfleet apply acme.toml --limit gone`" in said.splitlines()[-1]


@pytest.mark.parametrize("word", ["[red]", "[/]", "[bold", "a\\", "[link=x]y", "]", "[/foo]"])
def test_what_hosts_say_is_no_markup(word):
    """rich would fail on it, or hide it."""
    made = failed(f"h{word}", f"error {word} end", f"hint {word} end")
    made.plan = Plan(
        "h", (Change(f"file {word} x", "create", f"why {word} x", "none", f"+{word}"),)
    )
    made.checks = (Check(f"main{word}/push", "failed", f"detail {word} end"),)
    said = shown(text.plan, report(made), diff=True)
    said += shown(text.summary, report(made), f"again {word} end")
    for before in ("h", "error ", "hint ", "file ", "why ", "+", "main", "detail ", "again "):
        assert f"{before}{word}" in said


def test_no_secret():
    said = shown(text.plan, everything(), diff=True) + shown(text.summary, everything(), "again")
    assert CANARY not in said
    assert "(secret: not shown)" in said
    assert CANARY not in repr(everything())
