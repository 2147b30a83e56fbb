"""How a run went: what failed where, told once, and the next command."""

import io

import pytest
from making import CANARY, fleet
from reports import everything, failed, host, report
from rich.console import Console

from regfleet.errors import InterruptedRunError, UnreachableError
from regfleet.model.checks import Check
from regfleet.report.summary_text import show_summary, show_troubles


def shown(render, *args, width=None, **settings):
    stream = io.StringIO()
    terminal = {"force_terminal": True, "color_system": None} if width else {}
    render(args[0], Console(file=stream, width=width or 80, **terminal), *args[1:], **settings)
    return stream.getvalue()


def test_errors_that_hosts_share_stand_together():
    said = shown(show_troubles, report(failed("web1"), failed("web2"), failed("web3", "other")))
    assert said.splitlines() == [
        "failed web1, web2: it broke",
        "  hint: mend it",
        "failed web3: other",
        "  hint: mend it",
    ]


def test_errors_that_differ_by_the_hosts_own_name_do_too():
    hosts = [
        failed(name, f"no SSH connection to ops@{name}, port 22", "is it up?", UnreachableError)
        for name in ("web1", "web2", "reg1")
    ]
    said = shown(show_troubles, report(*hosts), fleet())
    assert (
        said.splitlines()[0]
        == "unreachable web1, web2, reg1: no SSH connection to ops@HOST, port 22"
    )


def test_the_worst_comes_first():
    hosts = [
        host("later", status="skipped", error="not touched: back rolled back"),
        failed("gone", "no connection", "", UnreachableError),
        host("back", status="rolled-back", error="the port is taken"),
        host("tested", status="changed", checks=(Check("main/pull", "failed", "no route"),)),
        failed("broken"),
    ]
    said = shown(show_troubles, report(*hosts)).splitlines()
    assert [line.split(":")[0] for line in said if not line.startswith(" ")] == [
        "failed broken",
        "rolled-back back",
        "unreachable gone",
        "skipped later",
        "smoke test failed tested",
    ]
    assert "smoke test failed tested: main/pull: no route" in said


def test_checks_that_failed_for_one_reason_are_told_once():
    why = "nobody listens"
    checks = tuple(Check(f"main/{name}", "failed", why) for name in ("push", "pull", "run"))
    hosts = [
        host("web1", checks=checks),
        host("web2", checks=checks),
        host("web3", checks=(*checks[:1], Check("main/pull", "failed", "another"))),
        host("web4", checks=(Check("main/push", "failed"), Check("main/pull", "failed"))),
    ]
    assert shown(show_troubles, report(*hosts)).splitlines() == [
        "smoke test failed web[1:3]: main/push: nobody listens",
        "smoke test failed web1, web2: main/pull, main/run: nobody listens",
        "smoke test failed web3: main/pull: another",
        "smoke test failed web4: main/push",
        "smoke test failed web4: main/pull",
    ]


def test_a_run_that_went_well():
    made = report(
        host(status="changed", checks=(Check("main/push", "passed"), Check("a/b", "skipped"))),
        host("web2"),
    )
    assert shown(show_summary, made, again="x", seconds=102).splitlines() == [
        "smoke web1: 1 passed, 1 skipped",
        "Done in 1:42: 1 changed, 1 unchanged",
    ]


def test_why_checks_were_skipped_is_told_once_for_all_hosts():
    hosts = [
        host(
            name,
            checks=(
                Check("main/present", "passed"),
                Check("main/push", "skipped", f"{name} declares no login to main"),
                Check("main/pull", "skipped", f"{name} declares no login to main"),
                Check("b/run", "skipped", "pull failed"),
            ),
        )
        for name in ("web1", "web2")
    ]
    assert shown(show_summary, report(*hosts), again="x").splitlines()[0] == (
        "smoke web1, web2: 1 passed, 3 skipped (declares no login to main)"
    )


def test_hosts_with_as_many_checks_are_one_line():
    check = (Check("main/push", "passed"),)
    hosts = [host(f"web{number}", status="changed", checks=check) for number in range(1, 1001)]
    assert shown(show_summary, report(*hosts), again="x").splitlines() == [
        "smoke web[1:1000]: 1 passed",
        "Done: 1000 changed",
    ]


def test_a_thousand_failures_of_one_kind_are_a_few_lines():
    hosts = [failed(f"web{number}") for number in range(1000)]
    said = shown(show_summary, report(*hosts), again="regfleet apply f.toml")
    assert said.splitlines() == [
        "failed web[0:999]: it broke",
        "  hint: mend it",
        "Not done: 1000 failed",
        "Next: fix the above, then (what is done stays done):",
        "  regfleet apply f.toml",
    ]


def test_the_next_command_is_in_one_piece():
    again = f"regfleet apply acme.toml --limit {','.join(f'host{n * n}' for n in range(20))}"
    for width in (None, 40):
        assert (
            shown(show_summary, everything(), again=again, width=width).splitlines()[-1]
            == f"  {again}"
        )


def test_an_interrupted_run_has_nothing_to_mend():
    later = host("web2")
    later.fail(InterruptedRunError("web2"))
    made = report(host("web1", status="changed", untested=True), later)
    said = shown(show_summary, made, again="regfleet apply f.toml").splitlines()
    assert "note web1: changed, and not smoke-tested" in said
    assert said[-2] == "Next: go on with (what is done stays done):"
    made.hosts["web1"].checks = (Check("main/push", "passed"),)
    said = shown(show_summary, made, again="regfleet apply f.toml")
    assert "note web1: changed, and the smoke test was interrupted" in said


def test_everything_is_counted():
    said = shown(show_summary, everything(), again="x")
    assert (
        "Not done: 2 changed, 2 unchanged, 1 rolled-back, 1 failed, 1 unreachable, 1 skipped; "
        "the smoke test failed on 1 host" in said
    )
    assert "note changed: the engine is restarted" in said
    assert CANARY not in said


@pytest.mark.parametrize("width", [40, 80])
def test_lines_fit_the_terminal(width):
    made = report(failed("web1", "word " * 60, "a-long-path/ " * 20))
    lines = shown(show_summary, made, again="x", width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[1].startswith("  word")


@pytest.mark.parametrize("word", ["[red]", "[/]", "a\\", "\x1b[2J", "\x9b1m", "\ud800"])
def test_what_hosts_say_is_text(word):
    made = failed(f"h{word}", f"error {word} end", f"hint {word} end")
    made.checks = (Check(f"main{word}/push", "failed", f"detail {word} end"),)
    made.notes = (f"note {word} end",)
    said = shown(show_summary, report(made), again="x")
    said.encode()
    plain = word.isprintable()
    for before in ("h", "error ", "hint ", "main", "detail ", "note "):
        assert (f"{before}{word}" in said) is plain
    assert "end" in said
