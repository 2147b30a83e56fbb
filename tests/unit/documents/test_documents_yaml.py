"""YAML of others: what is ours goes in and comes out, each other byte stays where it was."""

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from merging import check_merge, there_and_back, two_fleets, wants
from samples import texts_of

from regfleet.documents.interface import NotReadableError, path
from regfleet.documents.merge import merge
from regfleet.documents.yaml import parse
from regfleet.model.desired import WantedSettings
from regfleet.record import OwnedValue

SAMPLES = texts_of("*.yaml")

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
            f'"{name}": {{}}' if isinstance(names[name], dict) else f'"{name}": "x"'
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
    if draw(st.booleans()) and not text.endswith("two\n"):  # a newline would be part of that text
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
    @example(
        "configs:\r\n    # a comment in its place\r\nmirrors:\r\nv: 1\r\n",
        WantedSettings({}, {path("configs", "a:5000", "tls", "insecure_skip_verify"): "x"}),
    )
    def test_merge_then_unmerge_gives_back_every_byte(self, text, want):
        document = merge_or_skip(text, want)
        assert there_and_back(document, want).text() == text

    @settings(max_examples=150)
    @given(texts(), anything)
    def test_one_merge(self, text, want):
        check_merge(merge_or_skip(text, want), want)

    @settings(max_examples=60)
    @given(
        texts(),
        st.lists(st.tuples(st.sampled_from(["one", "two"]), anything), max_size=4),
        st.permutations(["one", "two"]),
    )
    def test_two_fleets_leave_what_was_there(self, text, steps, last):
        for _, want in steps:
            merge_or_skip(text, want)
        assert two_fleets(parse(text), steps, last).tree() == parse(text).tree()

    @given(st.text(max_size=60) | st.text("ab:[]{}-\"'#\n ,&*|", max_size=60))
    def test_any_text_is_read_or_refused(self, text):
        try:
            document = parse(text)
        except NotReadableError as error:
            said = str(error)
        else:
            said = ""
            assert document.text() == text
        assert len(said) < 300


# ---- one by one ----

HOST = "registry.example.com:5000"
WANT = WantedSettings(
    {path("mirrors", "docker.io", "endpoint"): ("https://m.example.com",)},
    {
        path("configs", HOST, "tls", "ca_file"): "/etc/rancher/r.crt",
        path("configs", "new:5000", "tls", "insecure_skip_verify"): True,
    },
)


@pytest.mark.parametrize("name", SAMPLES)
def test_real_files(name):
    text = SAMPLES[name]
    check_merge(parse(text), WANT)
    assert there_and_back(parse(text), WANT).text() == text


def test_k3s():
    text = SAMPLES["registries.yaml"]
    assert merge(parse(text), WANT, {}, {}).after.text() == (
        text.replace(
            '      - "https://registry.example.com:5000"\n    rewrite',
            '      - "https://registry.example.com:5000"\n'
            '      - "https://m.example.com"\n    rewrite',
        ).replace("/etc/k3s/ca.crt", "/etc/rancher/r.crt")
        + '  "new:5000":\n    tls:\n      insecure_skip_verify: true\n'
    )


def test_rke2():
    text = SAMPLES["rke2.yaml"]
    assert merge(parse(text), WANT, {}, {}).after.text() == text.replace(
        "'http://spare.lan'", "'http://spare.lan', \"https://m.example.com\""
    ).replace(
        "configs: {}",
        f'configs: {{"{HOST}": {{"tls": {{"ca_file": "/etc/rancher/r.crt"}}}}, '
        '"new:5000": {"tls": {"insecure_skip_verify": true}}}',
    )


def test_a_new_file():
    assert merge(parse(None), WANT, {}, {}).after.text() == (
        "mirrors:\n  docker.io:\n    endpoint:\n"
        '      - "https://m.example.com"\n'
        f'configs:\n  "{HOST}":\n    tls:\n      ca_file: "/etc/rancher/r.crt"\n'
        '  "new:5000":\n    tls:\n      insecure_skip_verify: true\n'
    )


REFUSED = {
    "not YAML": ("a: 1\n b: 2\n", "line 2: not YAML"),
    "tab": ("a:\n\tb: 1\n", "line 2: not YAML"),
    "a list": ("- a\n", "not a table"),
    "text": ("hello\n", "not a table"),
    "two documents": ("a: 1\n---\nb: 1\n", "not YAML"),
    "twice": ("a: 1\nb: 1\na: 2\n", 'line 3: the key "a" occurs twice'),
    "a list in the way": ("configs:\n- a\n", "line 1: configs is a value, not a table"),
    "an anchor's other end": (
        f"x: &x\n  {HOST}:\n    tls: {{}}\nconfigs: *x\n",
        "cannot be set: the edit would change something else",
    ),
    "itself": ("a: &a [*a]\n", "not YAML"),
    "many laughs": (
        "a0: &a0 [x]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
        "too large",
    ),
    "letters that are none": ("a: \x00\n", "not YAML"),
    "a key that is a list": ("? [a]\n: 1\n", "a key that is not a string"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_its_place(name):
    text, said = REFUSED[name]
    with pytest.raises(NotReadableError) as caught:
        merge(parse(text), WANT, {}, {})
    assert said in str(caught.value)


def test_merge_keys_are_read():
    text = "base: &base\n  v: 1\n  w: 2\nmirrors:\n  <<: *base\n  w: 3\n"
    assert parse(text).tree()["mirrors"] == {"v": 1, "w": 3}


def test_a_hash_in_another_value_is_no_comment_of_a_table_on_the_same_line():
    text = '{mirrors: {a: 1}, v: "#"}'
    owned = {
        path("mirrors"): OwnedValue({}, None, existed=False),
        path("mirrors", "a"): OwnedValue(1, None, existed=False),
    }
    assert merge(parse(text), WantedSettings(), {}, owned).after.text() == '{v: "#"}'


COMMENTED = {
    "a comment under the key keeps a table": (
        "mirrors:\n  # mind this\n  a: 1\n",
        "mirrors:\n  # mind this\n",
    ),
    "one beside it too": ("mirrors: # mind\n  a: 1\n", "mirrors: # mind\n"),
    "one of the next key does not": ("mirrors:\n  a: 1\n# next\nb: 1\n", "# next\nb: 1\n"),
}


@pytest.mark.parametrize("name", COMMENTED)
def test_a_table_with_a_comment_is_not_ours_to_take_out(name):
    text, left = COMMENTED[name]
    owned = {
        path("mirrors"): OwnedValue({}, None, existed=False),
        path("mirrors", "a"): OwnedValue(1, None, existed=False),
    }
    assert merge(parse(text), WantedSettings(), {}, owned).after.text() == left
