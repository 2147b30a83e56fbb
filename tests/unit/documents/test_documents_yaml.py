"""YAML of others: what is ours goes in and comes out, each other byte stays where it was."""

import pathlib

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from merging import check_merge, there_and_back, wants

from regfleet.documents.interface import NotReadableError, path
from regfleet.documents.merge import merge
from regfleet.documents.yaml import parse

SAMPLES = {
    file.name: file.read_text()
    for file in sorted((pathlib.Path(__file__).parent / "samples").glob("*.yaml"))
}

LISTS = [
    path("mirrors", "docker.io", "endpoint"),
    path("mirrors", "a:5000", "endpoint"),
    path("mirrors", "new.lan", "endpoint"),
    path("list"),
]
VALUES = [
    path("configs", "a:5000", "tls", "insecure_skip_verify"),
    path("configs", "a:5000", "tls", "ca_file"),
    path("configs", "new:5000", "tls", "ca_file"),
    path("configs", "new:5000", "auth", "username"),
    path("mirrors", "docker.io", "v"),
    path("v"),
]
of_values = st.sampled_from(["x", "yes", "it's", "", 1, True, '\\ " \x7f é: #', "https://h:5000/"])
anything = wants(LISTS, VALUES, of_values)

block_list = st.sampled_from(
    [
        "\n{i}- a\n{i}- x",
        '\n{i}- "x" # why\n{i}# none\n{i}- b',
        "\n{s}- x\n{s}- y",
        "\n{i}-   x\n\n{i}- 'y'",
        " # why\n{i}- x",
    ]
)
flow_list = st.sampled_from(["[]", "[ ]", '["a"]', "[x, 'y']", '[\n{i}"x",\n{i}"y" ]', "[x,y,]"])
# Of a value that is replaced, the spelling is lost with it ('x' comes back as "x").
scalar = st.sampled_from(['"x"', "1", "true", '"it\'s # : "'])
foreign = st.sampled_from(
    ["~", "1.5", "2001-01-01", "|\n{i}line\n{i}two", ">-\n{i}x", "[1, {{a: b}}]"]
)
tail = st.sampled_from(["", "", "", " # why"])
between = st.sampled_from(["", "", "", "\n", "{s}# note\n", "\n# left\n\n", "{i}# in\n"])
steps = st.sampled_from([2, 2, 4])


@st.composite
def table(draw, names, depth, step):
    """A table in block style, or one in flow style, or nothing at all."""
    kind = draw(st.sampled_from(["block"] * 6 + ["flow", "null"]))
    if kind == "null" and depth:
        return ""
    chosen = draw(st.lists(st.sampled_from(list(names)), unique=True, max_size=len(names)))
    if kind == "flow" and depth:
        pairs = [
            f'"{name}": {{}}' if isinstance(names[name], dict) else f'"{name}": x'
            for name in chosen
            if names[name] != "list"
        ]
        return draw(st.sampled_from([" {{%s}}", " {{ %s }}"])) % ", ".join(pairs)
    if not chosen:
        return "" if depth else draw(st.sampled_from(["", "# none", "---", "{{}}", "\n"]))
    text = "\n" if depth else draw(st.sampled_from(["", "# head\n", "---\n"]))
    here, inside = " " * depth * step, " " * (depth + 1) * step
    for name in chosen:
        text += draw(between).format(s=here, i=inside) + here
        text += name if name.isalpha() else draw(st.sampled_from([name, f'"{name}"']))
        text += ":"
        kind = names[name]
        if isinstance(kind, dict):
            text += draw(tail) if not (value := draw(table(kind, depth + 1, step))) else value
        elif kind == "list":
            value = draw(st.one_of(block_list, flow_list.map(" {}".format)))
            text += value.replace("{i}", inside).replace("{s}", here)
        else:
            value = draw(scalar if kind == "value" else foreign).replace("{i}", inside)
            text += " " + value + ("" if "\n" in value else draw(tail))
        text += "\n"
    return text if depth == 0 else text.rstrip("\n")


mirror = {"endpoint": "list", "rewrite": "foreign", "v": "value"}
config = {
    "tls": {"ca_file": "value", "insecure_skip_verify": "value"},
    "auth": {"username": "value"},
}
NAMES = {
    "mirrors": {"docker.io": mirror, "a:5000": mirror, "else": mirror},
    "configs": {"a:5000": config, "other": config},
    "list": "list",
    "v": "value",
    "foreign": "foreign",
}


@st.composite
def texts(draw):
    text = draw(table(NAMES, 0, draw(steps))).replace("{{", "{").replace("}}", "}")
    if draw(st.booleans()):
        text = text.rstrip("\n")
    if draw(st.integers(0, 9)) == 0:
        text = text.replace("\n", "\r\n")
    try:
        parse(text)
    except NotReadableError:
        assume(False)
    return text


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
