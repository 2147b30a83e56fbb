"""A plan as people read it: grouped, with reasons and impact, and fit for the terminal."""

import io
import re
from dataclasses import replace

import pytest
from making import CANARY, client, container, fleet, registry
from making import host as declared
from reports import FILE, RELOAD, everything, failed, host, planned, report
from rich.console import Console

from regfleet.model.plan import Change, Drain, Part, Plan, ReloadService, RunService
from regfleet.model.report import NotCompared
from regfleet.model.resource import Resource, login_resource
from regfleet.report.plan_text import grouped, impact, show_plan
from regfleet.report.resource_text import resource_text
from regfleet.unproven import Unproven

RESTART = Change(Resource("daemon.json", "data-root"), "create", "why", "restart")
CA = Change(
    Resource("file", "/etc/docker/certs.d/registry.example.com:5000/ca.crt"), "update", "client.a"
)
VIP = container("regfleet-main.vip", address="10.0.0.10", depends=("regfleet-main.gateway",))


def shown(made, width=None, **settings):
    """What is printed at a terminal of that width, or into a pipe."""
    stream = io.StringIO()
    terminal = {"force_terminal": True, "color_system": None} if width else {}
    show_plan(made, Console(file=stream, width=width or 80, **terminal), **settings)
    return stream.getvalue()


def drifted(name, change, origin):
    made = planned(name, (change,))
    made.origins = {change: origin}
    return made


def test_hosts_with_the_same_changes_stand_together():
    made = report(planned("a", (RELOAD,)), planned("b"), planned("c", (RELOAD,)))
    assert shown(made).splitlines()[:4] == [
        "a, b, c (all 3 hosts)",
        "  + daemon.json registry-mirrors [reload]  client.build.mirrors",
        "b",
        "  ~ file /etc/x  client.build.registries",
    ]


def test_what_is_going_to_be_skipped_is_said_and_disturbs_nothing():
    made = report(planned("a", (RESTART,)), planned("b", (RELOAD,)), failed("c"))
    made.hosts["a"].skip = "the registry main on c cannot be reached"
    text = shown(made, width=120)
    assert "Skipped: a: the registry main on c cannot be reached." in text
    assert "reload on 1 host" in text
    assert "restart on" not in text
    made.hosts["b"].skip = made.hosts["a"].skip
    text = shown(made, width=120)
    assert "Skipped: a, b: the registry main on c cannot be reached." in text
    assert "Impact" not in text


def test_one_host_is_not_counted():
    assert shown(report(planned("a"))).splitlines()[0] == "a"


def test_a_thousand_hosts_are_a_few_lines():
    many = [planned(f"web{number:04}") for number in range(1000)]
    many[500] = drifted("web0500", CA, "host")
    many += [planned(f"other-{number * number}", (RELOAD,)) for number in range(100)]
    made = shown(report(*many), 80).splitlines()
    assert made[0] == "web[0000:0499], web[0501:0999], other-0, other-1 and 98 more (1099 hosts)"
    assert made[2] == "web[0000:0499], web[0501:0999] (999 hosts)"
    assert len(made) < 12


@pytest.mark.parametrize(("every", "said"), [(False, False), (True, True)])
def test_all_names_where_they_are_asked_for(every, said):
    many = report(*[planned(f"web{number * number}") for number in range(100)])
    assert ("web9801" in shown(many, every=every)) is said


def test_hosts_that_are_a_group_have_its_name():
    whole = fleet(
        [registry(hosts=(declared("reg1"),))],
        [client("build", hosts=(declared("b1"), declared("b2"))), client("web")],
    )
    made = report(planned("b1"), planned("b2"), planned("web1"), host("reg1", plan=Plan("reg1")))
    lines = shown(made, fleet=whole).splitlines()
    assert lines[0] == "b1, b2, web1 (3 hosts)"
    two = report(planned("b1"), planned("b2"), host("web1", plan=Plan("web1")))
    assert shown(two, fleet=whole).splitlines()[0] == "client_build: b1, b2 (2 hosts)"


def test_changes_that_differ_inside_only_are_one_without_a_diff():
    hosts = [planned(name, (replace(FILE, diff=f"+{name}"),)) for name in ("a", "b")]
    assert list(grouped(report(*hosts))) == [("a", "b")]
    assert sorted(grouped(report(*hosts), diff=True)) == [("a",), ("b",)]


@pytest.mark.parametrize(("action", "sign"), [("create", "+"), ("update", "~"), ("delete", "-"),
                                              ("run", ">")])  # fmt: skip
