"""The page as text: whole, escaped, without secrets, and with the right numbers."""

import base64
import hashlib
import os
import pickle
import re
import stat
import sys
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from making import CANARY, NOW, client, fleet, host, material, materials
from pages import CHANGES, REFUSALS, bad_day, failed, page, passed, run

from regfleet.fleet.clients import Mirror
from regfleet.fleet.schedules import Schedule
from regfleet.model.checks import Check
from regfleet.model.copies import CopyOutcome, CopyStatus
from regfleet.model.plan import Change, Plan
from regfleet.model.records import JobRecord, JobStatus
from regfleet.model.report import HostReport, Report
from regfleet.model.resource import Resource
from regfleet.model.status import Care, RegistryStatus
from regfleet.pki.certificates import ServerPair
from regfleet.report import html
from regfleet.report.page import picture, rows
from regfleet.secret import Secret
from regfleet.state import StateDirectory

VOID = {"meta", "input", "link", "br", "wbr"}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x1b[31m\u202e\udc80"


class Reader(HTMLParser):
    """Checks that tags nest, and keeps tags, text and identifiers."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words, self.ids, self.links = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        assert len(found) == len(attrs), (tag, attrs)
        assert not any(name.startswith("on") or name == "style" for name in found), (tag, attrs)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[name] for name in ("href", "src") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, _attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["script"], ["style"]):
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))


@pytest.mark.parametrize(
    "run_of",
    [
        run(),
        run(1),
        run(60),
        bad_day(),
        (fleet(), Report("acme")),
        (fleet(), Report("acme", {"x": HostReport("x")})),
    ],
)
def test_a_page_is_well_formed_and_its_links_lead_somewhere_on_it(run_of):
    read = Reader(page(run_of))
    assert len(read.ids) == len(set(read.ids))
    assert all(link[0] == "#" and link[1:] in read.ids for link in read.links)
    assert read.tags.count("h1") == read.tags.count("main") == 1


def test_the_same_report_gives_the_same_page():
    assert page(bad_day()) == page(bad_day())


@pytest.mark.parametrize("place", ["host", "error", "hint", "note", "detail", "reason", "command"])
def test_hostile_text_is_shown_as_text(place):
    name = HOSTILE if place == "host" else "web1"
    found = {
        "plan": Plan(name, (Change(Resource("file", HOSTILE), "create", HOSTILE),))
        if place == "reason"
        else None,
        "error": HOSTILE if place == "error" else "it failed",
        "hint": HOSTILE if place == "hint" else "",
        "notes": (HOSTILE,) if place == "note" else (),
        "checks": (Check("main/push", "failed", HOSTILE),) if place == "detail" else (),
    }
    declared = fleet(clients=[client(hosts=(host(name),))])
    report = Report("acme", {name: HostReport(name, "failed", **found)})
    text = page((declared, report), command=HOSTILE if place == "command" else "regfleet apply")
    read = Reader(text)
    assert read.tags.count("script") == 1
    assert "img" not in read.tags
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&" in read.text
    assert not re.search("[\x1b\u202e\ud800-\udfff]", text)
    text.encode()


def test_nothing_is_loaded_and_only_our_own_script_and_style_may_run():
    text = page(bad_day())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; ")
    for tag in ("script", "style"):
        inside = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"@import|url\(|https?://(?!mirror\.example\.com)", text)


def test_no_secret_and_no_diff_is_on_it(tmp_path):
    declared, report = run()
    shown = Change(
        Resource("other", "daemon.json"), "update", "client.build", "reload", diff=f"+{CANARY}"
    )
    report.hosts["web1"].plan = Plan("web1", (shown,), record=CANARY)
    found = materials(declared)
    state = StateDirectory(tmp_path / "state")
    path = html.write(state, declared, report, found, when=NOW, command="regfleet apply x")
    text = path.read_text()
    assert path.name == "report.html"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "web1" in text
    assert CANARY not in text
    assert "$2y$" not in text


def test_nothing_that_lies_in_the_state_directory_is_run(tmp_path):
    """A compiled template was kept there once, and what jinja reads of it is a pickle's code."""

    class Planted:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    state = StateDirectory(tmp_path / "state")
    declared, report = run()
    found = materials(declared)
    for name in ("report.html.compiled", "__jinja2_report.cache"):
        header = b"j2" + pickle.dumps(5, 2) + pickle.dumps(sys.version_info[:2], 2)
        state.write(name, header + pickle.dumps(Planted(), 2))
    html._template.cache_clear()
    html.write(state, declared, report, found, when=NOW, command="x")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("run_of", "headline"),
    [
        (run(), "Done: all 9 hosts are as declared"),
        ((fleet(), Report("acme", {"web1": HostReport("web1")})), "Done: the host is as declared"),
        (bad_day(), "Not done: 5 of 9 hosts need attention"),
        (
            run(web1=HostReport("web1", "failed", error="x")),
            "Not done: 1 of 9 hosts needs attention",
        ),
        ((fleet(), Report("acme")), "No host was in this run"),
    ],
)
def test_the_headline(run_of, headline):
    assert headline in Reader(page(run_of)).text


