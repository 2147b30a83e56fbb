"""The laws of merging into a document, for any format: what differs is how much of the text is
given back, and that is the caller's to say."""

from hypothesis import strategies as st

from regfleet.documents.interface import same
from regfleet.documents.merge import merge
from regfleet.model.desired import WantedSettings

NOTHING = WantedSettings()


def wants(lists, values, of_values):
    """What a fleet may want of some keys: entries in lists, whole values."""
    entries = st.lists(st.sampled_from("abcdef"), unique=True, max_size=4).map(tuple)
    return st.builds(
        WantedSettings,
        st.dictionaries(st.sampled_from(lists), entries, max_size=4),
        st.dictionaries(st.sampled_from(values), of_values, max_size=4),
    )


def there_and_back(document, want):
    """The text after merging and taking all out again."""
    there = merge(document, want, {}, {})
    back = merge(there.after, NOTHING, there.owned_lists, there.owned_values)
    assert not back.owned_lists
    assert not back.owned_values
    return back.after


def check_merge(document, want):
    """All that holds of one merge, but for the way back."""
    text = document.text()
    merged = merge(document, want, {}, {})
    after = merged.after
    assert document.text() == text
    for key, wanted in want.lists.items():
        assert set(wanted) <= set(after.get(key, ()))
    for key, value in want.values.items():
        assert same(after[key], value)
    for key, value in document.items():
        if key in want.lists:
            assert after[key][: len(value or ())] == (value or [])
        elif key not in want.values:
            # Where a table belongs, YAML's null is one.
            assert after[key] == value or (value is None and isinstance(after[key], dict))
    again = merge(after, want, merged.owned_lists, merged.owned_values)
    assert again.changes == ()
    assert again.after.text() == after.text()
    assert again.owned_lists == merged.owned_lists
    assert again.owned_values == merged.owned_values
    told = {change.key for change in merged.changes}
    assert told == {
        key
        for key in {*document, *after}
        if (key in document) != (key in after)
        or (not same(document[key], after[key]) and not isinstance(after[key], dict))
    }


def two_fleets(document, steps, last):
    """What two fleets leave of a document when both have gone."""
    now, owned = document, {"one": ({}, {}), "two": ({}, {})}
    for fleet, want in [*steps, *((fleet, NOTHING) for fleet in last)]:
        others = [theirs for name, theirs in owned.items() if name != fleet]
        merged = merge(now, want, *owned[fleet], others)
        now, owned[fleet] = merged.after, (merged.owned_lists, merged.owned_values)
    return now
