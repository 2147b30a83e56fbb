"""`status` and `images` as people and programs read them."""

import io
import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from making import NOW
from rich.console import Console

from regfleet.fleet.schedules import Schedule
from regfleet.model.contents import Contents, Tag
from regfleet.model.images import RegistryImages
from regfleet.model.plan import Change
from regfleet.model.records import JobRecord, JobStatus
from regfleet.model.resource import Resource
from regfleet.model.status import (
    Certificate,
    Drift,
    FleetStatus,
    HostStatus,
    RegistryStatus,
    Room,
    WrongLogins,
)
from regfleet.report import care_text, images_json, images_text, status_json, status_text

MIRROR = Change(
    Resource("daemon.json", "registry-mirrors"), "update", "client.build.mirrors", "reload"
)
GOOD = Certificate(NOW + timedelta(days=300), 300, warn=False, renewed=True)
SOON = Certificate(NOW + timedelta(days=30), 30, warn=True, renewed=True)
OURS = Certificate(NOW + timedelta(days=30), 30, warn=True, renewed=False)
HELD = Contents(repositories=2, empty=0, tags=3, size=4_200_000, weighed=3)
AT = int(NOW.timestamp())
DAILY = Schedule(86400, "02:00")
LAST = JobRecord("timer-1", "a timer of this host", AT - 3600, 5, "changed")
ESCAPES = re.compile("\x1b\\[[0-9;]*m")
DIGEST = "sha256:0123456789abcdef" + "0" * 48


def host(name="web1", **changes):
    settings = {
        "reachable": True,
        "os": "debian 12",
        "engine": "docker",
        "engine_state": "up",
        "version": "20.10.24",
    }
    return HostStatus(name, **{**settings, **changes})


def registry(name="main", **changes):
    settings = {"external": False, "health": "healthy", "certificate": GOOD, "contents": HELD}
    return RegistryStatus(name, "reg:5000", **{**settings, **changes})


def fleet(*parts, **changes):
    return FleetStatus(
        "acme",
        NOW,
        {each.name: each for each in parts if isinstance(each, HostStatus)},
        {each.name: each for each in parts if isinstance(each, RegistryStatus)},
        **changes,
    )


def drifted(name="web1", count=1, origin="host"):
    changes = [Change(Resource("file", f"/etc/{n}"), "update", "why") for n in range(count - 1)]
    return host(name, drift=tuple(Drift(each, origin) for each in (MIRROR, *changes)))


def said(status, width=100, terminal=False, **settings):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal, no_color=True)
    status_text.render(status, console, file="fleet.toml", **settings)
    return ESCAPES.sub("", stream.getvalue())


@pytest.mark.parametrize(
    ("part", "attention"),
    [
        (host(), {}),
        (host(reachable=False, error="no way"), {"host web1": ("unreachable",)}),
        (host(error="it broke"), {"host web1": ("failed",)}),
        (drifted(), {"host web1": ("drift",)}),
        (host(skew=60), {}),
        (host(skew=61), {"host web1": ("clock",)}),
        (host(skew=-61), {"host web1": ("clock",)}),
        (host(unknown=(Resource("file", "/x"),)), {"host web1": ("not compared",)}),
        (registry(), {}),
        (registry(health="unknown"), {"registry main": ("unknown",)}),
        (registry(external=True, health="unknown"), {"registry main": ("unknown",)}),
        (registry(room=Room(100, 10, 100, 10)), {}),
        (registry(room=Room(100, 10)), {}),
        (registry(room=Room(100, 9, 100, 10)), {"registry main": ("room",)}),
        (registry(room=Room(100, 10, 100, 9)), {"registry main": ("room",)}),
        (registry(room=Room(100, 0)), {"registry main": ("room",)}),
        (registry(room=Room(100, 50, per_day=50)), {}),
        (registry(room=Room(100, 50, per_day=-51)), {}),
        (registry(room=Room(100, 50, per_day=51)), {"registry main": ("room",)}),
        (registry(room_unknown=True), {"registry main": ("room not known",)}),
        (registry(health="unhealthy"), {"registry main": ("unhealthy",)}),
        (registry(certificate=SOON), {"registry main": ("certificate",)}),
        (registry(certificate=None), {}),
        (registry(certificate_error="gone"), {"registry main": ("certificate",)}),
    ],
)
def test_what_needs_attention(part, attention):
    status = fleet(part)
    assert status.attention == attention
    assert status.ok is not bool(attention)
    assert json.loads(status_json.document(status))["ok"] is not bool(attention)


