"""The ownership record: what is written is read, and what is none is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet.documents.interface import path
from regfleet.record import (
    DAEMON_JSON,
    BroughtImage,
    Owned,
    OwnedEdit,
    OwnedList,
    OwnedLogin,
    OwnedService,
    OwnedValue,
    RecordError,
    parse,
    parse_brought,
    render,
)

text = st.text(max_size=10)
texts = st.lists(text, max_size=3).map(tuple)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
edits = st.builds(
    OwnedEdit,
    st.booleans(),
    st.dictionaries(text, st.builds(OwnedList, texts, st.booleans()), max_size=3),
    st.dictionaries(
        text, st.builds(OwnedValue, json_values, json_values, st.booleans()), max_size=3
    ),
)
owned = st.builds(
    Owned,
    files=texts,
    directories=texts,
    edits=st.dictionaries(text, edits.filter(bool), max_size=3),
    logins=st.lists(st.builds(OwnedLogin, text, text, text, text), max_size=2).map(tuple),
    services=st.lists(st.builds(OwnedService, text, text, text), max_size=2).map(tuple),
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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, set()),
        ("", set()),
        ("a\tdocker\tregistry:2\nb\tpodman\tr.test:5000/app@sha256:ab\n",
         {("a", "docker", "registry:2"), ("b", "podman", "r.test:5000/app@sha256:ab")}),
        ("a\tdocker\tregistry:2\na\tdock", {("a", "docker", "registry:2")}),  # cut off
        ("junk\n\n\t\t\na\tb\tc\td\n", set()),
    ],
)  # fmt: skip
def test_images_that_were_brought(text, found):
    assert parse_brought(text) == {BroughtImage(*each) for each in found}


def test_a_service_of_a_record_without_registries_is_named_for_its_own():
    recorded = Owned(services=(OwnedService("regfleet-main", "/s", registry="main"),))
    section = json.loads(render({"a": recorded}))
    assert parse(json.dumps(section))["a"] == recorded
    del section["fleets"]["a"]["services"][0]["registry"]
    assert parse(json.dumps(section))["a"] == recorded


def test_a_container_of_a_record_without_images_had_none():
    section = json.loads(render({"a": Owned(services=(OwnedService("c", "/s"),))}))
    del section["fleets"]["a"]["services"][0]["image"]
    assert parse(json.dumps(section))["a"].services == (OwnedService("c", "/s", ""),)


def test_a_record_of_version_1_has_containers():
    section = json.loads(render({"a": Owned(services=(OwnedService("c", "/s", "registry:2"),))}))
    section["version"] = 1
    (service,) = section["fleets"]["a"].pop("services")
    del service["kind"]
    section["fleets"]["a"]["containers"] = [service]
    found = parse(json.dumps(section))["a"].services
    assert found == (OwnedService("c", "/s", "registry:2", "container"),)


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


def edited(**changes):
    return broken(edits={"/x": {"created": True, "lists": {}, "values": {}, **changes}})


REFUSED = {
    "no JSON": "{",
    "a list": "[]",
    "no version": "{}",
    "a later version": '{"version": 3, "fleets": {}}',
    "an earlier version": '{"version": 0, "fleets": {}}',
    "a version that is a list": '{"version": [], "fleets": {}}',
    "no fleets": '{"version": 1}',
    "fleets are a list": '{"version": 1, "fleets": []}',
    "a fleet is text": '{"version": 1, "fleets": {"a": "x"}}',
    "files are missing": broken(files=None),
    "files are text": broken(files="abc"),
    "a file is a number": broken(files=[1]),
    "a directory is an object": broken(directories=[{}]),
    "edits are a list": broken(edits=[]),
    "lists are missing": broken(edits={"/x": {"created": True, "values": {}}}),
    "lists are a list": edited(lists=[]),
    "entries are missing": edited(lists={"k": {"existed": True}}),
    "entries are numbers": edited(lists={"k": {"entries": [1], "existed": True}}),
    "a value is bare": edited(values={"debug": True}),
    "a login is text": broken(logins=["x"]),
    "a login lacks a field": broken(logins=[{"account": "root"}]),
    "a login has one too many": broken(
        logins=[{"account": "", "endpoint": "", "user": "", "digest": "", "more": ""}]
    ),
    "a login's field is a number": broken(
        logins=[{"account": 1, "endpoint": "", "user": "", "digest": ""}]
    ),
    "a service is null": broken(services=[None]),
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
        (Owned(files=("/x",)), True),
        (Owned(directories=("/x",)), True),
        (Owned(edits={"/x": OwnedEdit(lists={"k": OwnedList(("e",), existed=False)})}), True),
        (Owned(logins=(OwnedLogin("root", "e", "u", "d"),)), True),
        (Owned(services=(OwnedService("c", "/s"),)), True),
    ],
)
def test_owning_something(one, owns):
    assert bool(one) is owns


# As version 1 wrote it.
FIRST = """\
{
 "version": 1,
 "fleets": {
  "acme": {
   "files": [
    "/etc/docker/certs.d/r:5000/ca.crt"
   ],
   "directories": [
    "/etc/docker/certs.d"
   ],
   "daemon_created": true,
   "lists": {
    "registry-mirrors": {
     "entries": [
      "https://m"
     ],
     "existed": false
    }
   },
   "values": {
    "debug": {
     "value": true,
     "before": null,
     "existed": false
    }
   },
   "logins": [],
   "containers": [],
   "engine": "docker",
   "edits": {
    "/etc/sysconfig/docker": {
     "created": false,
     "lists": {
      "[\\"OPTIONS\\",\\"-x\\"]": {
       "entries": [
        "a"
       ],
       "existed": true
      }
     },
     "values": {}
    }
   },
   "digests": {}
  },
  "other": {
   "files": [],
   "directories": [
    "/x"
   ],
   "daemon_created": true,
   "lists": {},
   "values": {},
   "logins": [],
   "containers": [],
   "engine": "docker",
   "edits": {},
   "digests": {}
  }
 }
}
"""


def test_version_1_is_read_with_daemon_json_as_a_file_like_any_other():
    found = parse(FIRST)
    assert found == {
        "acme": Owned(
            files=("/etc/docker/certs.d/r:5000/ca.crt",),
            directories=("/etc/docker/certs.d",),
            engine="docker",
            edits={
                DAEMON_JSON: OwnedEdit(
                    True,
                    {path("registry-mirrors"): OwnedList(("https://m",), existed=False)},
                    {path("debug"): OwnedValue(True, None, existed=False)},
                ),
                "/etc/sysconfig/docker": OwnedEdit(
                    lists={path("OPTIONS", "-x"): OwnedList(("a",), existed=True)}
                ),
            },
        ),
        "other": Owned(directories=("/x",), engine="docker"),
    }
    again = json.loads(render(found))
    assert again["version"] == 2
    assert parse(json.dumps(again)) == found


def test_version_1_without_a_part_of_it_is_refused():
    document = json.loads(FIRST)
    del document["fleets"]["acme"]["lists"]
    with pytest.raises(RecordError, match="'lists' is missing"):
        parse(json.dumps(document))
