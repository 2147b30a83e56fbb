"""How registries grow: what is kept of looks, and what is told by it."""

import json

import pytest
from making import fleet, observed, registry

from regfleet import state_paths
from regfleet.model.observed import ObservedSpace
from regfleet.run.samples import DAY, MOST, SECONDS_APART, Sample, growth, keep, read
from regfleet.state import StateDirectory

NOW = Sample(1_000_000, 500, 1000)


@pytest.mark.parametrize(
    ("samples", "grown"),
    [
        ([], None),
        ([Sample(NOW.clock - SECONDS_APART + 1, 0, 1000)], None),
        ([Sample(NOW.clock - DAY, 400, 1000)], 100),
        ([Sample(NOW.clock - DAY // 2, 400, 1000)], 200),
        ([Sample(NOW.clock - 2 * DAY, 700, 1000)], -100),
        ([Sample(NOW.clock - DAY, 400, 2000)], None),  # another file system
        ([Sample(NOW.clock + DAY, 400, 1000)], None),  # its clock was set back
        ([Sample(NOW.clock - 9 * DAY, 0, 1000), Sample(NOW.clock - DAY, 490, 1000)], 10),
    ],
)
def test_growth(samples, grown):
    assert growth(samples, NOW) == grown


@pytest.fixture
def state(tmp_path):
    return StateDirectory(tmp_path / "state")


def seen(clock, free):
    space = {"/var/lib/registry": ObservedSpace(1000, free, 0, 0)}
    return {"reg1": observed(clock=clock, space=space)}


FLEET = fleet([registry(), registry("other", "other:1", external=True, hosts=(), users=())])


def test_a_sample_an_hour_is_kept_and_no_more_than_are_needed(state):
    for number in range(2 * MOST):
        keep(state, FLEET, seen(number * SECONDS_APART // 2, 900 - number))
    found = read(state)["main"]
    assert set(read(state)) == {"main"}
    assert len(found) == MOST
    assert found[-1] == Sample((2 * MOST - 2) * SECONDS_APART // 2, 100 + 2 * MOST - 2, 1000)


def test_of_a_host_that_was_not_seen_the_old_ones_stay(state):
    keep(state, FLEET, seen(0, 900))
    keep(state, FLEET, {})
    assert read(state) == {"main": (Sample(0, 100, 1000),)}
    keep(state, fleet([registry("new")]), {})
    assert read(state) == {}


@pytest.mark.parametrize(
    "kept", ["", "nonsense", "[]", '{"main": 1}', "[" * 100_000, '{"main": [[1, 2]]}']
)
def test_what_was_kept_is_not_believed(state, kept):
    state.write_text(state_paths.SPACE, kept)
    assert read(state) == {}
    keep(state, FLEET, seen(0, 900))
    assert json.loads(state.read_text(state_paths.SPACE)) == {"main": [[0, 100, 1000]]}
