"""Hosts side by side: results as they come, and as many connections as may be open."""

import resource
import subprocess
import sys
from types import SimpleNamespace

import gevent
import pytest
from making import client, fleet, host

from regfleet.errors import HostError, InterruptedRunError, UnreachableError
from regfleet.ssh import links
from regfleet.ssh import session as sessions
from regfleet.ssh.session import Session

NAMES = [f"web{number}" for number in range(6)]
FLEET = fleet(clients=[client(hosts=tuple(host(name) for name in NAMES))])


def begin(parallel):
    return Session(FLEET, NAMES, parallel)


def test_results_come_before_the_last_host_is_begun():
    begun = []

    def work(name):
        begun.append(name)
        gevent.sleep(0.01)
        return name.upper()

    found = []
    for name, result in begin(2).each(work, NAMES):
        if not found:
            assert len(begun) < len(NAMES)
        found.append((name, result))
    assert sorted(found) == [(name, name.upper()) for name in NAMES]


def test_an_error_of_one_host_is_its_result():
    def work(name):
        if name == "web2":
            raise HostError(name, "is broken")
        return name

    found = dict(begin(2).each(work, NAMES))
    assert isinstance(found.pop("web2"), HostError)
    assert list(found) == list(found.values())


def test_after_a_stop_no_host_is_begun_and_those_at_work_finish():
    session = begin(2)
    begun = []

    def work(name):
        begun.append(name)
        gevent.sleep(0.01)
        session.stop()
        return name

    found = dict(session.each(work, NAMES))
    assert set(found) == set(NAMES)
    stopped = {name for name, result in found.items() if isinstance(result, InterruptedRunError)}
    assert stopped == set(NAMES) - set(begun)
    assert 2 <= len(begun) <= 4


def test_results_that_nobody_waits_for_end_the_work():
    ended = []

    def work(name):
        if name == "web0":
            return name
        try:
            gevent.sleep(60)
        finally:
            ended.append(name)

    results = begin(3).each(work, NAMES)
    assert next(results) == ("web0", "web0")
    results.close()
    gevent.sleep(0.05)
    assert set(ended) <= set(NAMES[1:4])
    assert 1 <= len(ended) <= 3


@pytest.mark.parametrize(
    "error", [RecursionError, ZeroDivisionError, OverflowError, MemoryError, KeyError]
)
def test_what_nobody_has_foreseen_is_one_hosts_error(error):
    def work(name):
        if name == NAMES[1]:
            raise error("x" * 10_000)
        return name

    found = dict(begin(2).each(work, NAMES))
    failed = found.pop(NAMES[1])
    assert isinstance(failed, HostError)
    assert error.__name__ in failed.message
    assert len(failed.message) < 400
    assert "regfleet has a defect" in failed.hint
    assert found == {name: name for name in NAMES if name != NAMES[1]}


def test_as_many_connections_as_files_may_be_open(monkeypatch):
    asked = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    for limits, kept, raised in [
        ((1024, 524288), 1000, (1100, 524288)),
        ((65536, 65536), 1000, None),
        ((256, 512), 412, (512, 512)),
        ((256, 256), 156, (256, 256)),
        ((1024, resource.RLIM_INFINITY), 1000, (1100, resource.RLIM_INFINITY)),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 1000, None),
    ]:
        monkeypatch.setattr(resource, "getrlimit", lambda _, found=limits: found)
        asked.clear()
        assert sessions._connections_to_keep() == kept
        assert asked == ([raised] if raised else [])


class TestConnections:
    @pytest.fixture
    def session(self):
        return begin(2)

    @pytest.fixture(autouse=True)
    def connected(self, session, monkeypatch):
        """The hosts that were connected to, in that order; web0 cannot be reached at first."""
        connected = []

        class Pyinfra:
            connector = None
            connected = False

            def __init__(self, name):
                self.name = name
                self.connector = SimpleNamespace()

            def connect(self, **_):
                connected.append(self.name)
                gevent.sleep(0.01)
                if connected.count("web0") == 1 and self.name == "web0":
                    raise OSError("no route")
                self.connected = True

        hosts = {name: Pyinfra(name) for name in NAMES}
        monkeypatch.setattr(session._links, "_pyinfra", hosts.get)
        return connected

    def test_they_are_waited_for_and_made_once(self, session, connected):
        session.begin(["web1", "web2"])
        gevent.sleep(0)
        assert connected == ["web1", "web2"]
        for name in ("web1", "web2", "web3"):
            session.connect(name)
            assert session._links._pyinfra(name).connected
        assert connected == ["web1", "web2", "web3"]

    def test_what_failed_is_told_and_the_next_time_it_is_tried_again(self, session, connected):
        session.begin(["web0"])
        with pytest.raises(UnreachableError, match="no route"):
            session.connect("web0")
        session.connect("web0")
        assert connected == ["web0", "web0"]

    def test_where_few_files_may_be_open_they_are_kept_until_used(self, session, connected):
        session._most = 1
        session.begin(["web1", "web2"])
        session.connect("web3")
        gevent.sleep(0.02)
        session.connect("web1")
        assert sorted(connected) == ["web1", "web3"]
        session.connect("web4")
        assert not session._links._pyinfra("web3").connected

    @pytest.mark.parametrize(("active", "times"), [(True, 1), (False, 2)])
    def test_a_connection_that_ended_meanwhile_is_made_anew(
        self, session, connected, monkeypatch, active, times
    ):
        session.connect("web1")
        transport = SimpleNamespace(is_active=lambda: active)
        monkeypatch.setattr(links.remote, "transport", lambda _: transport)
        monkeypatch.setattr(links, "_detect_lost_network", lambda _: None)
        session.connect("web1")
        assert connected == ["web1"] * times

    def test_they_end_with_the_session(self, session):
        session.begin(["web1"])
        gevent.sleep(0)
        session.close()
        assert isinstance(session._begun["web1"].get(), gevent.GreenletExit)


def test_a_fleet_without_hosts_has_nothing_to_do_and_can_be_closed():
    session = Session(fleet(), [])
    assert list(session.each(lambda name: name, [])) == []
    session.close()


def test_a_way_to_hosts_does_not_wait_for_what_asks_registries():
    """That takes as long to import as ten hosts to look at."""
    code = "import sys, regfleet.cli.runs, regfleet.ssh.session\nprint('urllib3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