def test_the_document_has_the_room():
    room = Room(10**9, 10**7, 0, 0, 10**8)
    document = json.loads(status_json.document(fleet(registry(room=room))))
    assert document["registries"]["main"]["room"] == {
        "bytes": 10**9,
        "bytes_free": 10**7,
        "inodes": None,
        "inodes_free": None,
        "bytes_per_day": 10**8,
        "warnings": ["less than 10 % free", "full in less than a day at its present growth"],
    }


@pytest.mark.parametrize(
    ("found", "text", "counted"),
    [
        (None, "", None),
        (WrongLogins(0, 0), "", {"last_day": 0, "addresses": 0}),
        (
            WrongLogins(1, 1),
            "1 wrong login in the last day, from 1 address",
            {"last_day": 1, "addresses": 1},
        ),
        (
            WrongLogins(12, 2),
            "12 wrong logins in the last day, from 2 addresses",
            {"last_day": 12, "addresses": 2},
        ),
    ],
)
def test_wrong_logins_are_counted_and_need_no_attention(found, text, counted):
    status = fleet(registry(wrong_logins=found))
    assert status.ok
    assert text in said(status)
    assert bool(text) == ("wrong login" in said(status))
    document = json.loads(status_json.document(status))
    assert document["registries"]["main"]["wrong_logins"] == counted


def test_what_is_not_known_is_not_well():
    status = fleet(host(), unknown=(("the password of ci is not known", "set it"),))
    assert status.ok is False
    assert json.loads(status_json.document(status))["ok"] is False
    lines = said(status).splitlines()
    assert lines[1:3] == ["not known: the password of ci is not known", "  hint: set it"]
    assert lines[-1] == "Not known: see above"


def test_what_is_not_known_is_said_before_what_is_wrong():
    parts = (
        registry("down", health="unhealthy"),
        registry("main", health="unknown"),
        drifted("web1"),
        host("web2", unknown=(Resource("file", "/x"),), skew=100),
    )
    lines = said(fleet(*parts)).splitlines()
    verdicts = [line for line in lines if line.startswith(("Not known: ", "Needs attention: "))]
    assert verdicts == [
        "Not known: web2 (not compared); registry main (unknown)",
        "Needs attention: web1 (drift); web2 (clock); registry down (unhealthy)",
    ]
    assert "  unknown      web2" in "\n".join(lines)


def test_the_fleets_own_ca_needs_attention():
    assert fleet(authority=GOOD).ok is True
    assert fleet(authority=SOON).attention == {"fleet CA": ("certificate",)}


@pytest.mark.parametrize(
    ("left", "days", "warn"),
    [
        (timedelta(days=30), 30, False),
        (timedelta(days=30) - timedelta(seconds=1), 29, True),
        (timedelta(0), 0, True),
        (timedelta(seconds=-1), -1, True),
    ],
)
def test_a_certificate_warns_under_a_third_of_its_life(left, days, warn):
    end = NOW + left
    found = Certificate.lasting(end - timedelta(days=90), end, NOW, renewed=True)
    assert (found.days_left, found.warn) == (days, warn)


def test_all_is_well():
    text = said(fleet(host("web1"), host("web2"), registry(), authority=GOOD))
    assert text.splitlines() == [
        "acme: 2 hosts, 1 registry; never applied from here",
        "Hosts",
        "  ok           web1, web2  docker 20.10.24, debian 12",
        "Registries",
        "  healthy      main  reg:5000",
        "               2 repositories, 3 tags, 4.2 MB",
        "               certificate: 300 days left, until 2030-10-29",
        "  ok           fleet CA  300 days left, until 2030-10-29",
        "All is well.",
    ]


def test_hosts_that_are_alike_stand_together_and_are_counted():
    hosts = [host(f"web{n}") for n in range(9)] + [drifted("odd")]
    text = said(fleet(*hosts))
    assert "web0, web1, web2, web3, web4 and 4 more  docker 20.10.24, debian 12" in text
    assert text.count("20.10.24") == 2
    assert said(fleet(*hosts), verbose=True).count("20.10.24") == 10