def test_signs(action, sign):
    said = shown(report(planned(changes=(Change(Resource("other", "x"), action, "why"),))))
    assert said.splitlines()[1] == f"  {sign} x  why"


@pytest.mark.parametrize("diff", [True, False])
def test_a_diff_only_when_asked_for(diff):
    said = shown(report(planned(changes=(FILE,))), diff=diff)
    assert ("      -old\n      +new\n" in said) is diff


def test_a_password_in_a_url_is_masked():
    change = replace(FILE, diff="+  https://bob:hunter2@mirror.example/x\n+  http://a.example:80/")
    said = shown(report(planned(changes=(change,))), diff=True)
    assert "https://bob:***@mirror.example/x" in said
    assert "hunter2" not in said
    assert "http://a.example:80/" in said


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
    assert said in shown(report(*hosts)).splitlines()


@pytest.mark.parametrize(
    ("hosts", "tag", "said"),
    [
        ([("a", "fleet")], "", ""),
        ([("a", "host")], "[drift]", "1 change undoes what changed on a since it was applied."),
        (
            [("a", "host"), ("b", "host")],
            "[drift]",
            "2 changes undo what changed on a, b since it was applied.",
        ),
        (
            [("a", "unclear")],
            "[drift?]",
            (
                "it cannot be told whether 1 change on a undoes what changed there, or what is "
                "declared changed."
            ),
        ),
    ],
)
def test_drift_is_told_from_what_is_newly_declared(hosts, tag, said):
    lines = shown(report(*[drifted(name, CA, origin) for name, origin in hosts])).splitlines()
    assert lines[1].split() == f"~ {resource_text(CA.resource)} {tag} client.a".split()
    assert [line.partition(": ")[2] for line in lines if line.startswith("Drift")] == (
        [said] if said else []
    )


def test_the_same_change_for_another_reason_stands_apart():
    made = report(drifted("a", CA, "host"), drifted("b", CA, "fleet"), drifted("c", CA, "fleet"))
    assert list(grouped(made)) == [("b", "c"), ("a",)]


def test_what_follows_an_installation_is_not_known_yet():
    made = report(planned("a", (FILE,), again=True), planned("b", (FILE,)))
    assert "Then: 1 host gets an engine first" in shown(made)


AVOID = "live-restore would avoid it"
IMPACT = [
    ([], ["no engine is reloaded or restarted"]),
    ([Plan("a", (FILE,))], ["no engine is reloaded or restarted"]),
    ([Plan("a", (RELOAD,), running=3)], ["reload on 1 host, no container stops"]),
    (
        [Plan("a", (RELOAD,)), Plan("b", (RELOAD,))],
        ["reload on 2 hosts, no container stops"],
    ),
    (
        [Plan("a", (RELOAD,), running=3, may_restart=True), Plan("b", (RELOAD,), running=9)],
        [
            "reload on 2 hosts, no container stops",
            (
                "on 1 of these the engine may not take the reload, and is restarted then: "
                f"3 containers would stop; {AVOID}"
            ),
        ],
    ),
    (
        [Plan("a", (RELOAD,), running=3, may_restart=True, live_restore=True)],
        ["reload on 1 host, no container stops"],
    ),
    (
        [Plan("a", (RESTART,), running=3, live_restore=True), Plan("b", (RESTART,))],
        ["restart on 2 hosts, no container stops"],
    ),
    (
        [Plan("a", (RESTART,), running=1)],
        [f"restart, 1 container stops on 1 host; {AVOID}"],
    ),
    (
        [
            Plan("a", (RESTART,), running=3),
            Plan("b", (RESTART, RELOAD), running=11),
            Plan("c", (RELOAD,), running=2),
            Plan("d", (RESTART,)),
        ],
        [
            "reload on 1 host, no container stops",
            "restart on 1 host, no container stops",
            f"restart, 14 containers stop on 2 hosts; {AVOID}",
        ],
    ),
    (
        [
            Plan("a", (Change(Resource("container", "regfleet-main"), "update", "why"),)),
            Plan("b", (Change(Resource("container", "regfleet-x"), "create", "why"),)),
        ],
        [
            "no engine is reloaded or restarted",
            "regfleet-main is replaced on a: its registry is away for a moment",
        ],
    ),
    (
        [
            Plan(
                "a",
                (Change(Resource("container", "regfleet-main.gateway"), "update", "why"),),
                (ReloadService(container("regfleet-main.gateway")),),
            ),
        ],
        [
            "no engine is reloaded or restarted",
            "regfleet-main.gateway is reloaded on a: no request is lost",
        ],
    ),
    (
        [
            Plan(
                "a",
                (Change(Resource("container", "regfleet-main.gateway"), "update", "why"),),
                (Drain(VIP), RunService(container("regfleet-main.gateway"), "container")),
            ),
        ],
        [
            "no engine is reloaded or restarted",
            "regfleet-main.gateway is replaced on a: 10.0.0.10 goes to another host first",
        ],
    ),
    (
        [
            Plan(
                "a",
                (
                    Change(Resource("container", "regfleet-main"), "update", "why"),
                    Change(Resource("container", "regfleet-main.gateway"), "create", "why"),
                ),
                (
                    RunService(container(), "container"),
                    RunService(
                        container("regfleet-main.gateway", depends=("regfleet-main",)), "container"
                    ),
                ),
            ),
        ],
        [
            "no engine is reloaded or restarted",
            "regfleet-main is replaced on a: its registry is away for about 3 s",
        ],
    ),
    (
        [
            Plan(
                name,
                (
                    Change(Resource("container", "regfleet-main"), "delete", "why"),
                    Change(Resource("data", "/var/lib/registry"), "delete", "why"),
                ),
            )
            for name in ("a", "b")
        ],
        [
            "no engine is reloaded or restarted",
            "regfleet-main is removed on a, b",
            "/var/lib/registry is deleted on a, b",
        ],
    ),
]


