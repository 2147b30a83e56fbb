"""What a run does with what its hosts come to: waves, failures, interruptions, the report.

The hosts here are functions; that real ones come to the same is seen in tests/fleet and
tests/faults.
"""

from contextlib import nullcontext
from dataclasses import replace

import pytest
from making import (
    SALT,
    client,
    desired,
    fleet,
    host,
    login,
    materials,
    observed,
    registry,
    with_login,
)
from reports import FILE

from regfleet.errors import HostError, InterruptedRunError, RegfleetError, UnreachableError
from regfleet.fleet.policies import Rollout
from regfleet.jobs.running import Ended
from regfleet.model.checks import Check
from regfleet.model.plan import LogIn, Plan
from regfleet.model.report import HostReport, Report
from regfleet.run.apply import Runner
from regfleet.run.progress import Progress
from regfleet.run.proof import Proof
from regfleet.run.turns import UNREACHABLE
from regfleet.state import StateDirectory
from regfleet.touch.outcome import Outcome

NAMES = ["web1", "web2", "web3"]
EXTERNAL = registry("main", external=True, hosts=(), users=())
FLEET = fleet(
    [EXTERNAL],
    [client(hosts=tuple(map(host, NAMES)))],
    rollout=Rollout(1, 1, 5),
)


class Hosts:
    """The session and the work of a run, each host's part a function; None for all going well."""

    def __init__(self, whole, plan=None, touch=None, smoke=None):
        self.fleet, self.materials = whole, materials(whole)
        self.desired = {name: desired(name=name) for name in whole.hosts()}
        self.seen = dict.fromkeys(whole.hosts(), observed())
        self.stopped, self.gone = False, {}
        self.touched, self.smoked = [], []
        self._plan, self._touch, self._smoke = plan, touch, smoke

    def each(self, work, names):
        for name in names:
            if self.stopped:
                yield name, InterruptedRunError(name)
                continue
            try:
                yield name, work(name)
            except RegfleetError as error:
                yield name, error

    def connect(self, name):
        if self._plan:
            self._plan(name)

    def plan(self, name):
        return (self._plan and self._plan(name)) or Plan(name, (FILE,))

    def touch(self, name, _plan):
        self.touched.append(name)
        return (self._touch and self._touch(name)) or Outcome("changed")

    def smoke(self, name):
        self.smoked.append(name)
        return (self._smoke and self._smoke(name)) or (Check("main/pull", "passed"),)


class Watch:
    """Notes what is shown."""

    def __init__(self):
        self.opened, self.closed = [], []

    def during(self, stage):
        self.opened.append(stage.opening)
        return nullcontext() if stage is None else self._closing(stage)

    def _closing(self, stage):
        watch = self

        class Closing(nullcontext):
            def __exit__(self, *_):
                watch.closed.append(stage.result().plain.rpartition(", ")[0])

        return Closing()


def runner(hosts, whole=FLEET):
    names = list(whole.hosts())
    report = Report("acme", {name: HostReport(name) for name in names})
    watch = Watch()
    made = Runner(whole, hosts, hosts, names, report, Progress(watch), SALT)
    return made, watch


def statuses(made):
    return [host.status for host in made.report.hosts.values()]


def test_a_run_wave_by_wave():
    hosts = Hosts(FLEET)
    made, watch = runner(hosts)
    made.plan()
    made.touch(smoke=True)
    assert statuses(made) == ["changed"] * 3
    assert hosts.touched == hosts.smoked == NAMES
    assert watch.opened == [
        "looking at 3 hosts",
        "wave 1 of 3: changing web1",
        "wave 2 of 3: changing web2 (1 host before)",
        "wave 3 of 3: changing web3 (2 hosts before)",
    ]
    assert watch.closed == [
        "looking at 3 hosts: 3 done",
        "wave 1 of 3: changing web1: 1 done",
        "wave 2 of 3: changing web2: 1 done",
        "wave 3 of 3: changing web3: 1 done",
    ]


def test_where_the_changes_come_from_is_known_behind_the_plan():
    made, _ = runner(Hosts(FLEET))
    made.plan()
    assert made.report.hosts["web1"].origins == {FILE: "fleet"}


def test_a_host_that_cannot_be_looked_at_is_left_out():
    def plan(name):
        if name == "web2":
            raise UnreachableError(name, "no way")

    hosts = Hosts(FLEET, plan=plan)
    made, watch = runner(hosts)
    made.plan()
    made.touch(smoke=True)
    assert statuses(made) == ["changed", "unreachable", "changed"]
    assert watch.closed[0] == "looking at 3 hosts: 2 done, 1 failed"
    assert watch.opened[1:] == [
        "wave 1 of 2: changing web1",
        "wave 2 of 2: changing web3 (1 host before)",
    ]