def test_engines_are_counted_where_they_differ():
    hosts = [host("old"), *(host(f"new{n}", version="26.1.5", os="debian 13") for n in range(2))]
    line = said(fleet(*hosts)).splitlines()[2]
    assert line.endswith("old, new0, new1  docker 26.1.5, debian 13 (2); docker 20.10.24, "
                         "debian 12 (1)")  # fmt: skip


def test_a_folded_line_keeps_its_indentation():
    lines = said(fleet(drifted(origin="unclear")), width=50, terminal=True).splitlines()
    first = next(n for n, line in enumerate(lines) if "update daemon.json" in line)
    assert lines[first].startswith(" " * 17 + "update")
    assert lines[first + 1].startswith(" " * 17 + "registry-mirrors")


@pytest.mark.parametrize(
    ("origin", "words", "state"),
    [
        ("host", "(changed on the host)", "drift"),
        ("fleet", "(newly declared)", "differs"),
        ("unclear", "(changed on the host, or newly declared)", "drift"),
    ],
)
def test_drift_says_where_it_comes_from(origin, words, state):
    text = said(fleet(drifted(origin=origin)))
    assert f"update daemon.json registry-mirrors  client.build.mirrors {words}" in text
    assert f"Needs attention: web1 ({state})" in text
    assert "Next: `regfleet plan fleet.toml --diff` shows what differs" in text


def test_the_first_changes_are_shown_and_the_others_counted():
    text = said(fleet(drifted(count=5)))
    assert "5 changes to make it as declared:" in text
    assert text.count("file /etc/") == 2
    assert "and 2 more" in text
    every = said(fleet(drifted(count=5)), verbose=True)
    assert every.count("file /etc/") == 4
    assert "more" not in every


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (host(reachable=False, engine_state="", error="no SSH connection", hint="is it up?"),
         ["unreachable  web1\n", "no SSH connection", "hint: is it up?"]),
        (host(engine_state="down", version=""), ["web1  docker down, debian 12"]),
        (host(engine_state="missing", version=""), ["docker missing"]),
        (host(engine_state="silent", version=""), ["docker does not answer"]),
        (host(skew=75), ["warning", "its clock is 75 s ahead of this machine's", "NTP"]),
        (host(skew=-75), ["its clock is 75 s behind this machine's"]),
        (host(unknown=(Resource("file", "/a"), Resource("file", "/b"))),
         ["2 resources not compared", "Not known: web1 (not compared)"]),
        (registry(health="unhealthy", contents=None, error="refused", hint="does it run?"),
         ["unhealthy", "refused", "hint: does it run?", "docker logs"]),
        (registry(certificate=SOON), ["warning", "less than a third", "apply fleet.toml` renews"]),
        (registry(certificate=OURS), ["get a new certificate"]),
        (registry(certificate_error="cannot read /x"), ["certificate: cannot read /x"]),
        (registry(certificate=Certificate(NOW, -1, warn=True, renewed=True)),
         ["certificate: expired 2030-01-02"]),
        (registry(external=True), ["reg:5000, external"]),
        (registry(proxy="https://up.example", contents=None, note="not counted: why"),
         ["cache of https://up.example", "not counted: why"]),
        (registry(api_version="registry/2.0"), ["API registry/2.0"]),
        (registry(room=Room(10**9, 5 * 10**8, 100, 50, 10**6)),
         ["healthy", "room: 500.0 MB of 1.0 GB free, 1.0 MB less a day\n", "All is well."]),
        (registry(room=Room(10**9, 10**7, 100, 5, 10**8)),
         ["warning", "room: 10.0 MB of 1.0 GB free, 5 of 100 inodes, 100.0 MB less a day; less",
          "; less than 10 % of the inodes free; full in less than a day", "make room"]),
        (registry(room_unknown=True), ["could not be read", "Not known: registry main"]),
    ],
)  # fmt: skip
def test_each_case_in_words(part, words):
    text = "\n".join(line.rstrip() for line in said(fleet(part)).splitlines()) + "\n"
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (Contents(1, 0, 1, 10, 1), "1 repository, 1 tag, 10 bytes"),
        (Contents(3, 1, 2, 10, 2), "3 repositories (1 empty), 2 tags, 10 bytes"),
        (
            Contents(900, 0, 4000, 10, 500, partial=True),
            "900 repositories, at least 4000 tags, at least 10 bytes (only 500 tags weighed)",
        ),
        (Contents(1, 0, 1, 10, 1, broken=1), "; 1 manifest missing: push those tags again"),
    ],
)
def test_contents_in_words(held, words):
    assert words in said(fleet(registry(contents=held)))


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=119), "1 hour ago"),
        (timedelta(days=3, hours=5), "3 days ago"),
    ],
)
def test_ages(passed, words):
    assert care_text.age(passed) == words
    text = said(fleet(last_apply=NOW - passed))
    assert f"last apply from here: {words} (" in text