def test_the_numbers_are_right_and_the_worst_is_first():
    found = rows.host_rows(*bad_day())
    counts = {each.mark: each.count for each in rows.filters(found)}
    assert counts == {
        "": 9,
        "attention": 5,
        "smoke-failed": 1,
        "rolled-back": 1,
        "unreachable": 2,
        "skipped": 1,
        "changed": 4,
        "unchanged": 1,
    }
    names = [row.report.name for row in found]
    assert names == ["web1", "web2", "web3", "web5", "web4", "web6", "web7", "web8", "reg1"]


def test_what_hosts_share_is_told_once_and_what_was_rolled_back_is_named():
    found = rows.troubles(rows.host_rows(*bad_day()))
    assert [(each.status, each.message, len(each.hosts)) for each in found] == [
        ("rolled-back", "the engine did not come up again", 1),
        ("unreachable", "cannot connect to HOST:22: timed out", 2),
        ("skipped", "not touched: web1 failed", 1),
        ("smoke-failed", "main/push: denied", 1),
    ]
    assert "daemon.json log-driver" in found[0].taken_back
    assert found[1].taken_back == ()
    text = Reader(page(bad_day())).text
    assert "Changes, all taken back: restart, 4 containers stop" in text
    assert "take --log-driver out of its unit" in text


def test_a_name_inside_another_is_left_alone():
    odd = {"web1": HostReport("web1", "failed", error="web10, web1 and web1.example.com: no")}
    (found,) = rows.troubles([*rows.host_rows(*run(1, **odd)), *rows.host_rows(*run(1, **odd))])
    assert found.message == "web10, HOST and web1.example.com: no"


def test_the_smoke_test_is_a_matrix_with_the_failures_first():
    (matrix,) = rows.matrices(rows.host_rows(*bad_day())[::-1])
    assert matrix.registry == "main"
    assert matrix.columns == ("present", "push", "remove", "pull", "digest", "run", "delete")
    assert [name for name, _ in matrix.refusals] == list(REFUSALS)
    assert matrix.failed == 1
    assert [row.host.report.name for row in matrix.rows] == ["web4", "web8", "web7", "web6"]
    assert [cell.verdict for cell in matrix.rows[0].cells][:3] == ["passed", "failed", "skipped"]


def test_without_a_smoke_test_the_page_says_so():
    quiet = Report("acme", {"web1": HostReport("web1", plan=Plan("web1"))})
    assert "It did not run: nothing changed" in Reader(page((fleet(), quiet))).text


@pytest.mark.parametrize(
    ("age", "left", "warn"), [(0, 90, False), (59, 31, False), (61, 29, True), (91, -1, True)]
)
def test_a_certificate_warns_under_a_third_of_its_life(age, left, warn):
    start = NOW - timedelta(days=age)
    pair = ServerPair(
        b"", Secret(CANARY), None, start, start + timedelta(days=90), ("reg.example.com",)
    )
    declared = fleet()
    found = materials(declared, main=material(pair=pair))
    (line,) = html.certificate_lines(found, NOW)
    assert (line.days_left, line.warn) == (left, warn)
    text = Reader(page((declared, Report("acme")), [line])).text
    assert ("over for 1 day" if left < 0 else f"{left} days") in text
    assert ("the next apply renews it" in text) == warn


def test_registries_without_a_certificate_are_named():
    assert (
        "hub (hub.example.com) has no certificate here: it is not ours" in Reader(page(run())).text
    )


@pytest.mark.parametrize(
    ("odd", "outcome", "words"),
    [
        ({}, "good", "4/4 pass"),
        ({"web1": HostReport("web1", "failed")}, "good", "3/4 pass"),
        ({"web1": HostReport("web1", checks=failed("run", "x"))}, "some", "1/4 fail"),
        ({f"web{n}": HostReport(f"web{n}", "skipped") for n in (1, 2)}, "good", "2/4 pass"),
        ({f"web{n}": HostReport(f"web{n}", "skipped") for n in (1, 2, 3, 4)}, "open", "not tested"),
        ({f"web{n}": HostReport(f"web{n}") for n in (1, 2)}, "good", "2/4 pass"),
        ({f"web{n}": HostReport(f"web{n}") for n in (1, 2, 3, 4)}, "open", "not tested"),
    ],
)
def test_a_line_of_the_picture_tells_what_came_of_it(odd, outcome, words):
    to_main, to_mirror = picture.uses(*run(4, **odd))
    assert (to_main.outcome, to_main.words) == (outcome, words)
    assert to_mirror.target == "https://mirror.example.com"