@pytest.mark.parametrize(("most", "touched"), [(0, NAMES[:1]), (1, NAMES), (None, NAMES)])
def test_after_too_many_failures_nobody_is_touched(most, touched):
    def touch(name):
        return Outcome("rolled-back", "it broke") if name == "web1" else None

    whole = replace(FLEET, rollout=Rollout(1, 1, most))
    hosts = Hosts(whole, touch=touch)
    made, watch = runner(hosts, whole)
    made.plan()
    made.touch(smoke=True)
    assert hosts.touched == touched
    assert hosts.smoked == touched[1:]
    skipped = made.report.hosts["web3"]
    if most == 0:
        assert (skipped.status, skipped.hint) == ("skipped", "fix what failed, then run this again")
        assert "web1 failed, more than max_failures = 0" in skipped.error
    else:
        assert "(2 hosts before, 1 failed)" in watch.opened[-1]


def test_a_smoke_test_that_fails_is_a_failure():
    hosts = Hosts(FLEET, smoke=lambda _: (Check("main/pull", "failed"),))
    made, watch = runner(hosts)
    made.plan()
    made.touch(smoke=True)
    assert watch.closed[1] == "wave 1 of 3: changing web1: 1 failed"
    assert not made.report.ok


def test_interrupted_in_the_middle_of_a_wave():
    """What was changed is said to be untested, and is not said to have been skipped."""

    def touch(name):
        hosts.stopped = name == "web2"

    hosts = Hosts(FLEET, touch=touch)
    made, watch = runner(hosts)
    made.plan()
    made.touch(smoke=True)
    assert statuses(made) == ["changed", "changed", "skipped"]
    assert [host.untested for host in made.report.hosts.values()] == [False, True, False]
    assert made.report.hosts["web3"].error == "not touched: interrupted"
    assert made.report.hosts["web3"].hint == ""
    assert watch.closed[-1] == "wave 2 of 3: changing web2: 1 changed"


def test_a_host_with_nothing_to_test_is_not_untested():
    def touch(_name):
        hosts.stopped = True

    whole = fleet([], [client(hosts=(host("web1"),), registries=())])
    hosts = Hosts(whole, touch=touch)
    made, _ = runner(hosts, whole)
    made.plan()
    made.touch(smoke=True)
    assert not made.report.hosts["web1"].untested


def test_a_connection_that_breaks_in_the_smoke_test_fails_the_host():
    def smoke(name):
        raise HostError(name, "the connection broke")

    made, _ = runner(Hosts(FLEET, smoke=smoke))
    made.connect()
    made.smoke(NAMES)
    assert statuses(made) == ["failed"] * 3


@pytest.mark.parametrize(
    ("clients_first", "expected"), [(False, ["reg1", "web1"]), (True, ["web1", "reg1"])]
)
def test_registries_come_first_or_last(clients_first, expected):
    whole = fleet([registry()], [client(hosts=(host("web1"),), logins=with_login())])
    hosts = Hosts(whole)
    made, _ = runner(hosts, whole)
    made.plan()
    made.touch(smoke=False, clients_first=clients_first)
    assert hosts.touched == expected
    assert hosts.smoked == []


def test_each_host_of_a_registry_is_proven_though_there_is_nothing_to_check(monkeypatch, tmp_path):
    """In plain HTTP and without users a registry has nothing to refuse, and no client is there."""

    class Asked:
        def __init__(self, _work):
            pass

        def clean(self, _checks):
            return {}

        def refusals(self, _registry, _host):
            return ()

    monkeypatch.setattr("regfleet.run.registries.Registries", Asked)
    monkeypatch.setattr("regfleet.run.shared.to_prove", lambda *_: [])
    whole = fleet([registry(hosts=(host("reg1"), host("reg2")), users=())], [])
    made, _ = runner(Hosts(whole), whole)
    made.proof = Proof(whole, StateDirectory(tmp_path))
    made.plan()
    made.touch(smoke=True)
    made.settle(owed=True)
    assert statuses(made) == ["changed"] * 2
    assert made.report.ok
    assert made.proof.hosts == {}


