"""Which hosts are connected to before a command begins, and that its run takes that session up."""

from dataclasses import replace

import pytest
from making import client, fleet, host

from regfleet.ssh import early
from regfleet.ssh.session import Session

KNOWN, NEW, ANY = (
    replace(made, ssh=replace(made.ssh, host_key_checking=checking))
    for made, checking in (
        (host("web1"), "strict"),
        (host("web2"), "accept-new"),
        (host("web3"), "off"),
    )
)
FLEET = fleet(clients=[client(hosts=(KNOWN, NEW, ANY))])


@pytest.fixture(autouse=True)
def begun(monkeypatch):
    """What was begun."""
    names = []
    monkeypatch.setattr(Session, "begin", lambda _self, more: names.extend(more))
    yield names
    early._begun.clear()


def test_hosts_whose_keys_are_known_are_connected_to(begun):
    early.begin(FLEET, ["web1", "web2", "web3"], None)
    assert begun == ["web1"]


def test_a_run_takes_up_what_was_begun_once():
    early.begin(FLEET, ["web1"], 7)
    ((_, made),) = early._begun
    assert early.session(FLEET, 7) is made
    assert early.session(FLEET, 7) is not made


def test_another_fleet_gets_a_session_of_its_own():
    early.begin(FLEET, ["web1"], None)
    ((_, made),) = early._begun
    assert early.session(replace(FLEET, name="another"), None) is not made


def test_nothing_is_begun_where_no_key_is_known(begun):
    early.begin(FLEET, ["web2"], None)
    assert early._begun == []
    assert begun == []
