"""TOML of others: what is ours goes in and comes out, each other byte stays where it was."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from merging import check_merge, there_and_back, two_fleets, wants
from samples import texts_of

from regfleet.documents.interface import NotReadableError, path
from regfleet.documents.merge import merge
from regfleet.documents.toml import parse
from regfleet.model.desired import WantedSettings
from regfleet.record import OwnedValue

SAMPLES = texts_of("*.toml")
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
def body(draw):
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

    @settings(max_examples=60)
    @given(
        texts(),
        st.lists(st.tuples(st.sampled_from(["one", "two"]), anything), max_size=4),
        st.permutations(["one", "two"]),
    )
    def test_two_fleets_leave_what_was_there(self, text, steps, last):
        for _, want in steps:
            merge_or_skip(text, want)
        try:
            left = two_fleets(parse(text), steps, last)
        except NotReadableError as error:
            assume("not a table" not in str(error))
            raise
        assert left.tree() == parse(text).tree()

    @given(st.text(max_size=60) | st.text("ab=[]{}.\"'#\n ,1", max_size=60))
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

CERTS = "/etc/containerd/certs.d"
CRI = [CRI_1, CRI_2]


@pytest.mark.parametrize("place", CRI)
@pytest.mark.parametrize("name", SAMPLES)
def test_real_files(name, place):
    text = SAMPLES[name]
    want = WantedSettings(
        {path("registry", "docker.io", "mirrors"): ("m.lan",)},
        {
            path(*place, "config_path"): CERTS,
            path("host", "https://new.example.com", "capabilities"): ["pull", "resolve"],
            path("registry", "new.example.com:5000", "insecure"): True,
        },
    )
    check_merge(parse(text), want)
    assert there_and_back(parse(text), want).text() == text


GOES_IN = {
    "1.6, set already to nothing": (
        "containerd-1.6.toml",
        CRI_1,
        '      config_path = ""',
        '      config_path = "/etc/containerd/certs.d"',
    ),
    "2.1, set already to nothing": (
        "containerd-2.1.toml",
        CRI_2,
        "      config_path = ''",
        "      config_path = '/etc/containerd/certs.d'",
    ),
    "Debian's own file": (
        "containerd-1.7-debian.toml",
        CRI_1,
        '      conf_dir = "/etc/cni/net.d"\n',
        (
            '      conf_dir = "/etc/cni/net.d"\n'
            '\n    [plugins."io.containerd.grpc.v1.cri".registry]\n'
            '      config_path = "/etc/containerd/certs.d"\n'
        ),
    ),
    "a plugin that is not there": (
        "containerd-2.1-debian.toml",
        CRI_2,
        '    path = "/var/lib/containerd/opt"\n',
        (
            '    path = "/var/lib/containerd/opt"\n'
            '\n    [plugins."io.containerd.cri.v1.images".registry]\n'
            '      config_path = "/etc/containerd/certs.d"\n'
        ),
    ),
}


@pytest.mark.parametrize("name", GOES_IN)
def test_containerd(name):
    sample, place, before, after = GOES_IN[name]
    document = parse(SAMPLES[sample])
    document[path(*place, "config_path")] = CERTS
    assert before in SAMPLES[sample]
    assert document.text() == SAMPLES[sample].replace(before, after)


def test_a_table_can_be_asked_for_as_a_whole():
    registry = parse(SAMPLES["containerd-1.6.toml"])[path(*CRI_1)]
    assert registry == {"config_path": "", "auths": {}, "configs": {}, "headers": {}, "mirrors": {}}


def test_a_new_file():
    document = parse(None)
    document[path("server")] = "https://r.lan"
    document[path("host", "https://m.lan", "capabilities")] = ["pull", "resolve"]
    document[path("host", "https://m.lan", "ca")] = "/m.crt"
    assert document.text() == (
        'server = "https://r.lan"\n\n[host."https://m.lan"]\n'
        'capabilities = ["pull", "resolve"]\nca = "/m.crt"\n'
    )


ITEMS = {
    '["x"]': '["x", "m"]',
    "[]": '["m"]',
    "['x',]": "['x', \"m\",]",
    '[\n  "x"\n]': '[\n  "x",\n  "m"\n]',
    '[\n  "x",\n]': '[\n  "x",\n  "m",\n]',
    '[\n  "x", # why\n]': '[\n  "x", # why\n  "m",\n]',
    '[\n  "x" # why\n]': '[\n  "x", # why\n  "m"\n]',
}


@pytest.mark.parametrize("before", ITEMS)
def test_an_item_is_written_like_its_neighbours(before):
    document = parse(f"a = {before} # tail\n")
    document[path("a")] = ["x", "m"] if "x" in before else ["m"]
    assert document.text() == f"a = {ITEMS[before]} # tail\n"


COMMENTED = {
    "a comment under the header keeps a table": ("[m]\n# mind this\na = 1\n", "[m]\n# mind this\n"),
    "one beside it too": ("[m] # mind\na = 1\n", "[m] # mind\n"),
    "one above the next header does not": ("[m]\na = 1\n# of n\n[n]\n", "# of n\n[n]\n"),
}


@pytest.mark.parametrize("name", COMMENTED)
def test_a_table_with_a_comment_is_not_ours_to_take_out(name):
    text, left = COMMENTED[name]
    owned = {
        path("m"): OwnedValue({}, None, existed=False),
        path("m", "a"): OwnedValue(1, None, existed=False),
    }
    assert merge(parse(text), WantedSettings(), {}, owned).after.text() == left


REFUSED = {
    "not TOML": ("a = 1\nb = \n", "line 2: not TOML"),
    "twice": ("a = 1\na = 2\n", "not TOML"),
    "a value in the way": ("m = 1\n", "line 1: m is a value, not a table"),
    "a list in the way": ("[[m]]\n", "m is a value, not a table"),
    "a date": (
        "[m]\na = 1979-05-27\n",
        "line 2: m.a cannot be set: 1979-05-27 could not be restored",
    ),
    "too deep": ("a = " + "[" * 5000 + "]" * 5000, "not TOML"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_its_place(name):
    text, said = REFUSED[name]
    with pytest.raises(NotReadableError) as caught:
        merge(parse(text), WantedSettings({}, {path("m", "a"): 1}), {}, {})
    assert said in str(caught.value)


def test_what_cannot_be_written_leaves_the_document_as_it_was():
    document = parse("a = 1\n")
    with pytest.raises(NotReadableError, match="has no null"):
        document[path("b")] = None
    assert document.text() == "a = 1\n"
    assert document.tree() == {"a": 1}


def test_spelling_of_a_replaced_value_goes_its_meaning_comes_back():
    text = "a = 0x1f\nb = '''x\ny'''\n"
    want = WantedSettings({}, {path("a"): 1, path("b"): "z"})
    back = there_and_back(parse(text), want)
    assert back.tree() == parse(text).tree()
