"""JSON edited in place: what is ours goes in and comes out, all other bytes stay as they were."""

import copy
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from merging import check_merge, there_and_back, two_fleets, wants

from regfleet.documents.interface import NotReadableError, path, same
from regfleet.documents.json_document import BOM, NotJsonError, parse
from regfleet.documents.merge import merge
from regfleet.model.desired import WantedSettings
from regfleet.record import OwnedValue

LISTS = [path("insecure-registries"), path("registry-mirrors"), path("proxies", "no")]
VALUES = [path("debug"), path("log-driver"), path("new"), path("proxies", "http")]
of_values = st.sampled_from([True, False, 0, 1, 1.5, "x", "é\n", [], ["a"], {}, {"k": "v"}])
anything = wants(LISTS, VALUES, of_values)
# What a fleet wants to be empty and another one otherwise, they do not agree on.
no_empty_tables = wants(LISTS, VALUES, of_values.filter(lambda value: value != {}))
no_tables = wants(LISTS, VALUES, of_values.filter(lambda value: not isinstance(value, dict)))

# Of a value that is replaced the spelling is lost with it; these are written as we write them.
ours = st.sampled_from(["true", "false", "1", "1.5", '"x"', '"é"'])
foreign = st.sampled_from(
    ["null", "1e3", "-0", "1.50", '"\\u00e9"', '"\\/"', '"}]{["', '["1", "2"]', "{}", '{ "a" :1}']
)
entry = st.sampled_from(['"a"', '"b"', '"x"', '"\\u0061"', '"y\\\\"'])


@st.composite
def bracketed(draw, both, inside, end, indent):
    """An object or a list, on one line or on several, with or without blanks."""
    if not inside:
        return both[0] + draw(st.sampled_from(["", "", " "])) + both[1]
    kind = draw(st.sampled_from(["lines"] * 4 + ["inline", "tight", "half", "first", "wide"]))
    inner = end + indent
    first, between, last = {
        "lines": (inner, f",{inner}", end),
        "inline": ("", ", ", ""),
        "tight": ("", ",", ""),
        "half": (inner, ", ", ""),
        "first": (f"{inner}  ", f"{inner}, ", end),
        "wide": (" ", f" ,{end}{inner}", " "),
    }[kind]
    return both[0] + first + between.join(inside) + last + both[1]


@st.composite
def texts(draw):
    """A file of somebody else, in any style."""
    line = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    indent = draw(st.sampled_from(["  ", "    ", "\t", " ", ""]))
    colon = draw(st.sampled_from([": ", ": ", ":", " : "]))

    def list_(end):
        return bracketed("[]", draw(st.lists(entry, max_size=3)), end, indent)

    members = {}
    for name in draw(st.sets(st.sampled_from(["insecure-registries", "registry-mirrors"]))):
        members[name] = draw(list_(line + indent))
    for name in draw(st.sets(st.sampled_from(["debug", "log-driver"]))):
        members[name] = draw(ours)
    for name in draw(st.sets(st.sampled_from(["dns", "log-opts", "é"]))):
        members[name] = draw(foreign)
    if draw(st.booleans()):
        end = line + indent
        inner = {"no": draw(list_(end + indent)), "http": draw(ours), "https": draw(foreign)}
        names = draw(st.lists(st.sampled_from(list(inner)), unique=True))
        written = [f'"{name}"{colon}{inner[name]}' for name in names]
        members["proxies"] = draw(bracketed("{}", written, end, indent))
    names = draw(st.permutations(list(members)))
    written = [json.dumps(name) + colon + members[name] for name in names]
    before, after = draw(st.sampled_from(["", "", BOM, line])), draw(st.sampled_from([line, ""]))
    return before + draw(bracketed("{}", written, line, indent)) + after


def merge_or_skip(text, want):
    """`proxies` may be wanted as a table only; everything else fits everything."""
    merge(parse(text), want, {}, {})
    return parse(text)


