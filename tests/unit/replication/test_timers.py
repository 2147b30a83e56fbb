"""What a host runs by itself: files for systemd or cron, when they are written, and the status."""

import json
import re
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from making import fleet, host, registry

from regfleet import timers
from regfleet.errors import HostError, UsageError
from regfleet.fleet.copies import copies, logins_on
from regfleet.fleet.policies import Replication
from regfleet.look.parse import parse
from regfleet.materials import RegistryMaterial
from regfleet.model.copies import COUNTS, STATES, CopyOutcome, CopyStatus
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedTimer
from regfleet.plan.part import PlanPart
from regfleet.plan.timers import timers_to_settle, with_timers
from regfleet.replication import bundle, engine, outcome
from regfleet.replication import timers as of_copies
from regfleet.replication.settings import STATE, settings, text
from regfleet.run.replicating import chosen
from regfleet.secret import Secret

MAIN = registry()
NORTH = registry("north", "north.example:5000", hosts=(host("north1"),), listen=("10.0.0.5", 5001))
HUB = registry("hub", "hub.example", hosts=(), external=True, users=())
POLICY = Replication("p", "main", ("north",), every=300, logins={"main": "ci", "north": "ci"})
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
MATERIAL = RegistryMaterial(None, b"CA", None, Secret(""), {"ci": Secret("s3cret")})


def whole(*policies):
    return fleet([MAIN, NORTH, HUB], [], replications={each.name: each for each in policies})


def copy_of(policy=POLICY):
    return copies(whole(policy))[0]


def seen_on(**changes):
    lines = ["@begin m", "@uid 0", "@init systemd", "@python /usr/bin/python3", "@end", "@end m"]
    return replace(parse("north1", lines, "m"), **changes)


@pytest.mark.parametrize(
    ("run_on", "to", "where"),
    [
        ("target", "north", "north1"),
        ("source", "north", "reg1"),
        ("controller", "north", None),
        ("target", "hub", None),
        ("source", "hub", "reg1"),
    ],
)
def test_where_a_copy_runs(run_on, to, where):
    found = copy_of(replace(POLICY, targets=(to,), run_on=run_on))
    assert (found.host.name if found.host else None) == where


def test_only_the_hosts_that_need_a_password_get_it():
    both = whole(POLICY)
    assert logins_on(both, {"north1"}) == {("main", "ci"), ("north", "ci")}
    assert logins_on(both, {"reg1"}) == set()
    assert logins_on(whole(replace(POLICY, every=0)), {"north1"}) == set()


def test_the_settings_are_the_engines():
    found = settings(copy_of(), {"main": MATERIAL, "north": MATERIAL})
    engine.check_settings(json.loads(text(found)))
    assert found["source"] == {
        "name": "main", "url": f"https://{MAIN.endpoint}", "ca": "CA", "user": "ci",
        "password": "s3cret",
    }  # fmt: skip
    assert found["target"]["connect"] == "10.0.0.5:5001"  # its own host's, where it runs
    assert found["ledger"] == f"/var/lib/regfleet/replication/{whole().name}.p.north.ledger"


def test_what_the_engine_says_is_understood():
    """Its program is sent to hosts, and shares no line with what reads its answers."""
    plain = replace(MATERIAL, ca=None)
    run = engine.Run(settings(copy_of(), {"main": plain, "north": plain}))
    assert tuple(run.count) == COUNTS
    run.count |= {name: number for number, name in enumerate(COUNTS)}
    for state in STATES:
        found = outcome.parse(run.result(state, 5.0))
        assert (found.state, found.counts) == (state, run.count)
    said = re.findall(r'(?:state = |stop\(|result\()"([a-z]+)"', bundle.text())
    assert set(said) == set(STATES)


def test_a_run_that_is_at_work_already_is_no_failure_of_its_unit(tmp_path, capsys):
    plain = replace(MATERIAL, ca=None)
    found = settings(copy_of(), {"main": plain, "north": plain}, state=str(tmp_path))
    (tmp_path / "s.json").write_text(text(found))
    engine.take_lock(found["lock"])
    code = engine.main([str(tmp_path / "s.json")])
    assert json.loads(capsys.readouterr().out)["state"] == "busy"
    service, _ = timers.fitted(of_copies.timer(copy_of()), "north1", seen_on())
    assert f"SuccessExitStatus={code}\n".encode() in service.content
    # The unit may write to nothing else.
    place = found["ledger"].replace(str(tmp_path), STATE).rpartition("/")[0]
    assert f"StateDirectory={place.removeprefix('/var/lib/')}\n".encode() in service.content


def test_two_that_copy_each_other_know_it():
    back = Replication("q", "north", ("main",), logins=POLICY.logins)
    assert [each.two_way for each in copies(whole(POLICY, back))] == [True, True]
    elsewhere = replace(back, repositories=("n/*",))
    ones = replace(POLICY, repositories=("hq/*",))
    assert [each.two_way for each in copies(whole(ones, elsewhere))] == [False, False]


def test_the_files_show_no_password():
    program, secrets = of_copies.files(
        copy_of(), settings(copy_of(), dict.fromkeys(("main", "north"), MATERIAL))
    )
    assert program.content == bundle.text().encode()
    assert (secrets.mode, secrets.secret) == (0o600, True)
    assert b"s3cret" in secrets.content
    assert "s3cret" not in secrets.shown + repr(secrets)


