"""Hosts of one registry that come all at once, as pyinfra has them: one after the other."""

import threading
import time

from making import fleet, host, registry

from regfleet.fleet.registries import Gateway
from regfleet.run.turns import INTERRUPTED, UNREACHABLE, Turns

FLEET = fleet(
    [
        registry(hosts=(host("a"), host("b")), gateway=Gateway("nginx", hosts=(host("lb"),))),
        registry("two", "two.example.com:5000", hosts=(host("b"), host("c"))),
        registry("one", "one.example.com:5000", hosts=(host("d"),)),
        registry("other", "other.example.com:5000", hosts=(host("d"),)),
    ],
    [],
)


def at_once(turns, *names, together=frozenset()):
    """The hosts that had their turns at a time, of those which come all at once, and the order.

    Args:
        together: they keep their turns until all of them have had theirs.
    """
    having, most, order, lock = [], [[]], [], threading.Condition()
    begin = threading.Barrier(len(names))

    def touch(name):
        begin.wait()
        with turns.of(name):
            with lock:
                having.append(name)
                order.append(name)
                most.append(sorted(having))
                lock.notify_all()
                if name in together:
                    lock.wait_for(lambda: together <= {*max(most, key=len)}, 30)
            time.sleep(0.05)
            with lock:
                having.remove(name)

    threads = [threading.Thread(target=touch, args=(name,)) for name in names]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return max(most, key=len), order


def test_hosts_of_one_registry_have_their_turns_one_after_the_other():
    together, order = at_once(Turns(FLEET), "lb", "b", "a")
    assert len(together) == 1
    assert order == ["a", "b", "lb"]  # as in the fleet file


def test_others_need_not_wait():
    together, order = at_once(Turns(FLEET), "a", "c", "d", together={"a", "c"})
    assert {"a", "c"} <= set(together)
    assert order[0] == "d"  # its registries are on no other host: it waits for nobody


def test_a_host_that_is_of_two_registries_waits_for_both_and_nobody_for_ever():
    together, order = at_once(Turns(FLEET), "a", "b", "c", "lb")
    assert "b" not in together or together == ["b"]
    assert sorted(order) == ["a", "b", "c", "lb"]


def test_where_one_failed_the_others_stay_as_they_are():
    turns = Turns(FLEET)
    with turns.of("a") as why:
        assert why == ""
        turns.failed("a")
    for name in ("b", "lb"):
        with turns.of(name) as why:
            assert why == "the registry main on a failed"
    for name in ("c", "d"):
        with turns.of(name) as why:
            assert why == ""


def test_one_that_cannot_be_connected_to_has_no_turn_and_holds_up_the_others():
    turns = Turns(FLEET)
    turns.failed("a", UNREACHABLE)
    with turns.of("b") as why:
        assert why == f"the registry main on a {UNREACHABLE}"
    with turns.of("c") as why:
        assert why == ""


def test_a_host_of_no_fleet_holds_up_nobody():
    turns = Turns(FLEET)
    turns.failed("of-an-inventory-alone", UNREACHABLE)
    with turns.of("a") as why:
        assert why == ""


def test_a_registry_of_one_host_holds_up_nobody():
    turns = Turns(FLEET)
    turns.failed("d")
    with turns.of("d") as why:
        assert why == ""


def test_nobody_has_a_turn_once_it_was_stopped():
    """Not one that waits for its turn, nor one that never has to."""
    turns = Turns(FLEET)
    with turns.of("a") as why:
        assert why == ""
        turns.stop()
    for name in ("b", "c", "d", "lb"):
        with turns.of(name) as why:
            assert why == INTERRUPTED
