"""The ownership record: what is written is read, and what is none is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet.record import (
    Owned,
    OwnedContainer,
    OwnedList,
    OwnedLogin,
    OwnedValue,
    RecordError,
    parse,
    render,
)

text = st.text(max_size=10)
texts = st.lists(text, max_size=3).map(tuple)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
owned = st.builds(
    Owned,
    files=texts,
    directories=texts,
    daemon_created=st.booleans(),
    lists=st.dictionaries(text, st.builds(OwnedList, texts, st.booleans()), max_size=3),
    values=st.dictionaries(
        text, st.builds(OwnedValue, json_values, json_values, st.booleans()), max_size=3
    ),
    logins=st.lists(st.builds(OwnedLogin, text, text, text, text), max_size=2).map(tuple),
    containers=st.lists(st.builds(OwnedContainer, text, text, text), max_size=2).map(tuple),
    digests=st.dictionaries(text, text, max_size=3),
)


@given(st.dictionaries(text, owned, max_size=3))
def test_parse_of_render_is_identity_but_for_fleets_that_own_nothing(fleets):
    assert parse(render(fleets)) == {name: each for name, each in fleets.items() if each}


@given(st.dictionaries(text, owned, max_size=3))
def test_it_is_the_same_text_in_whatever_order_fleets_come(fleets):
    assert render(fleets) == render(dict(reversed(fleets.items())))


@pytest.mark.parametrize("blank", [None, "", " \n"])
def test_none_is_an_empty_one(blank):
    assert parse(blank) == {}


def test_a_container_of_a_record_without_images_had_none():
    section = json.loads(render({"a": Owned(containers=(OwnedContainer("c", "/s"),))}))
    del section["fleets"]["a"]["containers"][0]["image"]
    assert parse(json.dumps(section))["a"].containers == (OwnedContainer("c", "/s", ""),)


def test_a_record_without_digests_had_none():
    section = json.loads(render({"a": Owned(files=("/x",), digests={"/x": "aa"})}))
    del section["fleets"]["a"]["digests"]
    assert parse(json.dumps(section))["a"] == Owned(files=("/x",))


def broken(**changes):
    document = json.loads(render({"a": Owned(files=("/x",))}))
    section = document["fleets"]["a"]
    for key, value in changes.items():
        if value is None:
            del section[key]
        else:
            section[key] = value
    return json.dumps(document)


REFUSED = {
    "no JSON": "{",
    "a list": "[]",
    "no version": "{}",
    "another version": '{"version": 2, "fleets": {}}',
    "no fleets": '{"version": 1}',
    "fleets are a list": '{"version": 1, "fleets": []}',
    "a fleet is text": '{"version": 1, "fleets": {"a": "x"}}',
    "files are missing": broken(files=None),
    "files are text": broken(files="abc"),
    "a file is a number": broken(files=[1]),
    "a directory is an object": broken(directories=[{}]),
    "lists are a list": broken(lists=[]),
    "entries are missing": broken(lists={"k": {"existed": True}}),
    "entries are numbers": broken(lists={"k": {"entries": [1], "existed": True}}),
    "a value is bare": broken(values={"debug": True}),
    "a login is text": broken(logins=["x"]),
    "a login lacks a field": broken(logins=[{"account": "root"}]),
    "a login has one too many": broken(
        logins=[{"account": "", "endpoint": "", "user": "", "digest": "", "more": ""}]
    ),
    "a login's field is a number": broken(
        logins=[{"account": 1, "endpoint": "", "user": "", "digest": ""}]
    ),
    "a container is null": broken(containers=[None]),
    "digests are a list": broken(digests=["x"]),
    "a digest is a number": broken(digests={"/x": 1}),
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_record_is_refused(name):
    with pytest.raises(RecordError):
        parse(REFUSED[name])


def test_the_reason_says_what_is_missing():
    with pytest.raises(RecordError, match="'files' is missing"):
        parse(broken(files=None))


@pytest.mark.parametrize(
    ("one", "owns"),
    [
        (Owned(), False),
        (Owned(daemon_created=True), False),
        (Owned(files=("/x",)), True),
        (Owned(directories=("/x",)), True),
        (Owned(lists={"k": OwnedList(("e",), existed=False)}), True),
        (Owned(values={"k": OwnedValue(None, None, existed=False)}), True),
        (Owned(logins=(OwnedLogin("root", "e", "u", "d"),)), True),
        (Owned(containers=(OwnedContainer("c", "/s"),)), True),
    ],
)
def test_owning_something(one, owns):
    assert bool(one) is owns
