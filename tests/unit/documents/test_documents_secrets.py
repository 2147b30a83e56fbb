"""Secret values: in the file as they are, in the record as a digest, and ours all the same."""

import copy

import pytest

from regfleet.documents import toml, yaml
from regfleet.documents.interface import path
from regfleet.documents.merge import merge
from regfleet.model.desired import WantedSettings
from regfleet.record import OwnedValue

KEY = path("auth", "word")
FORMATS = pytest.mark.parametrize("read", [toml.parse, yaml.parse], ids=["toml", "yaml"])


def want(value):
    return WantedSettings({}, {KEY: value}, {}, frozenset({KEY}))


def document(read, value=None):
    made = read(None)
    if value is not None:
        made[KEY] = value
    return made


@FORMATS
def test_it_is_written_and_not_recorded(read):
    merged = merge(document(read), want("canary"), {}, {})
    assert merged.after[KEY] == "canary"
    assert "canary" not in repr(merged.owned_values)
    assert [change.secret for change in merged.changes] == [True]


@FORMATS
def test_it_is_known_again_replaced_and_taken_out(read):
    first = merge(document(read), want("one"), {}, {})
    again = merge(first.after, want("one"), {}, first.owned_values)
    assert again.changes == ()
    assert again.owned_values == first.owned_values
    second = merge(first.after, want("two"), {}, first.owned_values)
    assert second.after[KEY] == "two"
    assert second.owned_values[KEY] != first.owned_values[KEY]
    gone = merge(second.after, WantedSettings(), {}, second.owned_values, created=True)
    assert gone.after is None
    assert [change.secret for change in gone.changes] == [True]


@FORMATS
def test_what_somebody_put_in_its_place_is_theirs(read):
    ours = merge(document(read), want("one"), {}, {})
    changed = copy.copy(ours.after)
    changed[KEY] = "by hand"
    gone = merge(changed, WantedSettings(), {}, ours.owned_values)
    assert gone.after[KEY] == "by hand"
    assert not gone.owned_values


@FORMATS
def test_what_was_there_before_comes_back(read):
    ours = merge(document(read, "theirs"), want("one"), {}, {})
    gone = merge(ours.after, WantedSettings(), {}, ours.owned_values)
    assert gone.after[KEY] == "theirs"


@FORMATS
def test_it_stays_while_another_fleet_owns_one(read):
    """Which one that is, nobody can read from the record: it stays, and they put theirs right."""
    ours = merge(document(read), want("one"), {}, {})
    theirs = merge(document(read), want("two"), {}, {}).owned_values
    gone = merge(ours.after, WantedSettings(), {}, ours.owned_values, [({}, theirs)])
    assert gone.after[KEY] == "one"


def test_a_digest_says_nothing_of_another_key():
    one = merge(toml.parse(None), want("same"), {}, {}).owned_values[KEY]
    other = path("auth", "other")
    settings = WantedSettings({}, {other: "same"}, {}, frozenset({other}))
    assert merge(toml.parse(None), settings, {}, {}).owned_values[other] != one
    assert isinstance(one, OwnedValue)