class TestLaws:
    @given(texts())
    def test_reading_changes_nothing(self, text):
        assert parse(text).text() == text
        assert parse(text).tree() == json.loads(text.removeprefix(BOM))

    @settings(max_examples=200)
    @given(texts(), anything)
    @example("{}", WantedSettings({path("registry-mirrors"): ("a",)}))
    @example('{"debug": null}', WantedSettings({}, {path("debug"): False}))
    def test_merge_then_unmerge_gives_back_every_byte(self, text, want):
        assert there_and_back(merge_or_skip(text, want), want).text() == text

    @settings(max_examples=100)
    @given(texts(), no_tables)
    @example('{"debug": null}', WantedSettings({}, {path("debug"): False}))
    def test_one_merge(self, text, want):
        check_merge(merge_or_skip(text, want), want)

    @settings(max_examples=60)
    @given(texts(), anything)
    def test_a_document_without_ours_is_the_text_with_ours_cut_out(self, text, want):
        """No byte of the file is lost or moved: it is all there, in its order."""
        after = iter(merge(parse(text), WantedSettings(want.lists), {}, {}).after.text())
        assert all(letter in after for letter in text)

    @settings(max_examples=60)
    @given(
        texts(),
        st.lists(st.tuples(st.sampled_from(["one", "two"]), no_empty_tables), max_size=4),
        st.permutations(["one", "two"]),
    )
    def test_two_fleets_leave_what_was_there(self, text, steps, last):
        assert two_fleets(parse(text), steps, last).tree() == parse(text).tree()

    @given(st.text(max_size=60) | st.text('{}[]",:0 \n\\\ufeff', max_size=60))
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