@pytest.mark.parametrize(
    ("clients_first", "expected"),
    [(False, ["skipped", "unreachable", "skipped"]), (True, ["changed", "unreachable", "changed"])],
)
def test_others_of_a_registry_wait_for_one_that_cannot_be_reached(
    monkeypatch, clients_first, expected
):
    """It may be away while they restart. What is removed goes from the hosts that are left."""

    def plan(name):
        if name == "reg2":
            raise UnreachableError(name, "no way")

    monkeypatch.setattr("regfleet.run.shared.to_prove", lambda *_: [])
    whole = fleet([registry(hosts=tuple(map(host, ("reg1", "reg2", "reg3"))), users=())], [])
    made, _ = runner(Hosts(whole, plan=plan), whole)
    made.plan(clients_first=clients_first)
    ready = list(made.ready)
    made.touch(smoke=False, clients_first=clients_first)
    assert statuses(made) == expected
    assert ready == [name for name in made.names if made.report.hosts[name].status == "changed"]
    if not clients_first:
        said = f"the registry main on reg2 {UNREACHABLE}"
        assert made.report.hosts["reg1"].skip == said
        assert made.report.hosts["reg1"].error == f"not touched: {said}"


def test_whoever_logs_in_where_a_host_is_skipped_is_known_to_be_skipped(monkeypatch):
    """Before anybody is asked: as the run goes on, so it is foreseen."""

    def plan(name):
        if name == "reg2":
            raise UnreachableError(name, "no way")
        return Plan(name, (FILE,), (LogIn(login()),)) if name == "web1" else None

    monkeypatch.setattr("regfleet.run.shared.to_prove", lambda *_: [])
    whole = fleet(
        [registry(hosts=(host("reg1"), host("reg2")))],
        [client(hosts=(host("web1"),)), client("other", hosts=(host("web2"),))],
    )
    made, _ = runner(Hosts(whole, plan=plan), whole)
    made.plan()
    foreseen = {name: each.skip for name, each in made.report.hosts.items()}
    assert foreseen["web1"].startswith("the registry main on ")
    assert made.ready == ["web2"]
    made.touch(smoke=False)
    assert statuses(made) == ["skipped", "unreachable", "skipped", "changed"]
    assert made.report.hosts["web1"].error == f"not touched: {foreseen['web1']}"


def test_jobs_are_done_side_by_side_and_answer_by_host():
    class Working(Hosts):
        def do(self, name, job):
            if name == "web3":
                raise UnreachableError(name, "no SSH connection", "")
            outcome = Outcome("changed" if name in self.well else "rolled-back")
            if name not in self.well:
                outcome = replace(outcome, error="why", hint="mend")
            return Ended(outcome, job)

    hosts = Working(FLEET)
    hosts.well = {"web1"}
    made, watch = runner(hosts)
    assert made.do("counting on", {name: f"job of {name}" for name in NAMES}) == {
        "web1": "job of web1"
    }
    assert statuses(made) == ["changed", "rolled-back", "unreachable"]
    assert made.report.hosts["web2"].error == "why"
    assert made.report.hosts["web2"].hint == "mend"
    # A later job of a host is done, and makes none of this good.
    assert made.do("more on", {"web2": "another", "web1": "another"}) == {"web1": "another"}
    assert made.report.hosts["web2"].error == "why"
    assert statuses(made) == ["changed", "rolled-back", "unreachable"]
    hosts.well = {"web2"}
    assert made.do("more on", {"web2": "a third", "web1": "a third"}) == {"web2": "a third"}
    assert statuses(made) == ["rolled-back", "rolled-back", "unreachable"]
    assert not made.report.ok
    assert watch.opened[:1] == ["counting on 3 hosts"]


def test_who_is_interrupted_before_a_later_job_is_not_done():
    class Working(Hosts):
        def do(self, name, job):
            if job == "bad":
                raise HostError(name, "no space", "make room")
            return Ended(Outcome("changed"), job)

    hosts = Working(FLEET)
    made, _ = runner(hosts)
    made.do("backing up on", {"web1": "first", "web2": "bad"})
    hosts.stopped = True
    made.do("backing up on", {"web1": "second", "web2": "second"})
    assert statuses(made) == ["skipped", "failed", "unchanged"]
    assert made.report.hosts["web1"].error == "interrupted before its turn"
    assert made.report.hosts["web2"].error == "no space; interrupted before its turn"
    assert not made.report.ok
    # What was changed, and is only to be proven or taken back, stays changed.
    again, _ = runner(hosts)
    again.report.hosts["web1"].status = "changed"
    again.do("going back on", {"web1": "back"}, changed=True)
    assert (statuses(again)[0], again.report.hosts["web1"].untested) == ("changed", True)
