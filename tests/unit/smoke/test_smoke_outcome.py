"""From a client's lines to checks; and what the smoke test's own functions say."""

import pytest
import shells
from hypothesis import given
from hypothesis import strategies as st

from regfleet.model.checks import Check
from regfleet.shell import frame
from regfleet.smoke import render
from regfleet.smoke.outcome import STEPS, parse, pushed_digest

MARK = "run-1"
BEGIN, END = f"@begin {MARK}", f"@end {MARK}"
DIGEST = f"sha256:{'ab' * 32}"
CUT_OFF = "the test was cut off: the connection broke, or the host ended it"
LINES = {
    "nothing": ([], ()),
    "no check": ([END], ()),
    "passed": (["@check main push passed", END], (Check("main/push", "passed"),)),
    "with a detail": (
        [f"@check main push passed {DIGEST}", END], (Check("main/push", "passed", DIGEST),),
    ),
    "with a space behind": (["@check main push passed ", END], (Check("main/push", "passed"),)),
    "a detail of many words": (
        ["@check main push failed no such  host", END, "@exit 0"],
        (Check("main/push", "failed", "no such  host"),),
    ),
    "two registries": (
        ["@check a run passed", "@check b run skipped push failed", END],
        (Check("a/run", "passed"), Check("b/run", "skipped", "push failed")),
    ),
    "other lines": (["x", "", "@other", "@checks a b passed", "@check a run passed", END],
                    (Check("a/run", "passed"),)),
    "no verdict": (["@check a run maybe", "@check a run", "@check", END], ()),
    "cut off": (
        ["@check main present passed", "@check main push passed", "@exit 137"],
        (
            Check("main/present", "passed"), Check("main/push", "passed"),
            Check("main/end", "failed", CUT_OFF),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_checks(name):
    lines, expected = LINES[name]
    assert parse([BEGIN, *lines], MARK, ()) == expected


@given(st.lists(st.text("@ chekpassdfil/", max_size=20)))
def test_any_lines(lines):
    for check in parse([BEGIN, *lines], MARK, ()):
        assert check.verdict in {"passed", "failed", "skipped"}


def test_what_stands_outside_the_frame_is_noise():
    """Such as the greeting of root's shell, or of another run."""
    noise = ["@check main push failed no", "@end run-2", "motd"]
    passed = [f"@check main {step} passed" for step in STEPS]
    found = parse([*noise, BEGIN, *passed, END, *noise], MARK, ["main"])
    assert [(check.name, check.verdict) for check in found] == [
        (f"main/{step}", "passed") for step in STEPS
    ]
    assert parse([*noise, *passed, END], MARK, ["main"]) == ()


def test_a_check_of_which_nothing_was_said_has_failed():
    """Six of seven that passed are no success."""
    passed = [f"@check main {step} passed" for step in STEPS if step != "digest"]
    found = parse([BEGIN, *passed, END], MARK, ["main"])
    assert [check for check in found if check.verdict != "passed"] == [
        Check("main/digest", "failed", "the host did not report this check")
    ]


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ([], None),
        ([Check("main/push", "passed", DIGEST)], DIGEST),
        ([Check("main/push", "passed", "")], None),
        ([Check("main/push", "failed", "denied")], None),
        ([Check("other/push", "passed", DIGEST)], None),
        ([Check("main/pull", "passed", DIGEST)], None),
    ],
)
def test_the_digest_that_was_pushed(checks, expected):
    assert pushed_digest(checks, "main") == expected


# ---- the shell's side ----

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
ABSENT = 'bring() { said="no such image"; return 1; }'


def said(shell, *calls):
    program = "\n".join([render.program("docker"), frame.begin(MARK), *calls, frame.end(MARK), ""])
    return parse(shells.lines(shell, program), MARK, ())


@EVERY_SHELL
@pytest.mark.parametrize("at", range(len(STEPS)))
def test_what_comes_behind_a_failed_check_is_skipped(shell, at):
    failing = STEPS[at]
    found = said(shell, "name=main", f"failed {failing} why")
    assert found == (
        Check(f"main/{failing}", "failed", "why"),
        *(Check(f"main/{each}", "skipped", f"{failing} failed") for each in STEPS[at + 1 :]),
    )


@EVERY_SHELL
def test_each_check_has_one_verdict_where_the_image_cannot_be_had(shell):
    calls = [f"registry {name} e r t image '' ''" for name in ("one", "two", "three")]
    found = said(shell, ABSENT, *calls)
    assert [check.name for check in found] == [
        f"{name}/{step}" for name in ("one", "two", "three") for step in STEPS
    ]
    assert [check.verdict for check in found] == ["failed", *["skipped"] * 5] * 3


PULLS = 'docker_kept() { [ "$1" != broken ]; }; docker_remove() { :; }'
PULL_ONLY = "pull_only main e r t {account} '{digests}' 'ci may only pull in a'"


@EVERY_SHELL
@pytest.mark.parametrize(
    ("account", "pull", "digests", "verdicts"),
    [
        ("root", "pulled=sha256:b", "sha256:a sha256:b", ["passed", "passed", "skipped"]),
        ("root", "pulled=sha256:c", "sha256:a sha256:b", ["passed", "failed", "skipped"]),
        ("root", ":", "sha256:a", ["passed", "failed", "skipped"]),
        ("root", "said=no; return 1", "sha256:a", ["failed", "skipped", "skipped"]),
        ("broken", "pulled=sha256:a", "sha256:a", ["failed", "skipped", "skipped"]),
    ],
)
def test_a_client_that_may_only_pull(shell, account, pull, digests, verdicts):
    call = PULL_ONLY.format(account=account, digests=digests)
    found = said(shell, PULLS, f"docker_pull() {{ {pull}; }}", "engine=docker", call)
    assert [check.name for check in found] == [f"main/{step}" for step in STEPS]
    assert [check.verdict for check in found] == ["skipped"] * 3 + verdicts
    assert [check.detail for check in found[:3]] == ["ci may only pull in a"] * 3


@EVERY_SHELL
def test_a_reason_stays_on_one_line(shell):
    (check, *_) = said(shell, "name=main", "failed run \"$(printf 'a\\n@check x y passed\\tb')\"")
    assert check == Check("main/run", "failed", "a @check x y passed b")