WANT = WantedSettings(
    {path("registry-mirrors"): ("https://m",), path("insecure-registries"): ("r:5000", "s:5000")},
    {path("live-restore"): True, path("log-opts"): {"max-size": "1m"}},
)
WRITTEN = {
    "a new file": (
        None,
        (
            '{\n  "registry-mirrors": [\n    "https://m"\n  ],\n'
            '  "insecure-registries": [\n    "r:5000",\n    "s:5000"\n  ],\n'
            '  "live-restore": true,\n  "log-opts": {\n    "max-size": "1m"\n  }\n}\n'
        ),
    ),
    "inline lists stay inline": (
        '{\n  "dns": ["1", "2"],\n  "registry-mirrors": ["x"]\n}\n',
        (
            '{\n  "dns": ["1", "2"],\n  "registry-mirrors": ["x", "https://m"],\n'
            '  "insecure-registries": ["r:5000", "s:5000"],\n'
            '  "live-restore": true,\n  "log-opts": {\n    "max-size": "1m"\n  }\n}\n'
        ),
    ),
    "all on one line": (
        '{"registry-mirrors":["x"],"log-opts":{"tag":"é"}}',
        (
            '{"registry-mirrors":["x","https://m"],"log-opts":{"max-size":"1m"},"insecure-reg'
            'istries":["r:5000","s:5000"],"live-restore":true}'
        ),
    ),
    "CRLF, tabs and odd colons": (
        '{\r\n\t"insecure-registries" : [\r\n\t\t"x"\r\n\t]\r\n}\r\n',
        (
            '{\r\n\t"insecure-registries" : [\r\n\t\t"x",\r\n\t\t"r:5000",\r\n'
            '\t\t"s:5000"\r\n\t],\r\n'
            '\t"registry-mirrors" : [\r\n\t\t"https://m"\r\n\t],\r\n\t"live-restore" : true,\r\n'
            '\t"log-opts" : {\r\n\t\t"max-size" : "1m"\r\n\t}\r\n}\r\n'
        ),
    ),
    "blank lines are kept and not repeated": (
        '{\n  "a": 1e3,\n\n  "b": "\\u00e9",\n\n  "log-opts": {"max-size": "1m"}\n}',
        (
            '{\n  "a": 1e3,\n\n  "b": "\\u00e9",\n\n  "log-opts": {"max-size": "1m"},\n'
            '  "registry-mirrors": [\n    "https://m"\n  ],\n'
            '  "insecure-registries": [\n    "r:5000",\n    "s:5000"\n  ],\n'
            '  "live-restore": true\n}'
        ),
    ),
    "a byte order mark": (
        BOM
        + (
            '{"live-restore": true, "log-opts": {"max-size": "1m"}, "insecure-registries": ["'
            's:5000", "r:5000"]}\n'
        ),
        BOM
        + (
            '{"live-restore": true, "log-opts": {"max-size": "1m"}, "insecure-registries": ["'
            's:5000", "r:5000"], "registry-mirrors": ["https://m"]}\n'
        ),
    ),
    "an empty list gets lines where others have them": (
        '{\n    "registry-mirrors": [],\n    "live-restore": true\n}\n',
        (
            '{\n    "registry-mirrors": [\n        "https://m"\n    ],\n'
            '    "live-restore": true,\n    "insecure-registries": [\n'
            '        "r:5000",\n        "s:5000"\n    ],\n    "log-opts": {\n'
            '        "max-size": "1m"\n    }\n}\n'
        ),
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_added_follows_the_style_of_the_file(name):
    text, after = WRITTEN[name]
    assert merge(parse(text), WANT, {}, {}).after.text() == after


@pytest.mark.parametrize("text", ["", " \n", "\n", BOM, "{\n}", "{ }\n", "{}", BOM + "{}\r\n"])
def test_a_file_without_members(text):
    document = parse(text)
    assert document.is_blank()
    assert document.tree() == {}
    there = merge(document, WANT, {}, {})
    assert there.after.tree().keys() == {
        "registry-mirrors",
        "insecure-registries",
        "live-restore",
        "log-opts",
    }
    assert there.after.text().startswith(BOM) == text.startswith(BOM)
    assert ("\r\n" in there.after.text()) == ("\r\n" in text)
    assert there_and_back(document, WANT).is_blank()
    made = merge(there.after, WantedSettings(), there.owned_lists, there.owned_values, created=True)
    assert made.after is None


def test_an_entry_leaves_from_anywhere_in_a_list():
    text = '{"l": [ "a", "b",\n  "c" , "d" ]}'
    for gone, left in {
        "a": '{"l": [ "b",\n  "c" , "d" ]}',
        "b": '{"l": [ "a",\n  "c" , "d" ]}',
        "d": '{"l": [ "a", "b",\n  "c" ]}',
    }.items():
        document = parse(text)
        document[path("l")] = [each for each in "abcd" if each != gone]
        assert document.text() == left


def test_a_member_leaves_from_anywhere_in_an_object():
    text = '{ "a": 1, "b": [2],\n  "c": {} , "d": 4 }'
    for gone, left in {
        "a": '{ "b": [2],\n  "c": {} , "d": 4 }',
        "b": '{ "a": 1,\n  "c": {} , "d": 4 }',
        "c": '{ "a": 1, "b": [2] , "d": 4 }',
        "d": '{ "a": 1, "b": [2],\n  "c": {} }',
    }.items():
        document = parse(text)
        del document[path(gone)]
        assert document.text() == left


def test_a_nested_value_is_set_where_it_stands():
    document = parse('{\n  "features": {"buildkit": true, "x": 1e3}\n}\n')
    document[path("features")] = {"buildkit": False, "x": 1000.0, "y": 1}
    assert document.text() == '{\n  "features": {"buildkit": false, "x": 1e3, "y": 1}\n}\n'


def test_tables_are_made_and_pruned():
    document = parse('{"a": null}')
    document[path("a", "b", "c")] = 1
    assert document.text() == '{"a": {"b": {"c": 1}}}'
    assert document.has_table(path("a", "b"))
    del document[path("a", "b", "c")]
    document.prune(path("a", "b"))
    assert document.text() == '{"a": {}}'
    assert not document.has_table(path("a", "b"))
    with pytest.raises(KeyError):
        del document[path("a", "b")]


def test_a_value_where_a_table_belongs_is_refused():
    with pytest.raises(NotReadableError, match="line 2: a is a value, not a table"):
        parse('{\n"a": 1}')[path("a", "b")] = 1


def test_lines():
    document = parse('{\n\n  "a": {\n "b": 1}\n}')
    assert document.line(path("a")) == 3
    assert document.line(path("a", "b")) == 4
    assert document.line(path("a", "c")) == 3
    assert document.line(path("x")) == 0


def test_a_table_that_we_made_stays_while_something_is_in_it():
    owned = {
        path("a"): OwnedValue({}, None, existed=False),
        path("a", "b"): OwnedValue(1, None, existed=False),
    }
    for text, left in {
        '{"a": {"b": 1}}': "{}",
        '{"a": {"b": 1, "c": 2}}': '{"a": {"c": 2}}',
    }.items():
        assert merge(parse(text), WantedSettings(), {}, owned).after.text() == left


@pytest.mark.parametrize("there", ["1", "0", "false", "1.0", '"1"', "null", '"true"'])
def test_true_is_not_one(there):
    merged = merge(
        parse(f'{{"debug": {there}}}'), WantedSettings({}, {path("debug"): True}), {}, {}
    )
    assert merged.after.text() == '{"debug": true}'
    assert [change.key for change in merged.changes] == [path("debug")]
    back = merge(merged.after, WantedSettings(), merged.owned_lists, merged.owned_values)
    assert back.after.text() == f'{{"debug": {there}}}'


JUNK = {
    "trailing comma": ('{"a": 1,}', "line 1, column 8"),
    "trailing comma, line 2": ('{\n "a": [1,]\n}', "line 2"),
    "comment": ('{\n  // mirrors\n  "a": 1}', "line 2, column 3"),
    "single quotes": ("{'a': 1}", "line 1, column 2"),
    "two documents": ("{}\n{}", "line 2, column 1"),
    "cut off": ('{"a": ["b"', "line 1"),
    "NaN": ('{"a": NaN}', "NaN"),
    "Infinity": ('{"a": -Infinity}', "-Infinity"),
    "a number beyond all": ('{"a": 1e999}', "too large"),
    "two byte order marks": (BOM + BOM + '{"a": 1}', "BOM"),
    "a byte order mark behind a blank": (" " + BOM + '{"a": 1}', "line 1"),
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


TWICE = {
    "apart": ('{\n"a": 1,\n"b": 2,\n"a": 1}', 'line 4: the key "a" occurs twice, first on line 2'),
    "inside": (
        '{"x": [{"a": 1, "\\u0061": 2}]}',
        'line 1: the key "a" occurs twice, first on line 1',
    ),
}


@pytest.mark.parametrize("name", TWICE)
def test_two_members_of_one_name_are_refused(name):
    text, said = TWICE[name]
    with pytest.raises(NotReadableError) as caught:
        parse(text)
    assert said in str(caught.value)
    assert "by hand" in caught.value.hint
    assert not isinstance(caught.value, NotJsonError)


def test_a_password_in_a_broken_line_is_not_shown():
    for text in (
        '{\n  "https-proxy": "http://me:pa55word@proxy:3128"\n  "debug": true\n}',
        '{"https-proxy": "http://me:pa55word@proxy:3128",}',
    ):
        with pytest.raises(NotJsonError) as caught:
            parse(text)
        assert "pa55word" not in str(caught.value)
    assert "://***@proxy" in str(caught.value)


def test_a_list_that_is_none_is_refused_with_its_line():
    for junk in ('"m"', "1", '{"m": 1}', "[1]", '["x", null]', "true"):
        with pytest.raises(NotReadableError, match=r"line 2: .*registry-mirrors"):
            merge(parse(f'{{\n"registry-mirrors": {junk}}}'), WANT, {}, {})


def test_a_null_list_counts_as_an_empty_one():
    document = parse('{"registry-mirrors": null}')
    want = WantedSettings({path("registry-mirrors"): ("m",)})
    assert same(there_and_back(document, want).tree(), {"registry-mirrors": []})


def test_a_table_that_is_wanted_empty():
    want = WantedSettings({}, {path("log-opts"): {}})
    once = merge(parse("{}"), want, {}, {})
    assert once.after.tree() == {"log-opts": {}}
    twice = merge(once.after, want, once.owned_lists, once.owned_values)
    assert twice.after.text() == once.after.text()
    assert twice.owned_values == once.owned_values
    assert there_and_back(parse("{}"), want).text() == "{}"


def test_what_moves_into_the_file_is_the_hosts_own():
    want = WantedSettings({path("registry-mirrors"): ("m",)}, {path("debug"): True})
    document = parse('{"registry-mirrors": ["x"], "dns": ["1"]}')
    moved = {path("registry-mirrors"): ["a", "x"], path("debug"): False}
    there = merge(document, want, {}, {}, moved=moved)
    assert there.before is document
    assert there.after.text() == (
        '{"registry-mirrors": ["x", "a", "m"], "dns": ["1"], "debug": true}'
    )
    assert {change.key for change in there.changes} == {path("registry-mirrors"), path("debug")}
    back = merge(there.after, WantedSettings(), there.owned_lists, there.owned_values)
    assert back.after.text() == '{"registry-mirrors": ["x", "a"], "dns": ["1"], "debug": false}'


@pytest.mark.parametrize("mended", ['{"debug": false}', "{}", '{"debug": 1}'])
def test_a_value_changed_by_hand_since_is_not_ours_to_take_out(mended):
    owned = {path("debug"): OwnedValue(True, None, existed=True)}
    assert merge(parse(mended), WantedSettings(), {}, owned).after.text() == mended


def test_a_new_value_keeps_what_was_there_before_the_first():
    first = merge(parse('{"debug": "theirs"}'), WantedSettings({}, {path("debug"): True}), {}, {})
    want = WantedSettings({}, {path("debug"): False})
    second = merge(first.after, want, {}, first.owned_values)
    assert second.owned_values[path("debug")].before == "theirs"
    back = merge(second.after, WantedSettings(), {}, second.owned_values)
    assert back.after.text() == '{"debug": "theirs"}'


def test_a_file_that_is_too_large_is_refused():
    text = '{"a": [' + ",".join(["[]"] * 400_000) + "]}"
    with pytest.raises(NotReadableError, match="larger than 1 MB"):
        parse(text)


def test_a_copy_is_a_document_of_its_own():
    document = parse('{"a": {"b": 1}}')
    twin = copy.copy(document)
    twin[path("a", "b")] = 2
    assert (document.text(), twin.text()) == ('{"a": {"b": 1}}', '{"a": {"b": 2}}')
    assert document[path("a", "b")] == 1
