"""What retention keeps, by tables and by laws."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import fleet, registry

from regfleet.errors import HostError
from regfleet.fleet.policies import Replication
from regfleet.fleet.registries import Gateway, Retention, Rule
from regfleet.model.retention import Pushed
from regfleet.retention import deployed, pushed
from regfleet.retention.decide import Deployed, doomed
from regfleet.run import pruning

DAY = 86400
NOW = 1000 * DAY
DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"
HUB = f"sha256:{'c3' * 32}"
NAMELESS = f"sha256:{'d4' * 32}"


def tag(name, days, repository="dev/app", digest=DIGEST):
    return Pushed(repository, name, digest, NOW - days * DAY)


def goes(rules, tags, held=None):
    found, kept_for = doomed(Retention(tuple(rules)), tags, held or Deployed(), NOW)
    return [each.tag.name for each in found], kept_for


TAGS = [tag("old", 90), tag("v1.0", 60), tag("middle", 20), tag("new", 1)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"keep_last": 1}, ["old", "v1.0", "middle"]),
        ({"keep_last": 4}, []),
        ({"keep_last": 9}, []),
        ({"keep_younger": 30 * DAY}, ["old", "v1.0"]),
        ({"keep_younger": 30 * DAY, "keep_tags": ("v*",)}, ["old"]),
        ({"keep_tags": ("v*", "new")}, ["old", "middle"]),
        ({"keep_last": 1, "keep_tags": ("old",)}, ["v1.0", "middle"]),
        ({"keep_deployed": True}, ["old", "v1.0", "middle", "new"]),
    ],
)
def test_what_goes(rule, expected):
    assert goes([Rule(("dev/*",), **rule)], TAGS) == (expected, "")


def test_without_a_rule_all_stays():
    assert goes([Rule(("prod/*",), keep_last=1)], TAGS) == ([], "")
    assert goes([], TAGS) == ([], "")


def test_the_first_rule_counts():
    rules = [Rule(("dev/app",), keep_last=4), Rule(("dev/*",), keep_last=1)]
    assert goes(rules, TAGS) == ([], "")
    assert goes(rules[::-1], TAGS) == (["old", "v1.0", "middle"], "")


def test_each_repository_counts_for_itself():
    tags = [tag("1", 3), tag("2", 2), tag("1", 3, "dev/other"), tag("2", 2, "dev/other")]
    found, _ = doomed(Retention((Rule(("dev/*",), keep_last=1),)), tags, Deployed(), NOW)
    assert [(each.tag.repository, each.tag.name) for each in found] == [
        ("dev/app", "1"),
        ("dev/other", "1"),
    ]


def test_signatures_do_not_count():
    signature = tag(f"sha256-{'a' * 64}.sig", 0)
    assert goes([Rule(("*",), keep_last=1)], [*TAGS, signature])[0] == ["old", "v1.0", "middle"]


def test_what_is_deployed_stays():
    rule = Rule(("*",), keep_last=1, keep_deployed=True)
    tags = [tag("1", 9), tag("2", 8, digest=OTHER), tag("3", 7, digest=OTHER), tag("4", 1)]
    by_name = Deployed(frozenset({"dev/app:2", "dev/other:1"}), frozenset())
    assert goes([rule], tags, by_name)[0] == ["1", "3"]
    by_digest = Deployed(frozenset(), frozenset({OTHER}))
    assert goes([rule], tags, by_digest)[0] == ["1"]
    unknown = Deployed(unknown="web1: it cannot be reached")
    assert goes([rule], tags, unknown) == ([], "web1: it cannot be reached")
    # A rule that does not ask for it is not held up.
    assert goes([Rule(("*",), keep_last=1)], tags, unknown) == (["1", "2", "3"], "")


def test_a_wrong_clock_takes_nobodys_place():
    """Pushed in the future or in 1970: nobody knows when, so those stay beside the last ones."""
    tags = [*TAGS, tag("future", -400), tag("1970", NOW // DAY)]
    assert goes([Rule(("*",), keep_last=2)], tags)[0] == ["old", "v1.0"]
    assert goes([Rule(("*",), keep_younger=5 * DAY)], tags)[0] == ["old", "v1.0", "middle"]


def test_what_a_promotion_keeps_takes_nobodys_place():
    """Each promotion writes these anew: they are the youngest, and were not pushed."""
    kept = [tag(f"new.rollback-{each}", 0) for each in (1, 2, 3)]
    assert goes([Rule(("*",), keep_last=3)], [*TAGS, *kept])[0] == ["old"]
    # Without their tag nobody goes back to them.
    assert goes([Rule(("*",), keep_last=3)], [*TAGS[:3], *kept])[0] == ["old", "v1.0", "middle"]


def test_what_cannot_be_pulled_takes_nobodys_place():
    torn = replace(tag("torn", 0), torn=True)
    assert goes([Rule(("*",), keep_last=2)], [*TAGS, torn])[0] == ["old", "v1.0"]


@pytest.mark.parametrize(
    ("others", "policies", "expected"),
    [
        ([registry("b", "b.test")], [], ["a"]),
        ([registry("b", "b.test", gateway=Gateway("", before=("a", "x")))], [], ["a", "b"]),
        ([registry("a.readonly", "a.test:2", read_only_of="a")], [], ["a", "a.readonly"]),
        ([registry("b", "b.test", proxy="https://a.test")], [], ["a", "b"]),
        ([registry("b", "b.test")], [Replication("p", "a", ("b",), delete=True)], ["a", "b"]),
        ([registry("b", "b.test")], [Replication("p", "a", ("b",))], ["a"]),
        ([registry("b", "b.test")], [Replication("p", "a", ("b",), ("x/*",), delete=True)], ["a"]),
        (
            [registry("b", "b.test"), registry("c", "c.test", gateway=Gateway("", before=("b",)))],
            [Replication("p", "a", ("b",), delete=True), Replication("q", "b", ("a",))],
            ["a", "b", "c"],
        ),
    ],
)
def test_whose_clients_lose_what_a_registry_deletes(others, policies, expected):
    rules = Retention((Rule(("dev/*",), keep_deployed=True), Rule(("x/*",), keep_last=1)))
    whole = fleet(
        [registry("a", "a.test", retention=rules), *others],
        replications={each.name: each for each in policies},
    )
    found = deployed.served_at(whole, whole.registries["a"])
    assert [each.name for each in found] == expected


def test_why():
    rule = Rule(("*",), keep_last=2, keep_tags=("v*", "latest"), keep_deployed=True)
    found, _ = doomed(Retention((rule,)), [tag("a", 40), tag("b", 1), tag("c", 0)], Deployed(), NOW)
    assert [each.reason for each in found] == [
        "pushed 40 days ago, not of the last 2, not v* or latest, no client holds it"
    ]


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 99)), unique_by=lambda x: x[0]),
    st.integers(1, 6),
    st.integers(0, 90),
)
def test_what_is_kept_stays_kept(tags, last, days):
    """The last ones stay whatever else is said, and deciding again deletes nothing more."""
    tags = [tag(name, age) for name, age in tags]
    retention = Retention((Rule(("*",), keep_last=last, keep_younger=days * DAY),))
    found, _ = doomed(retention, tags, Deployed(), NOW)
    gone = {each.tag for each in found}
    left = [each for each in tags if each not in gone]
    assert len(left) >= min(last, len(tags))
    assert all(
        one.at >= each.at for each in gone for one in sorted(left, key=lambda t: t.at)[-last:]
    )
    assert doomed(retention, left, Deployed(), NOW)[0] == []


# ---- answers of hosts ----


def test_times():
    said = ["@now 12", f"@tag 12 {DIGEST} dev/app 1", f"@tag 13 {OTHER} a latest", "@all"]
    assert pushed.parse("reg1", ["noise", "@begin m", *said, "@end m"], "m", 12) == [
        Pushed("a", "latest", OTHER, 13),
        Pushed("dev/app", "1", DIGEST, 12),
    ]


@pytest.mark.parametrize(
    "said",
    [
        [],
        ["@begin m", "@all"],
        ["@begin m", "@end m"],
        ["@begin m", "@all", "@end m"],
        ["@begin m", "@now", "@all", "@end m"],
        ["@begin m", "@now 12", f"@tag x {DIGEST} a b", "@all", "@end m"],
        ["@begin m", "@now 12", f"@tag {'9' * 12} {DIGEST} a b", "@all", "@end m"],
        ["@begin m", "@now 12", "@tag 12 sha256:12 a b", "@all", "@end m"],
        ["@begin m", "@now 12", f"@tag 12 {DIGEST} A b", "@all", "@end m"],
        ["@begin m", "@now 12", f"@tag 12 {DIGEST} a -b", "@all", "@end m"],
        ["@begin m", "@now 12", f"@tag 12 {DIGEST} a b c", "@all", "@end m"],
    ],
)
def test_times_that_are_none(said):
    with pytest.raises(HostError):
        pushed.parse("reg1", said, "m", 12)


@pytest.mark.parametrize("apart", [2 * 3600, -2 * 3600, 400 * DAY, -NOW])
def test_where_two_clocks_are_apart_no_age_is_known(apart):
    said = ["@begin m", f"@now {NOW + apart}", "@all", "@end m"]
    with pytest.raises(HostError, match="hours apart"):
        pushed.parse("reg1", said, "m", NOW)
    said[1] = f"@now {NOW + (60 if apart > 0 else -60)}"
    assert pushed.parse("reg1", said, "m", NOW) == []


def test_what_is_held():
    said = [
        f"@held r.lan:5000/app 1 {DIGEST}",
        f"@held r.lan:5000/app <none> {OTHER}",
        "@held r.lan:5000/team/x latest <none>",
        f"@held r.lan:50001/app 2 {DIGEST}",
        "@held copy.lan/app 3 <none>",
        "@held busybox latest <none>",
        f"@held busybox <none> {HUB}",
        f"@held <none> <none> {NAMELESS}",
        "@held <none> <none> <none>",
        "@held odd",
        "@all",
    ]
    said = ["@begin m", *said, "@end m"]
    names, digests = deployed.parse("web1", said, "m", ["r.lan:5000", "copy.lan"])
    assert names == {"app:1", "team/x:latest", "app:3"}
    # One that came by a mirror, and one whose tag was pulled anew, by Podman.
    assert digests == {DIGEST, OTHER, HUB, NAMELESS}


def test_an_engine_that_does_not_answer_holds_nobody_knows_what():
    said = ["@begin m", "Cannot connect to the Docker daemon", "@end m"]
    with pytest.raises(HostError, match="Cannot connect"):
        deployed.parse("web1", said, "m", ["r.lan:5000"])


def test_an_accounts_own_engine_is_asked_as_the_account():
    assert deployed.can_be_asked("rootless")
    program = deployed.render("rootless", "m", "al ice")
    assert "engine=rootless engine_account='al ice'" in program
    assert "\nrootless_program=" in program
    assert program.index("rootless_holds() {") < program.index("engine_account='al ice'")


def test_notes_name_what_stays_and_no_rule_counts():
    ahead, gone = tag("ahead", -9), replace(tag("gone", -9), unfinished=True)
    torn = replace(tag("torn", 1), torn=True)
    assert pruning._notes([tag("1", 1)], NOW) == ()
    assert pruning._notes([ahead, gone, torn], NOW) == (
        "1 tag cannot be pulled: see `regfleet audit`",
        "1 tag kept: pushed while the host's clock was wrong",
    )