def test_hosts_left_out_are_said():
    assert "acme: 1 host (4 left out)" in said(fleet(host(), left_out=4))


def test_what_is_not_known_is_said_once_with_what_to_do():
    text = said(fleet(host(), unknown=(("A is not set", "export A"),)))
    assert "not known: A is not set\n  hint: export A\n" in text


def test_a_terminals_width_is_kept_and_a_pipe_gets_whole_lines():
    status = fleet(host("web1", error="a long story " * 20), registry())
    terminal = said(status, width=50, terminal=True)
    table = terminal.partition("Hosts")[2].partition("Needs attention")[0]
    assert max(map(len, table.splitlines())) <= 50
    assert ("a long story " * 20).strip() in said(status, width=50)


@pytest.mark.parametrize("text", ["[red]x[/]", "[/]", "\\[x"])
def test_nothing_of_a_hosts_is_markup(text):
    assert text in said(fleet(host(error=text, hint=text), registry(error=text, note=text)))


def test_the_document_of_status():
    status = fleet(
        drifted(),
        host("gone", reachable=False, os="", engine_state="", version="", error="no", hint="up?"),
        registry(),
        authority=GOOD,
        last_apply=NOW,
        unknown=(("A is not set", "export A"),),
    )
    assert json.loads(status_json.document(status)) == {
        "version": 1,
        "fleet": "acme",
        "last_apply": "2030-01-02T03:04:05Z",
        "certificate_authority": {
            "not_after": "2030-10-29T03:04:05Z",
            "days_left": 300,
            "under_a_third": False,
        },
        "unknown": ["A is not set"],
        "hosts": {
            "web1": {
                "state": "drift",
                "os": "debian 12",
                "engine": {"name": "docker", "state": "up", "version": "20.10.24"},
                "reinstalled": False,
                "clock_skew_seconds": 0,
                "changes": [
                    {
                        "resource": "daemon.json registry-mirrors",
                        "action": "update",
                        "reason": "client.build.mirrors",
                        "activation": "reload",
                        "origin": "host",
                    }
                ],
                "unknown": [],
                "error": None,
                "attention": ["drift"],
            },
            "gone": {
                "state": "unreachable",
                "os": None,
                "engine": {"name": "docker", "state": None, "version": None},
                "reinstalled": False,
                "clock_skew_seconds": None,
                "changes": [],
                "unknown": [],
                "error": "no (hint: up?)",
                "attention": ["unreachable"],
            },
        },
        "registries": {
            "main": {
                "endpoint": "reg:5000",
                "external": False,
                "health": "healthy",
                "api_version": None,
                "certificate": {
                    "not_after": "2030-10-29T03:04:05Z",
                    "days_left": 300,
                    "under_a_third": False,
                },
                "certificate_error": None,
                "repositories": 2,
                "empty_repositories": 0,
                "tags": 3,
                "bytes": 4_200_000,
                "partial": False,
                "missing_manifests": 0,
                "room": None,
                "wrong_logins": None,
                "read_only": False,
                "jobs": {},
                "served_by": None,
                "note": None,
                "error": None,
                "attention": [],
            }
        },
        "copies": {},
        "unproven": {},
        "ok": False,
    }


def test_moments_are_told_in_utc():
    east = timezone(timedelta(hours=8))
    assert status_json.moment(datetime(2030, 1, 1, 4, tzinfo=east)) == "2029-12-31T20:00:00Z"