def test_systemd_gets_a_confined_service_and_a_timer():
    service, timer = timers.fitted(of_copies.timer(copy_of()), "north1", seen_on())
    assert service.path == "/etc/systemd/system/regfleet-replication-acme.p.north.service"
    assert (
        b"ExecStart=/usr/bin/python3 -I /etc/regfleet/replication.d/acme/engine.py"
        in service.content
    )
    assert b"ProtectSystem=strict" in service.content
    assert b"OnUnitInactiveSec=300s" in timer.content
    assert timers.name_of(timer.path) == of_copies.timer(copy_of()).name
    assert timers.name_of(service.path) == timers.name_of("/etc/systemd/system/x.timer") == ""


@pytest.mark.parametrize(
    ("every", "schedule"),
    [
        (60, "*/1 * * * *"), (300, "*/5 * * * *"), (420, "* * * * *"), (3600, "0 * * * *"),
        (5400, "* * * * *"), (6 * 3600, "0 */6 * * *"), (5 * 3600, "* * * * *"),
        (86400, "0 0 * * *"), (3 * 86400, "0 0 * * *"),
    ],
)  # fmt: skip
def test_cron_has_a_line_and_the_program_waits_for_its_time(every, schedule):
    found = of_copies.timer(copy_of(replace(POLICY, every=every)))
    (file,) = timers.fitted(found, "north1", seen_on(init="openrc", cron=True))
    assert "." not in file.path.rpartition("/")[2]  # or cron does not read it
    line = file.content.decode().splitlines()[1]
    assert line.startswith(f"{schedule} root /usr/bin/python3 -I ")
    assert line.endswith(f"--every {every} >/dev/null 2>&1")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"python": ""}, "no Python 3.6"),
        ({"python": "/usr/bin/python3; reboot"}, "no Python 3.6"),
        ({"init": "openrc"}, "neither systemd nor a cron"),
    ],
)
def test_a_host_that_cannot_is_told(changes, said):
    want = DesiredHost("north1", "acme", timers=(of_copies.timer(copy_of()),))
    with pytest.raises(HostError, match=said):
        with_timers(want, seen_on(**changes))
    by_hand = of_copies.timer(copy_of(replace(POLICY, every=0)))
    assert with_timers(replace(want, timers=(by_hand,)), seen_on(**changes)).files == ()


def test_a_timer_that_does_not_run_is_started():
    found = of_copies.timer(copy_of())
    want = DesiredHost("north1", "acme", timers=(found,))
    for timers_seen, expected in (
        ({}, 1),
        ({found.name: ObservedTimer("inactive")}, 1),
        ({found.name: ObservedTimer("active")}, 0),
    ):
        part = timers_to_settle(want, seen_on(timers=timers_seen), PlanPart(), PlanPart())
        assert len(part.changes) == len(part.steps) == expected


def test_a_record_of_a_hostile_host_is_read_within_bounds():
    kept = {"state": "ok", "counts": {"tags": 10**30, "copied": True, "same": "x"},
            "errors": ["x" * 10_000, 5] * 5000, "started": -1, "requests": [],
            "complete": 7}  # fmt: skip
    found = outcome.parse_text(json.dumps(kept))
    assert found.counts["tags"] == found.counts["copied"] == found.counts["same"] == 0
    assert (found.started, found.requests, found.complete) == (0, 0, 7)
    assert len(found.errors) <= 1000
    assert max(map(len, found.errors)) <= 400
    for text_ in ("", "[]", "[" * 100_000, '{"state": "fine"}', "nul\0"):
        assert outcome.parse_text(text_) is None


def test_when_a_copy_needs_attention():
    at = int(NOW.timestamp())
    fine = CopyOutcome("ok", complete=at - 600)
    status = CopyStatus("p.north", "main", "north", "north1", 300, fine)
    assert (status.attention(NOW), status.lag(NOW)) == ((), 600)
    late = replace(status, last=replace(fine, complete=at - 6000))
    assert late.attention(NOW) == ("late",)
    assert replace(status, last=None).attention(NOW) == ("late",)
    away = replace(status, last=replace(fine, state="away"))
    assert away.attention(NOW) == ("away",)
    assert replace(status, every=0, last=None).attention(NOW) == ()


def test_the_copies_that_a_command_names():
    found = whole(POLICY, Replication("q", "main", ("north", "hub"), repositories=("x",)))
    names = lambda name, hosts=None: [each.name for each in chosen(found, name, hosts)]  # noqa: E731
    assert names("") == ["p.north", "q.north", "q.hub"]
    assert names("q") == ["q.north", "q.hub"]
    assert names("q.hub") == ["q.hub"]
    assert names("", ["north1"]) == ["p.north", "q.north"]
    with pytest.raises(UsageError, match="no replication nort"):
        names("nort")
    with pytest.raises(UsageError, match="runs on the chosen hosts"):
        names("", ["reg1"])
    with pytest.raises(UsageError, match="declares no replication"):
        chosen(whole(), "", None)


def test_every_of_cron_does_nothing_before_its_time(tmp_path, capsys):
    record = tmp_path / "record.json"
    record.write_text(json.dumps({"started": int(datetime.now(timezone.utc).timestamp()) - 100}))
    found = {"version": 1, "policy": "p", "record": str(record), "deadline": 5,
             "source": {"url": "http://127.0.0.1:1"},
             "target": {"url": "http://127.0.0.1:1"}}  # fmt: skip
    (tmp_path / "s.json").write_text(json.dumps(found))
    assert engine.main([str(tmp_path / "s.json"), "--every", "300"]) == 0
    assert capsys.readouterr().out == ""