def test_hosts_outside_the_run_are_not_counted():
    declared, report = run(4)
    part = Report("acme", {"web1": report.hosts["web1"]})
    assert [use.words for use in picture.uses(declared, part)] == ["1/1 pass", "1/1 set"]
    nobody = Report("acme", {"reg1": report.hosts["reg1"]})
    assert {use.words for use in picture.uses(declared, nobody)} == {"not in run"}
    assert "4 hosts of the fleet, by the command line" in Reader(page((declared, part))).text


def test_a_mirror_that_is_a_declared_registry_is_no_card_of_its_own():
    declared = fleet(clients=[client(mirrors=(Mirror("https://reg.example.com:5000", "main"),))])
    drawn = picture.draw(declared, Report("acme"), picture.WIDE)
    assert [card.kind for card in drawn.cards] == ["client", "registry"]
    assert len(drawn.edges) == 2


@pytest.mark.parametrize("size", [picture.WIDE, picture.NARROW])
@pytest.mark.parametrize("groups", [0, 1, 5, 16, 17, 200])
def test_cards_stay_inside_and_apart_however_many_there_are(groups, size):
    clients = [client(f"group{number}", hosts=(host(f"web{number}"),)) for number in range(groups)]
    report = Report(
        "acme", {f"web{n}": HostReport(f"web{n}", checks=passed()) for n in range(groups)}
    )
    if groups:
        report.hosts[f"web{groups - 1}"].status = "failed"
    drawn = picture.draw(fleet(clients=clients), report, size)
    left = [card for card in drawn.cards if card.kind == "client"]
    assert len(left) == min(groups, picture.MOST_GROUPS)
    for column in (left, [card for card in drawn.cards if card.kind != "client"]):
        for above, below in pairwise(column):
            assert above.y + above.height < below.y
    for card in drawn.cards:
        assert card.x > 0
        assert card.x + card.width <= drawn.width
        assert card.y > 0
        assert card.y + card.height <= drawn.height
    if groups > picture.MOST_GROUPS:  # the one in trouble keeps its card, the rest are counted
        assert f"group{groups - 1}" in [card.title for card in left]
        rest = groups - picture.MOST_GROUPS + 1
        assert left[-1].title == f"{rest} more groups"
        assert left[-1].lines[0].words == f"{rest}/{rest} pass"


def test_long_names_lose_their_middle():
    assert picture.shortened("registry.example.com:5000", 13) == "regist…m:5000"
    assert picture.shortened("short", 5) == "short"


def test_a_thousand_hosts_are_less_than_two_megabytes():
    many = run(999)
    assert len(CHANGES) == 3
    assert len(page(many).encode()) < 2_000_000


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("host", "changed on the host"),
        ("fleet", ""),
        ("unclear", "changed on the host, or newly declared"),
    ],
)
def test_drift_is_told_from_what_is_newly_declared(origin, said):
    change = Change(Resource("file", "/etc/x"), "update", "client.build.registries")
    made = HostReport("web1", "changed", Plan("web1", (change,)), origins={change: origin})
    text = Reader(page(run(1, web1=made))).text
    behind = text.partition("client.build.registries")[2]
    assert behind.strip().startswith(said)
    assert ("changed on the host" in text) is bool(said)


def test_copies_are_drawn_with_how_far_they_are_behind():
    now = int(NOW.timestamp())
    ok = CopyOutcome("ok", started=now - 7200, complete=now - 7200)
    away = CopyOutcome("away", started=now - 60)
    last = JobRecord("timer-1", "a timer", now - 3600, 5, "changed")
    collection = JobStatus("collection", Schedule(86400, "03:00"), last, {"bytes_freed": 5000})
    care = Care(
        (RegistryStatus("main", "reg.example.com:5000", False, read_only=True,
                        jobs={"collection": collection}),),
        (CopyStatus("p.hub", "main", "hub", "reg1", 86400, ok),
         CopyStatus("q.main", "hub", "main", "reg1", 300, away)),
    )  # fmt: skip
    declared, report = run()
    text = html.render(declared, report, certificates=(), when=NOW, command="x", care=care)
    words = " ".join(Reader(text).words)
    assert "p.hub: main to hub, 2 hours behind" in words
    assert "q.main: hub to main, away" in words
    assert text.count('class="edge copies good" d=') == 2 + 1  # wide, narrow and the legend
    assert text.count('class="edge copies bad" d=') == 2
    said = "takes no pushes: its garbage is being collected; collection: 1 hour ago by itself"
    assert f"{said}, freed 5.0 kB; every 1d at 03:00" in words
    without = html.render(declared, report, certificates=(), when=NOW, command="x")
    assert 'class="edge copies' not in without
