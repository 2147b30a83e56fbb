from __future__ import annotations

import datetime as dt

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from regfleet.fleet import toml_text
from regfleet.fleet.findings import Place
from regfleet.fleet.lines import find_line, locate

DOCUMENT = '''\
top = 1
"quoted key" = "a # no comment" # a comment, [not.a.table]

[ssh] # x = 1
port = 22
dotted.key."with.dot" = 1.5

[registry.main]
hosts = [
  "a",  # ]
  { name = "b", ssh = { port = 1 } },
  [1, [2,
    3]],
]
text = """
[no.table]
x = 1\\"""
"""
after = \'\'\'
y = 2
\'\'\'
quotes = ["""a"""", "b", \'\'\'c\'\'\'\'\',
  "d"]
date = 1979-05-27 07:32:00.5
empty = []
last = {}
[[group]]
name = 'one'
[group.sub]
x = 1
[[group]]
name = "\\u0041\\"]"
"\\u0062" = 1
'''

LINES = [
    (("top",), 1),
    (("quoted key",), 2),
    (("ssh",), 4),
    (("ssh", "port"), 5),
    (("ssh", "dotted", "key"), 6),
    (("ssh", "dotted", "key", "with.dot"), 6),
    (("registry",), 8),
    (("registry", "main", "hosts"), 9),
    (("registry", "main", "hosts", 0), 10),
    (("registry", "main", "hosts", 1, "ssh", "port"), 11),
    (("registry", "main", "hosts", 2, 1, 1), 13),
    (("registry", "main", "text"), 15),
    (("registry", "main", "after"), 19),
    (("registry", "main", "quotes", 1), 22),
    (("registry", "main", "quotes", 3), 23),
    (("registry", "main", "date"), 24),
    (("registry", "main", "empty"), 25),
    (("registry", "main", "last"), 26),
    (("group", 0, "name"), 28),
    (("group", 0, "sub", "x"), 30),
    (("group", 1), 31),
    (("group", 1, "name"), 32),
    (("group", 1, "b"), 33),
    # not written: the nearest around it
    (("registry", "main", "endpoint"), 8),
    (("registry", "main", "hosts", 0, "name"), 10),
    (("client", "build"), 0),
    ((), 0),
]


@pytest.mark.parametrize(("place", "line"), LINES, ids=[toml_text.place(each[0]) for each in LINES])
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_line_of_a_place(place: Place, line: int, ending: str) -> None:
    text = DOCUMENT.replace("\n", ending)
    tomli.loads(text)  # the locator relies on it
    assert find_line(locate(text), place) == line


def places(item: object, at: Place = ()) -> list[Place]:
    children: list[tuple[str | int, object]] = []
    if isinstance(item, dict):
        children = list(item.items())
    elif isinstance(item, list):
        children = list(enumerate(item))
    return [at, *(place for key, child in children for place in places(child, (*at, key)))]


def test_every_place_of_the_document_is_found() -> None:
    assert set(locate(DOCUMENT)) == set(places(tomli.loads(DOCUMENT))) - {()}


KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
VALUES = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_what_is_written_reads_back_and_is_found(document: dict[str, object]) -> None:
    text = "".join(f"{toml_text.key(key)} = {toml_text.value(document[key])}\n" for key in document)
    assert tomli.loads(text) == document
    lines = locate(text)
    assert set(lines) == set(places(document)) - {()}
    assert [lines[(key,)] for key in document] == list(range(1, len(document) + 1))


@pytest.mark.parametrize(
    ("place", "written"),
    [
        ((), ""),
        (("client", "build", "mirrors", 0), "client.build.mirrors[0]"),
        (("a b", "", "c.d"), '"a b".""."c.d"'),
        (("daemon", "live-restore"), "daemon.live-restore"),
        (("ü",), '"ü"'),
        (("x\x7f",), '"x\\u007f"'),
        (("k" * 99, "x"), "k" * 60 + "….x"),
    ],
)
def test_a_place_as_it_is_typed(place: Place, written: str) -> None:
    assert toml_text.place(place) == written


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (True, "a boolean"),
        (1, "an integer"),
        (1.0, "a float"),
        ("", "a string"),
        ([], "an array"),
        ({}, "a table"),
        (dt.datetime(1979, 5, 27, tzinfo=dt.timezone.utc), "a date and time"),
        (dt.date(1979, 5, 27), "a date"),
        (dt.time(7, 32), "a time"),
        (None, "a NoneType"),
    ],
)
def test_types_by_their_toml_names(value: object, name: str) -> None:
    assert toml_text.type_name(value) == name
