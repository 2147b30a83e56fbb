"""TOML of others: what is ours goes in and comes out, each other byte stays where it was."""

import pathlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from merging import check_merge, there_and_back, two_fleets, wants

from regfleet.desired.model import DaemonSettings
from regfleet.documents.interface import NotReadableError, path
from regfleet.documents.merge import merge
from regfleet.documents.toml import parse

SAMPLES = {
    file.name: file.read_text()
    for file in sorted((pathlib.Path(__file__).parent / "samples").glob("*.toml"))
}
CRI_1 = ("plugins", "io.containerd.grpc.v1.cri", "registry")
CRI_2 = ("plugins", "io.containerd.cri.v1.images", "registry")

# ---- texts of somebody else ----

LISTS = [
    path("list"),
    path("a", "list"),
    path("a", "b", "list"),
    path("a", "in", "list"),
    path("new", "deep", "er", "list"),
    path("a", "dot", "list"),
]
VALUES = [
    path("v"),
    path("a", "v"),
    path("a", "b", "v"),
    path("a", "in", "v"),
    path("a", "in", "x", "v"),
    path("a", "dot", "v"),
    path("new", "v"),
    path("new", "deep", "v"),
    path("z y", "https://h:5000", "v"),
]
array = st.sampled_from(
    [
        "[]",
        "[ ]",
        '["a"]',
        "['x', 'y']",
        '[ "a", "x" ]',
        '["x","y",]',
        '[\n  "x",\n  "b",\n]',
        '[\n    "x",\n    "y"\n  ]',
        '[\n  "x", # first\n  "y" # last\n]',
        '[\n  "x", # first\n  "y", # last\n]',
        "[\n  # none\n]",
        '[ # open\n "x" , "y"\n ,]',
        '["x", "y"\n]',
    ]
)
# Of a value that is replaced, the spelling is lost with it (0x1f comes back as 31).
replaced = st.sampled_from(['"x"', "1", "true", '"it\'s ] } #"'])
foreign = st.sampled_from(
    ['"x"', "'x'", "1", "true", '"""\nx\n"""', "1979-05-27 07:32:00", "0x1f", "nan", '"] } # "']
)
lead = st.sampled_from(["", "", "  ", "\t"])
tail = st.sampled_from(["", "", " # why", " "])
between = st.sampled_from(["", "", "", "\n", "# note\n", "  # note\n\n", "\n# of the next\n"])


@st.composite
def body(draw, places=("",)):
    """Pairs of one table, each key once; `in` is an inline table, `dot` one by dotted keys."""
    lines = []
    for name in draw(st.permutations(["list", "v", "in", "dot.v", "dot.list", "other", '"q r"'])):
        if draw(st.booleans()):
            continue
        if name == "in":
            value = draw(
                st.sampled_from(
                    ["{}", "{ }", "{ v = 1 }", '{list=["x"],v="y"}', "{ x = { w = 1 } }"]
                )
            )
        else:
            kinds = {"v": replaced, "list": array}
            value = draw(kinds.get(name.rpartition(".")[2], foreign))
        lines.append(f"{draw(between)}{draw(lead)}{name} = {value}{draw(tail)}\n")
    return "".join(lines)


@st.composite
def texts(draw):
    text = draw(st.sampled_from(["", "# head\n", "# head\n\n", "\n"])) + draw(body())
    headers = ["[a]", "[a.b]", "[new]", "[a . dot . more]", "[other_.x]", '["z y"]', "[[many]]"]
    for header in draw(st.permutations([*headers, "[[many]]", "[many.in]"])):
        if draw(st.booleans()):
            text += f"{draw(between)}{draw(lead)}{header}{draw(tail)}\n{draw(body())}"
    text += draw(between)
    if draw(st.booleans()):
        text = text.rstrip("\n")
    if draw(st.integers(0, 9)) == 0:
        text = text.replace("\n", "\r\n")
    try:
        parse(text)
    except NotReadableError:
        assume(False)
    return text


of_values = st.sampled_from(["x", "it's", 1, True, 1.5, ["a"], [], '\\ " \x7f é', [{"k": "v"}]])
anything = wants(LISTS, VALUES, of_values)


def merge_or_skip(text, want):
    """A table where a value is wanted, or the other way about, is refused: see REFUSED."""
    try:
        merge(parse(text), want, {}, {})
    except NotReadableError as error:
        assume("not a table" not in str(error) and "not a list" not in str(error))
        raise
    return parse(text)


class TestLaws:
    @settings(max_examples=150)
    @given(texts())
    def test_reading_changes_nothing(self, text):
        assert parse(text).text() == text

    @settings(max_examples=150)
    @given(texts(), anything)
    def test_merge_then_unmerge_gives_back_every_byte(self, text, want):
        document = merge_or_skip(text, want)
        assert there_and_back(document, want).text() == text

    @settings(max_examples=150)
    @given(texts(), anything)
    def test_one_merge(self, text, want):
        check_merge(merge_or_skip(text, want), want)