@pytest.mark.parametrize(("plans", "said"), IMPACT)
def test_the_impact(plans, said):
    assert impact(plans) == said


def test_how_to_avoid_it_is_said_once():
    made = report(*[planned(name, (RESTART,), running=2) for name in ("a", "b")])
    lines = shown(made).splitlines()
    assert lines[-2] == f"Impact: restart, 4 containers stop on 2 hosts; {AVOID}."
    assert lines[-1].startswith('        live-restore comes with `daemon = { "live-restore" = true')


# ---- terminals ----

LONG = Change(
    Resource("file", "/etc/docker/certs.d/registry.example.com:5000/ca.crt"),
    "create",
    "client.build.registries: main",
    diff='+      "https://a-very-long-name-of-a-mirror.internal.example.com/with/a/path"\n+x',
)


def words(text):
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160, 300])
def test_nothing_is_lost_and_nothing_is_too_wide(width):
    made = report(planned("web1.example.com", (LONG, RELOAD, RESTART), running=2), failed("web2"))
    lines = shown(made, width, diff=True).splitlines()
    assert all(len(line) <= width or len(line.split()) == 1 for line in lines)
    assert words("".join(lines)) == words(shown(made, diff=True))


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, "  + file /etc/docker/certs.d/registry.example.com:5000/ca.crt"),
        (
            160,
            f"  + {resource_text(LONG.resource)}  client.build.registries: main",
        ),
    ],
)
def test_a_wide_terminal_has_reasons_beside_the_changes(width, line):
    assert line in shown(report(planned(changes=(LONG, RELOAD))), width).splitlines()


def test_words_are_not_cut_at_eighty_columns():
    lines = shown(report(planned(changes=(LONG, RELOAD, RESTART), running=2)), 80).splitlines()
    reasons = [line.split()[-1] for line in lines if "client.build" in line]
    assert reasons == ["main", "client.build.mirrors"]
    assert not any(line.endswith(" ") for line in lines)


def test_a_pipe_gets_whole_lines():
    made = report(*[planned(f"web{number * number}", (LONG,)) for number in range(50)])
    lines = shown(made).splitlines()
    assert any(resource_text(LONG.resource) in line and LONG.reason in line for line in lines)


def coloured(monkeypatch, terminal=False, **environment):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TERM", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    show_plan(report(planned()), Console(file=stream, width=80))
    return re.findall(r"\x1b\[([0-9;]*)m", stream.getvalue())


COLOUR = re.compile(r"(^|;)(3[0-7]|9[0-7]|38|4[0-7])(;|$)")


