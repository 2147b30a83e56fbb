"""Waves and phases: every host once, the canaries first, registries before all others."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import client, fleet, host, registry

from regfleet.fleet.policies import Rollout
from regfleet.fleet.registries import Gateway
from regfleet.run.rollout import phases, schedule, waves
from regfleet.run.turns import Turns

rollouts = st.builds(
    Rollout,
    canary=st.integers(0, 5),
    batch=st.integers(1, 40) | st.integers(1, 100).map("{}%".format),
    max_failures=st.just(0),
)
many = st.integers(0, 60).map(lambda count: [f"web{number}" for number in range(count)])


@given(many, rollouts)
def test_every_host_once_in_order(hosts, rollout):
    found = waves(hosts, rollout)
    assert [name for wave in found for name in wave] == hosts
    assert all(found)


@given(many, rollouts)
def test_the_canaries_are_alone_and_no_wave_is_larger_than_the_batch(hosts, rollout):
    found = waves(hosts, rollout)
    if hosts and rollout.canary:
        assert found.pop(0) == tuple(hosts[: rollout.canary])
    if isinstance(rollout.batch, int):
        assert all(len(wave) <= rollout.batch for wave in found)
    else:
        percent = int(rollout.batch.removesuffix("%"))
        most = -(-len(hosts) * percent // 100)
        assert all(len(wave) <= most for wave in found)
    assert len({len(wave) for wave in found[:-1]}) <= 1


@pytest.mark.parametrize(
    ("count", "canary", "batch", "sizes"),
    [
        (0, 1, "20%", []),
        (1, 1, "20%", [1]),
        (5, 1, "20%", [1, 1, 1, 1, 1]),
        (10, 1, "20%", [1, 2, 2, 2, 2, 1]),
        (11, 0, "20%", [3, 3, 3, 2]),
        (10, 0, "7%", [1] * 10),
        (100, 0, "7%", [7] * 14 + [2]),
        (10, 2, "100%", [2, 8]),
        (10, 20, 1, [10]),
        (10, 1, 4, [1, 4, 4, 1]),
        (10, 0, 50, [10]),
    ],
)
def test_sizes(count, canary, batch, sizes):
    hosts = [f"web{number}" for number in range(count)]
    assert [len(wave) for wave in waves(hosts, Rollout(canary, batch, 0))] == sizes


FLEET = fleet(
    [registry(hosts=(host("reg1"), host("reg2")))],
    [client(hosts=(host("web1"), host("reg2"), host("web2")))],
)


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([], []),
        (["web1"], [("web1",)]),
        (["reg1"], [("reg1",)]),
        (["web1", "reg2", "web2", "reg1"], [("reg2", "reg1"), ("web1", "web2")]),
    ],
)
def test_registries_come_first(hosts, expected):
    assert phases(FLEET, hosts) == expected


@pytest.mark.parametrize(
    ("clients_first", "expected"),
    [
        (False, [("reg1",), ("reg2",), ("web1",), ("web2",)]),
        (True, [("web1",), ("web2",), ("reg1",), ("reg2",)]),
    ],
)
def test_all_waves_of_all_phases(clients_first, expected):
    whole = replace(FLEET, rollout=Rollout(1, 1, 0))
    hosts = ["web1", "reg1", "web2", "reg2"]
    assert schedule(whole, hosts, clients_first=clients_first) == expected


@given(st.lists(st.lists(st.integers(0, 9), unique=True, max_size=5), max_size=5))
def test_no_wave_has_two_hosts_of_one_registry(of_registries):
    """The others of its hosts serve meanwhile."""
    registries = [
        registry(f"r{number}", f"r{number}.lan:5000", hosts=tuple(host(f"h{at}") for at in hosts))
        for number, hosts in enumerate(of_registries)
    ]
    whole = replace(fleet(registries), rollout=Rollout(0, "100%", None))
    names = sorted({f"h{at}" for hosts in of_registries for at in hosts})
    found = schedule(whole, names)
    assert sorted(name for wave in found for name in wave) == names
    for wave in found:
        for each in registries:
            assert len(each.members & set(wave)) <= 1


def test_registries_behind_one_gateway_change_one_after_the_other():
    made = fleet(
        [
            registry("one", "one.example.com:5000", hosts=(host("a"),)),
            registry("two", "two.example.com:5000", hosts=(host("b"),)),
            registry("other", "other.example.com:5000", hosts=(host("c"),)),
            registry(
                "pair",
                "pair.example.com:5000",
                hosts=(),
                gateway=Gateway("nginx", hosts=(host("lb"),), before=("one", "two")),
            ),
        ],
        [],
        rollout=Rollout(canary=0, batch="100%", max_failures=0),
    )
    assert schedule(made, ["a", "b", "c", "lb"]) == [("a", "c"), ("b",), ("lb",)]
    turns = Turns(made)
    turns.failed("a")
    for name, left in (("b", True), ("lb", True), ("c", False)):
        with turns.of(name) as why:
            assert bool(why) is left
