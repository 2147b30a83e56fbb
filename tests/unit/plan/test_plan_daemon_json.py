"""daemon.json: what is ours goes in and comes out, all else stays as it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet.desired.model import DaemonSettings
from regfleet.plan.daemon_json import NotJsonError, merge, parse, render
from regfleet.record import Owned, OwnedList

LISTS = ("insecure-registries", "registry-mirrors")
VALUES = ("debug", "live-restore", "log-driver", "max-concurrent-downloads")
FOREIGN = ("dns", "hosts", "labels", "log-opts")

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
entries = st.lists(st.sampled_from("abcdef"), max_size=4)
plain_values = st.sampled_from([True, False, 0, 1, 1.0, "x", None, [], ["a"], {"k": "v"}])


@st.composite
def documents(draw):
    """A daemon.json of somebody else, its keys in any order."""
    parts = {
        **draw(st.dictionaries(st.sampled_from(LISTS), entries)),
        **draw(st.dictionaries(st.sampled_from(VALUES), plain_values)),
        **draw(st.dictionaries(st.sampled_from(FOREIGN), json_values)),
    }
    return {key: parts[key] for key in draw(st.permutations(list(parts)))}


wants = st.builds(
    DaemonSettings,
    st.dictionaries(
        st.sampled_from(LISTS), st.lists(st.sampled_from("abcdef"), unique=True).map(tuple)
    ),
    st.dictionaries(st.sampled_from(VALUES), plain_values),
)
NOTHING = DaemonSettings()


def owned_after(merged, created=False):
    return Owned(daemon_created=created, lists=merged.owned_lists, values=merged.owned_values)


def exactly(document):
    """A document as JSON: with the order of its keys, and true is not 1."""
    return json.dumps(document)


class TestLaws:
    @given(document=documents(), want=wants)
    def test_merge_then_unmerge_is_identity(self, document, want):
        there = merge(document, want, Owned())
        back = merge(there.after, NOTHING, owned_after(there))
        assert exactly(back.after) == exactly(document)
        assert not back.owned_lists
        assert not back.owned_values

    @given(document=documents(), sequence=st.lists(wants, max_size=4))
    def test_any_sequence_then_unmerge_has_the_same_content(self, document, sequence):
        now, owned = document, Owned()
        for want in [*sequence, NOTHING]:
            merged = merge(now, want, owned)
            now, owned = merged.after, owned_after(merged)
        assert now == document
        assert not owned

    @given(document=documents(), want=wants)
    def test_a_second_merge_changes_nothing(self, document, want):
        once = merge(document, want, Owned())
        twice = merge(once.after, want, owned_after(once))
        assert twice.changes == ()
        assert exactly(twice.after) == exactly(once.after)
        assert twice.owned_lists == once.owned_lists
        assert twice.owned_values == once.owned_values

    @given(document=documents(), want=wants)
    def test_what_is_wanted_is_there_and_what_was_there_stays(self, document, want):
        after = merge(document, want, Owned()).after
        for key, wanted in want.lists.items():
            assert set(wanted) <= set(after.get(key, ()))
        for key, value in want.values.items():
            assert exactly(after[key]) == exactly(value)
        for key, value in document.items():
            if key in LISTS:
                assert after[key][: len(value)] == value
            elif key not in want.values:
                assert after[key] == value
        assert [key for key in after if key in document] == list(document)

    @given(document=documents(), want=wants)
    def test_changes_tell_all_that_differs(self, document, want):
        merged = merge(document, want, Owned())
        told = {change.key for change in merged.changes}
        differing = {
            key
            for key in {**document, **merged.after}
            if (key in document) != (key in merged.after)
            or exactly(document[key]) != exactly(merged.after[key])
        }
        assert told == differing

    @given(
        document=documents(),
        steps=st.lists(st.tuples(st.sampled_from(["one", "two"]), wants), max_size=5),
        last=st.permutations(["one", "two"]),
    )
    def test_two_fleets_on_one_host_leave_what_was_there(self, document, steps, last):
        now, owned = document, {"one": Owned(), "two": Owned()}
        for fleet, want in [*steps, *((fleet, NOTHING) for fleet in last)]:
            others = [theirs for name, theirs in owned.items() if name != fleet]
            merged = merge(now, want, owned[fleet], others)
            now, owned[fleet] = merged.after, owned_after(merged)
        assert now == document

    @given(document=documents(), one=wants, two=wants)
    def test_a_fleet_that_goes_leaves_what_another_wants(self, document, one, two):
        first = merge(document, one, Owned())
        second = merge(first.after, two, Owned(), [owned_after(first)])
        left = merge(second.after, NOTHING, owned_after(first), [owned_after(second)])
        again = merge(left.after, two, owned_after(second))
        assert again.changes == ()

    @given(document=documents())
    def test_parse_of_render_is_identity(self, document):
        assert exactly(parse(render(document))) == exactly(document)

    @given(document=documents(), want=wants)
    def test_the_given_document_is_not_touched(self, document, want):
        before = exactly(document)
        merge(document, want, Owned())
        assert exactly(document) == before


# ---- one by one ----

MIRRORS = DaemonSettings(lists={"registry-mirrors": ("m",)})
LIST_CASES = [
    # document, after, existed
    ({}, {"registry-mirrors": ["m"]}, False),
    ({"registry-mirrors": []}, {"registry-mirrors": ["m"]}, True),
    ({"registry-mirrors": ["x"]}, {"registry-mirrors": ["x", "m"]}, True),
    ({"registry-mirrors": ["x", "x"]}, {"registry-mirrors": ["x", "x", "m"]}, True),
    (
        {"a": 1, "registry-mirrors": ["x"], "b": 2},
        {"a": 1, "registry-mirrors": ["x", "m"], "b": 2},
        True,
    ),
]


@pytest.mark.parametrize(("document", "after", "existed"), LIST_CASES)
def test_list_entries_are_added_behind(document, after, existed):
    merged = merge(document, MIRRORS, Owned())
    assert exactly(merged.after) == exactly(after)
    assert merged.owned_lists == {"registry-mirrors": OwnedList(("m",), existed)}


def test_an_entry_that_somebody_had_already_is_not_ours():
    merged = merge({"registry-mirrors": ["m"]}, MIRRORS, Owned())
    assert merged.changes == ()
    assert not merged.owned_lists


def test_a_null_list_counts_as_an_empty_one():
    there = merge({"registry-mirrors": None}, MIRRORS, Owned())
    assert merge(there.after, NOTHING, owned_after(there)).after == {"registry-mirrors": []}


@pytest.mark.parametrize("junk", ["m", 1, {"m": 1}, [1], ["x", None], True])
def test_a_list_that_is_none_is_refused(junk):
    with pytest.raises(NotJsonError, match="registry-mirrors"):
        merge({"registry-mirrors": junk}, MIRRORS, Owned())


@pytest.mark.parametrize(
    ("there", "wanted"), [(1, True), (0, False), (False, 0), ([1], [True]), ("1", 1)]
)
def test_true_is_not_one(there, wanted):
    merged = merge({"debug": there}, DaemonSettings(values={"debug": wanted}), Owned())
    assert merged.after["debug"] is wanted or merged.after["debug"] == wanted
    assert exactly(merged.after) == exactly({"debug": wanted})
    assert [change.key for change in merged.changes] == ["debug"]


@pytest.mark.parametrize("mended", [{"debug": False}, {}, {"debug": 1}])
def test_a_value_changed_by_hand_since_is_not_ours_to_take_out(mended):
    there = merge({"debug": None}, DaemonSettings(values={"debug": True}), Owned())
    back = merge(mended, NOTHING, owned_after(there))
    assert exactly(back.after) == exactly(mended)


def test_a_new_value_keeps_what_was_there_before_the_first():
    first = merge({"debug": "theirs"}, DaemonSettings(values={"debug": True}), Owned())
    second = merge(first.after, DaemonSettings(values={"debug": False}), owned_after(first))
    assert second.owned_values["debug"].before == "theirs"
    assert merge(second.after, NOTHING, owned_after(second)).after == {"debug": "theirs"}


@pytest.mark.parametrize(
    ("document", "created", "after"),
    [({}, True, None), ({}, False, {}), ({"dns": []}, True, {"dns": []})],
)
def test_a_file_that_we_made_goes_when_nothing_is_left(document, created, after):
    there = merge(document, MIRRORS, Owned())
    assert merge(there.after, NOTHING, owned_after(there, created)).after == after


def test_the_reason_is_the_fleet_files_place():
    want = DaemonSettings(lists={"registry-mirrors": ("m",)}, reasons={"registry-mirrors": "why"})
    there = merge({}, want, Owned())
    assert [change.reason for change in there.changes] == ["why"]
    back = merge(there.after, NOTHING, owned_after(there))
    assert [change.reason for change in back.changes] == ["no longer declared"]


def test_what_moves_into_the_file_is_the_hosts_own():
    want = DaemonSettings({"registry-mirrors": ("m",)}, {"debug": True})
    document = {"registry-mirrors": ["x"], "dns": ["1"]}
    moved = {"registry-mirrors": ["a", "x"], "debug": False}
    there = merge(document, want, Owned(), moved=moved)
    assert there.before == document
    assert there.after == {"registry-mirrors": ["x", "a", "m"], "dns": ["1"], "debug": True}
    assert {change.key for change in there.changes} == {"registry-mirrors", "debug"}
    back = merge(there.after, NOTHING, owned_after(there))
    assert back.after == {"registry-mirrors": ["x", "a"], "dns": ["1"], "debug": False}


# ---- text ----


@pytest.mark.parametrize("blank", [None, "", " \n\t "])
def test_an_absent_or_blank_file_is_an_empty_document(blank):
    assert parse(blank) == {}


JUNK = {
    "trailing comma": ('{"a": 1,}', "line 1, column 9"),
    "trailing comma, line 2": ('{\n "a": [1,]\n}', "line 2"),
    "comment": ('{\n  // mirrors\n  "a": 1}', "line 2, column 3"),
    "single quotes": ("{'a': 1}", "line 1, column 2"),
    "two documents": ("{}\n{}", "line 2, column 1"),
    "cut off": ('{"a": ["b"', "line 1"),
    "NaN": ('{"a": NaN}', "NaN"),
    "Infinity": ('{"a": -Infinity}', "-Infinity"),
    "a number beyond all": ('{"a": 1e999}', "too large"),
    "byte order mark": ('\ufeff{"a": 1}', "BOM"),
    "list": ("[]", "list"),
    "text": ('"x"', "str"),
    "null": ("null", "NoneType"),
    "half a surrogate pair": ('{"a": ["\\ud83d"]}', "surrogate"),
    "half a surrogate pair, key": ('{"\\udc00": 1}', "surrogate"),
    "deep": ('{"a": ' + "[" * 70 + "]" * 70 + "}", "deeper"),
    "deeper": ("[" * 100_000, ""),
    "deepest": ('{"a":' * 500 + "1" + "}" * 500, "deeper"),
    "digits": ('{"a": ' + "9" * 5000 + "}", ""),
    "binary": ("\x00\x01", "line 1"),
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_refused_with_its_place(name):
    content, said = JUNK[name]
    with pytest.raises(NotJsonError) as caught:
        parse(content)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.text(max_size=40) | st.text('{}[]",:0 \n\\', max_size=40))
def test_any_text_is_read_or_refused(content):
    try:
        document = parse(content)
    except NotJsonError:
        return
    assert parse(render(document)) == document


@pytest.mark.parametrize("indent", ["  ", "    ", "\t", " ", "\t\t"])
def test_indentation_is_kept(indent):
    like = "{\n" + indent + '"debug": true\n}\n'
    assert render({"debug": True}, like) == like


@pytest.mark.parametrize("like", [None, "", "{}", '{"debug": true}', "{\n}"])
def test_without_indentation_to_keep_it_is_two_spaces(like):
    assert render({"debug": True}, like) == '{\n  "debug": true\n}\n'


def test_a_password_in_a_broken_line_is_not_shown():
    with pytest.raises(NotJsonError) as caught:
        parse('{\n  "https-proxy": "http://me:pa55word@proxy:3128"\n  "debug": true\n}')
    assert "pa55word" not in str(caught.value)
    with pytest.raises(NotJsonError) as caught:
        parse('{"https-proxy": "http://me:pa55word@proxy:3128",}')
    assert "pa55word" not in str(caught.value)
    assert "://***@proxy" in str(caught.value)