@pytest.mark.parametrize(
    ("terminal", "environment", "expected"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colours(monkeypatch, terminal, environment, expected):
    found = coloured(monkeypatch, terminal, **environment)
    assert any(map(COLOUR.search, found)) is expected


def test_a_pipe_gets_no_escape_sequence_at_all(monkeypatch):
    assert coloured(monkeypatch) == []


# ---- what hosts say ----


@pytest.mark.parametrize("word", ["[red]", "[/]", "[bold", "a\\", "[link=x]y", "]", "[/foo]"])
def test_it_is_no_markup(word):
    """rich would fail on it, or hide it."""
    made = failed(f"h{word}", f"error {word} end", f"hint {word} end")
    made.plan = Plan(
        "h", (Change(Resource("file", f"{word} x"), "create", f"why {word} x", "none", f"+{word}"),)
    )
    said = shown(report(made), diff=True)
    for before in ("h", "error ", "hint ", "file ", "why ", "+"):
        assert f"{before}{word}" in said


@pytest.mark.parametrize(
    "word", ["\x1b[2J", "\x1b]0;x\x07", "\x9b1m", "\r", "\b", "\u202e", "\ud800"]
)
def test_it_does_nothing_to_a_terminal(word):
    made = failed(f"h{word}", f"error {word} end", f"hint {word} end")
    made.plan = Plan(
        "h", (Change(Resource("file", f"{word} x"), "create", f"why {word}", "none", f"+{word}"),)
    )
    for width in (None, 80):
        said = shown(report(made), width, diff=True)
        assert word not in said
        said.encode()


def test_no_secret():
    said = shown(everything(), diff=True)
    assert CANARY not in said
    assert "(secret: not shown)" in said
    assert CANARY not in repr(everything())


USERS = Change(
    Resource("file", "/etc/regfleet/main/htpasswd"),
    "update",
    "registry.main.users",
    diff="(secret: not shown)",
    parts=(
        Part(Resource("user", "bob"), "create"),
        Part(Resource("password", "alice"), "update"),
        Part(Resource("user", "carol"), "delete"),
    ),
)


def test_users_stand_in_the_place_of_their_file():
    lines = shown(report(drifted("reg1", USERS, "host")), diff=True).splitlines()
    assert lines[1:4] == [
        "  + user bob [drift]           registry.main.users",
        "  ~ password of alice [drift]  registry.main.users",
        "  - user carol [drift]         registry.main.users",
    ]


def test_of_a_thousand_users_some_are_shown():
    many = replace(
        USERS, parts=tuple(Part(Resource("user", f"u{each}"), "create") for each in range(1000))
    )
    lines = shown(report(planned("reg1", (many,)))).splitlines()
    assert "950 more of file /etc/regfleet/main/htpasswd" in lines[51]
    assert len(lines) < 60


def test_registries_come_before_clients_and_last_where_all_is_taken_out():
    whole = fleet([registry(hosts=(declared("reg1"),))], [client(hosts=(declared("web1"),))])
    made = report(planned("web1"), planned("web2"), planned("reg1", (CA,)))
    titles = [line for line in shown(made, fleet=whole).splitlines() if line[:3] in ("reg", "web")]
    assert titles == ["reg1", "web1, web2 (2 hosts)"]
    out = shown(made, fleet=whole, destroyed=True).splitlines()
    assert [line for line in out if line[:3] in ("reg", "web")] == titles[::-1]


def test_what_was_not_compared_is_said():
    made = planned("reg1")
    htpasswd = Resource("file", "/etc/regfleet/main/htpasswd")
    made.unknown = (NotCompared(htpasswd, ("alice", "ci"), "registry.main.users"),)
    others = [
        host(name, plan=Plan(name), unknown=(NotCompared(login_resource("root", "x")),))
        for name in ("a1", "a2")
    ]
    said = shown(report(made, *others))
    assert (
        "Not compared: passwords of alice, ci (registry.main.users) on reg1; "
        "login root@x on a1, a2: that takes secrets.\n"
    ) in said
    assert "Not compared" in shown(report(*others))


def test_hosts_that_left_the_file_are_told_with_what_to_do():
    whole = fleet()
    made = report(host("a", plan=Plan("a")))
    made.gone = {"web8": ("client_build",), "web9": ("client_build", "client_test")}
    assert shown(made, fleet=whole).splitlines()[-1] == (
        "Gone: web8, web9 (client_build, client_test) are no longer in the fleet file and keep "
        "their trust and logins. `regfleet apply acme.toml --prune` takes them out; where a host "
        "is not there any more, `--forget web8` forgets them."
    )


def test_a_plan_with_nothing_to_do_tells_what_no_smoke_test_has_proven():
    made = report(host("a", plan=Plan("a")), host("b", plan=Plan("b")))
    made.unproven = {"b": Unproven("2026-01-31T12:00:00Z"), "left-out": Unproven("x")}
    assert shown(made).splitlines() == [
        "Plan: nothing to do on 2 hosts.",
        "Not proven: b: no smoke test has passed since the last change; apply runs it.",
    ]