class TestImages:
    TAG = Tag(
        "team/app",
        "v1",
        DIGEST,
        "application/vnd.oci.image.index.v1+json",
        2_000_000,
        ("linux/amd64", "linux/arm64/v8"),
        "2030-01-02T03:04:05.678Z",
    )
    BARE = Tag("team/chart", "v1", DIGEST, "x", 10, (), None, missing=2)

    def said(self, *found, width=200, terminal=False, **settings):
        stream = io.StringIO()
        console = Console(file=stream, width=width, force_terminal=terminal, no_color=True)
        images_text.render(found, console, **settings)
        text = ESCAPES.sub("", stream.getvalue())
        return [line.rstrip() for line in text.splitlines()]

    def found(self, **changes):
        held = {"team/app": (self.TAG,), "team/chart": (self.BARE,), "old": ()}
        return RegistryImages("main", "reg:5000", **{"repositories": held, **changes})

    def test_in_words(self):
        lines = self.said(self.found())
        assert [" ".join(line.split()) for line in lines] == [
            "main reg:5000: 3 repositories, 2 tags",
            "repository tag digest size platforms created",
            "team/app v1 0123456789ab 2.0 MB linux/amd64, linux/arm64/v8 2030-01-02 03:04",
            "team/chart v1 0123456789ab 10 bytes - (2 missing) -",
            "old no tags",
        ]
        assert len({lines[1].index("tag"), lines[2].index("v1"), lines[3].index("v1")}) == 1

    def test_digests_in_full_when_asked(self):
        assert DIGEST in self.said(self.found(), verbose=True)[2]

    @pytest.mark.parametrize(
        ("changes", "lines"),
        [
            (
                {"repositories": {}, "error": "refused", "hint": "does it run?"},
                ["main  reg:5000", "  failed: refused", "  hint: does it run?"],
            ),
            ({"repositories": {}}, ["main  reg:5000: 0 repositories, 0 tags"]),
            (
                {"repositories": {"a": ()}, "note": "a cache of up"},
                ["main  reg:5000: 1 repository (a cache of up)", "  a"],
            ),
            (
                {"repositories": {}, "hidden": 2},
                [
                    "main  reg:5000: 0 repositories, 0 tags",
                    "  2 empty repositories of the smoke test left out (--all)",
                ],
            ),
        ],
    )
    def test_without_tags(self, changes, lines):
        assert self.said(self.found(**changes)) == lines

    def test_a_narrow_terminal_is_kept(self):
        assert max(map(len, self.said(self.found(), width=60, terminal=True)[1:])) <= 60
        assert len(self.said(self.found(), width=60)[2]) > 60

    def test_the_document(self):
        broken = RegistryImages("other", "other:5000", error="refused", hint="does it run?")
        document = json.loads(images_json.document("acme", [self.found(), broken]))
        assert document == {
            "version": 1,
            "fleet": "acme",
            "registries": {
                "main": {
                    "endpoint": "reg:5000",
                    "repositories": {
                        "team/app": [
                            {
                                "tag": "v1",
                                "digest": DIGEST,
                                "media_type": "application/vnd.oci.image.index.v1+json",
                                "bytes": 2_000_000,
                                "platforms": ["linux/amd64", "linux/arm64/v8"],
                                "created": "2030-01-02T03:04:05.678Z",
                                "missing_manifests": 0,
                            }
                        ],
                        "team/chart": [
                            {
                                "tag": "v1",
                                "digest": DIGEST,
                                "media_type": "x",
                                "bytes": 10,
                                "platforms": [],
                                "created": None,
                                "missing_manifests": 2,
                            }
                        ],
                        "old": [],
                    },
                    "hidden_repositories": 0,
                    "note": None,
                    "error": None,
                },
                "other": {
                    "endpoint": "other:5000",
                    "repositories": {},
                    "hidden_repositories": 0,
                    "note": None,
                    "error": "refused (hint: does it run?)",
                },
            },
            "ok": False,
        }

    def test_all_well(self):
        assert json.loads(images_json.document("acme", [self.found()]))["ok"] is True


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (JobStatus("backup"), ""),
        (JobStatus("backup", DAILY), "backup: not yet; every 1d at 02:00"),
        (JobStatus("backup", DAILY, LAST, {"kept": 7, "oldest": AT - 6 * 86400}),
         "backup: 1 hour ago by itself, 7 kept, the oldest from 6 days ago; every 1d at 02:00"),
        (JobStatus("collection", last=LAST, figures={"bytes_freed": 5000}),
         "collection: 1 hour ago by itself, freed 5.0 kB"),
        (JobStatus("collection", last=replace(LAST, result="failed", error="no room")),
         "collection: 1 hour ago by itself, failed: no room"),
        (JobStatus("collection", error="its record cannot be read"),
         "collection: its record cannot be read"),
    ],
)  # fmt: skip
def test_the_last_run_of_a_job_in_words(job, words):
    assert care_text.job_text(job, NOW) == words
