"""The editor of files of logins (entry.awk), by every awk that hosts have."""

import json
import shutil
import subprocess
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PROGRAM = str(files("regfleet.shell") / "entry.awk")
KEY = "reg.example.com:5000"
VALUE = '{"auth": "Y2k6eA=="}'
OTHER = {"auth": "b3RoZXI6eA=="}
AWKS = {
    "mawk": ["mawk"],
    "busybox": ["busybox", "awk"],
    "gawk": ["gawk", "--posix"],
    "original-awk": ["original-awk"],  # FreeBSD, macOS
}
THERE = {name: command for name, command in AWKS.items() if shutil.which(command[0])}
EVERY_AWK = pytest.mark.parametrize(
    "awk",
    [
        pytest.param(
            name, marks=pytest.mark.skipif(name not in THERE, reason=f"{name} is not installed")
        )
        for name in AWKS
    ],
)


def asked(awk, verb, document, *, stores="yes", value=VALUE, key=KEY, group="auths"):
    """The first word of the answer, and what is behind it; documents in bytes."""
    text = document if isinstance(document, bytes) else document.encode()
    text = text.translate(bytes.maketrans(b"\0\2\n", b"\1\1\2"))  # as home.sh does
    options = ["-v", f"verb={verb}", "-v", f"key={key}", "-v", f"stores={stores}"]
    options += [] if group == "auths" else ["-v", f"group={group}"]
    done = subprocess.run(
        [*AWKS[awk], *options, "-f", PROGRAM],
        input=value.encode() + b"\n" + text + b"\n",
        capture_output=True,
        timeout=60,
        check=True,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )
    assert not done.stderr
    assert done.stdout.count(b"\n") == 1
    word, _, rest = done.stdout[:-1].partition(b" ")
    return word.decode(), rest.replace(b"\2", b"\n")


# ---- what is no JSON, or is it twice ----

REFUSED = {
    "a trailing comma": (
        '{"auths":{"a":{},}}',
        "line 1, column 18: a comma with nothing behind it",
    ),
    "a comment": ('{\n\t"auths": {} // mine\n}', "line 2, column 14: this is no JSON"),
    "a list": ("[]", "line 1, column 1: this is no JSON object"),
    "a word": ("nonsense", "line 1, column 1: this is no JSON object"),
    "a second document": ("{} {}", 'line 1, column 4: "{" where the end belongs'),
    "an end too few": ('{"auths": {', "line 1, column 12: it ends in the middle"),
    "an end too many": ("{}}", 'line 1, column 3: "}" where the end belongs'),
    "an end of the other kind": ('{"a": [}', 'line 1, column 8: "}" where a value belongs'),
    "a string that does not end": ('{"a', "line 1, column 4: it ends in the middle"),
    "a line end in a string": ('{"a\n"', "line 1, column 4: a line ends within a text"),
    "a control character": (b'{"a":"\x02"}', "line 1, column 7: a line ends within a text"),
    "a zero": (b"{}\0", "line 1, column 3: this is no JSON"),
    "a mark of byte order": (b"\xef\xbb\xbf{}", "line 1, column 1: this is no JSON"),
    "no colon": ('{"a" 1}', "line 1, column 6: a word where a colon belongs"),
    "no value": ('{"a":}', 'line 1, column 6: "}" where a value belongs'),
    "no name": ("{1:2}", "line 1, column 2: a word where a name in quotes belongs"),
    "no comma": ('{"a":1 "b":2}', "line 1, column 8: a text where a comma belongs"),
    "a comma in a list": ('{"a":[1,]}', "line 1, column 9: a comma with nothing behind it"),
    "a number that is none": ('{"a":01}', "line 1, column 8: this is neither a text nor a number"),
    "a word that is none": ('{"a":True}', "line 1, column 6: this is no JSON"),
    "an escape that is none": (
        r'{"a":"\x"}',
        "line 1, column 8: a backslash before what needs none",
    ),
    "a digit too few": (r'{"a":"\u12"}', r"line 1, column 11: \u without four digits"),
    "auths twice": ('{"auths":{},"auths":{}}', 'line 1, column 19: "auths" a second time'),
    "auths and AUTHS": ('{"auths":{},"AUTHS":{}}', 'line 1, column 19: "auths" a second time'),
    "the entry twice": (
        json.dumps({"auths": {KEY: {}}})[:-2] + f', "{KEY}": {{}}}}}}',
        f"the registry {KEY} a second time",
    ),
    "the entry twice, once escaped": (
        f'{{"auths": {{"{KEY}": {{}}, "\\u0072{KEY[1:]}": {{}}}}}}',
        f"the registry {KEY} a second time",
    ),
    "auths as a list": ('{"auths": []}', 'line 1, column 11: "auths" is no object'),
    "a helper that is a path": ('{"credsStore": "../x"}', "helper's name"),
    "a helper that is an option": ('{"credsStore": "-x"}', "helper's name"),
}


@EVERY_AWK
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("verb", ["look", "get", "helper", "put", "drop"])
def test_what_is_refused(awk, name, verb):
    document, reason = REFUSED[name]
    word, said = asked(awk, verb, document)
    assert word == "invalid"
    assert reason in said.decode()


# ---- what is edited ----

PRETTY = json.dumps({"auths": {"a": OTHER, "z": OTHER}, "x": [1, {"auths": {}}]}, indent="\t")
PUT = {
    "nothing": ("", f'{{\n\t"auths": {{\n\t\t"{KEY}": {VALUE}\n\t}}\n}}\n'),
    "blanks": (" \n", f'{{\n\t"auths": {{\n\t\t"{KEY}": {VALUE}\n\t}}\n}}\n'),
    "an empty object": ("{ }", f'{{"auths"  :{{"{KEY}": {VALUE}}} }}'),
    "no auths": ('{ "x":1}', f'{{ "auths"  :{{"{KEY}": {VALUE}}}, "x":1}}'),
    "auths that are null": ('{"auths":null}', f'{{"auths":{{"{KEY}": {VALUE}}}}}'),
    "empty auths": ('{"auths": { }}', f'{{"auths": {{"{KEY}": {VALUE} }}}}'),
    "other logins": ('{"auths":{ "a":{}}}', f'{{"auths":{{ "{KEY}": {VALUE}, "a":{{}}}}}}'),
    "another value": (
        f'{{"auths":{{"{KEY}":{{"a":[1,{{}}]}} }}}}',
        f'{{"auths":{{"{KEY}":{VALUE} }}}}',
    ),
    "a number": (f'{{"auths":{{"{KEY}":1}}}}', f'{{"auths":{{"{KEY}":{VALUE}}}}}'),
    "the name elsewhere": (
        f'{{"x":{{"{KEY}":{{}}}}, "auths":{{}}}}',
        f'{{"x":{{"{KEY}":{{}}}}, "auths":{{"{KEY}": {VALUE}}}}}',
    ),
}


@EVERY_AWK
@pytest.mark.parametrize("name", PUT)
def test_what_is_put_in(awk, name):
    document, expected = PUT[name]
    assert asked(awk, "put", document) == ("ok", expected.encode())


DROPPED = {
    "alone": (f'{{"auths":{{"{KEY}":{{}}}}}}', "empty", '{"auths":{}}'),
    "alone, with the rest": (f'{{"auths":{{"{KEY}":{{}} }},"x":1}}', "ok", '{"auths":{ },"x":1}'),
    "first": (f'{{"auths":{{"{KEY}":{{}}, "a":{{}}}}}}', "ok", '{"auths":{ "a":{}}}'),
    "last": (f'{{"auths":{{"a":{{}}, "{KEY}":{{}} }}}}', "ok", '{"auths":{"a":{} }}'),
    "between": (
        f'{{"auths":{{"a":{{}}, "{KEY}":{{}}, "z":1}}}}',
        "ok",
        '{"auths":{"a":{}, "z":1}}',
    ),
    "a comma in another object": (
        f'{{"auths":{{"a":1,"{KEY}":{{}}}},"x":{{"y":1,"z":2}}}}',
        "ok",
        '{"auths":{"a":1},"x":{"y":1,"z":2}}',
    ),
    "not there": ('{"auths":{"a":{}}}', "same", ""),
    "elsewhere": (f'{{"{KEY}":{{}},"auths":{{"a":{{"{KEY}":1}}}}}}', "same", ""),
}


@EVERY_AWK
@pytest.mark.parametrize("name", DROPPED)
def test_what_is_taken_out(awk, name):
    document, word, expected = DROPPED[name]
    assert asked(awk, "drop", document) == (word, expected.encode())


# ---- what is told ----

TOLD = {
    "a login": ({"auths": {KEY: {"auth": "eDp5"}}}, "auth eDp5", "auth eDp5"),
    "a token": (
        {"auths": {KEY: {"auth": "eDo=", "identitytoken": "a.b-c"}}},
        "auth eDo=",
        "auth eDo= a.b-c",
    ),
    "a token to break out with": (
        {"auths": {KEY: {"auth": "eDo=", "identitytoken": 'x"}}'}}},
        "auth -",
        "auth -",
    ),
    "a login to break out with": ({"auths": {KEY: {"auth": 'x"\n@end'}}}, "auth -", "auth -"),
    "a login of sixty kilobytes": ({"auths": {KEY: {"auth": "QQ" * 30000}}}, "none", "none"),
    "another's": ({"auths": {"a": {"auth": "eDp5"}}}, "none", "none"),
    "a store": ({"credsStore": "pass", "auths": {KEY: {}}}, "helper pass", "helper pass"),
    "a store without it": ({"credsStore": "pass"}, "none", "none"),
    "a helper": (
        {"credHelpers": {KEY: "a-b.c"}, "credsStore": "x"},
        "helper a-b.c",
        "helper a-b.c",
    ),
    "a store that hides it": (
        {"credsStore": "x", "auths": {KEY: {"auth": "eDp5"}}},
        "none",
        "none",
    ),
}


@EVERY_AWK
@pytest.mark.parametrize("name", TOLD)
def test_what_is_told(awk, name):
    document, look, get = TOLD[name]
    for verb, expected in (("look", look), ("get", get)):
        word, rest = asked(awk, verb, json.dumps(document))
        assert f"{word} {rest.decode()}".strip() == expected


@EVERY_AWK
def test_a_file_of_podmans_knows_no_store(awk):
    document = json.dumps({"credsStore": "x", "auths": {KEY: {"auth": "eDp5"}}})
    assert asked(awk, "look", document, stores="no") == ("auth", b"eDp5")


@EVERY_AWK
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"ServerURL": KEY, "Username": "ci", "Secret": 'ä"\\/\t€'}, 'login ci:ä"\\/\t€'),
        ({"Username": "<token>", "Secret": "t"}, "token t"),
        ({"Username": "ci"}, "none"),
    ],
)
@pytest.mark.parametrize("escaped", [True, False])
def test_what_a_helper_answers(awk, answer, expected, escaped):
    word, rest = asked(awk, "kept", json.dumps(answer, ensure_ascii=escaped))
    assert f"{word} {rest.decode()}".strip() == expected


# ---- laws ----

NAMES = st.one_of(st.sampled_from(["auths", "x", KEY, "credHelpers"]), st.text(max_size=8))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
ENTRIES = st.dictionaries(st.text(max_size=12).filter(lambda name: name != KEY), PLAIN, max_size=4)
REST = st.dictionaries(
    st.text(max_size=8).filter(
        lambda name: name.lower() not in {"auths", "credsstore", "credhelpers"}
    ),
    PLAIN,
    max_size=4,
)
LAYOUT = st.sampled_from(
    [{"indent": "\t"}, {"indent": 2}, {"separators": (",", ":")}, {"separators": (" ,", " : ")}, {}]
)


@st.composite
def documents(draw):
    """A file of logins without ours in it, in some layout."""
    rest = list(draw(REST).items())
    if draw(st.booleans()):
        rest.insert(draw(st.integers(0, len(rest))), ("auths", draw(ENTRIES)))
    text = json.dumps(dict(rest), ensure_ascii=draw(st.booleans()), **draw(LAYOUT))
    return text.encode("utf-8", "surrogatepass") + draw(st.sampled_from([b"", b"\n", b" \r\n"]))


def _many(function):
    check = settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    return check(function)


@EVERY_AWK
@_many
@given(document=documents())
def test_put_in_and_taken_out_gives_every_byte_back(awk, document):
    word, edited = asked(awk, "put", document)
    assert word == "ok"
    loaded = json.loads(edited.decode("utf-8", "surrogatepass"))
    assert loaded["auths"].pop(KEY) == json.loads(VALUE)
    before = json.loads(document.decode("utf-8", "surrogatepass"))
    assert {"auths": {}, **loaded} == {"auths": {}, **before}
    assert asked(awk, "put", edited) == ("ok", edited)
    assert asked(awk, "look", edited) == ("auth", b"Y2k6eA==")
    word, back = asked(awk, "drop", edited)
    assert word in {"ok", "empty"}
    assert back == document


@EVERY_AWK
@_many
@given(document=documents(), place=st.integers(0, 400), byte=st.integers(0, 255), cut=st.booleans())
def test_what_json_refuses_is_refused(awk, document, place, byte, cut):
    """By Python's own reader of JSON, which takes NaN and bytes that are no UTF-8 as an error."""
    place = place % (len(document) or 1)
    broken = document[:place] + bytes([byte]) + document[place + cut :]
    try:
        json.loads(broken.decode("utf-8", "surrogateescape"), parse_constant=_refuse)
    except ValueError:
        assert broken.strip(b" \t\r\n") == b"" or asked(awk, "look", broken)[0] == "invalid"


def _refuse(constant):
    raise ValueError(constant)


@EVERY_AWK
@pytest.mark.parametrize(
    "text",
    [
        b'{"auths": {"a": "' + b"x" * 1_000_000 + b'"}}',
        b"{" + b"\n" * 1_000_000 + b"}",
        b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b'{"auths": {' + b'"a": {},' * 100_000 + b'"b": {}}}',
    ],
    ids=["a long text", "a million lines", "a deep nest", "many logins"],
)
def test_a_megabyte_of_anything_comes_to_an_end(awk, text):
    """The deadline of `asked` is what a step that is quadratic would miss."""
    word, edited = asked(awk, "put", text)
    assert word == "ok"
    assert asked(awk, "drop", edited)[1] == text


# ---- the proxies of containers, in the same file ----

PROXY = '{"httpsProxy": "http://p:1", "noProxy": "a,b"}'


def of_proxies(awk, verb, document):
    return asked(awk, verb, document, value=PROXY, key="default", group="proxies")


@EVERY_AWK
@pytest.mark.parametrize(
    "document",
    [
        "",
        "{}",
        '{"auths": {"reg.example.com:5000": {"auth": "eDp5"}}}',
        '{\n\t"proxies": {\n\t\t"tcp://other:2376": {"httpProxy": "x"}\n\t}\n}\n',
        '{"auths": {"default": {"auth": "eDp5"}}, "proxies": null}',
        '{"proxies": {}, "psFormat": "x"}',
    ],
)
def test_proxies_are_put_and_taken_out_beside_all_else(awk, document):
    before = json.loads(document or "{}")
    word, after = of_proxies(awk, "put", document)
    assert word == "ok"
    found = json.loads(after)
    assert found["proxies"]["default"] == json.loads(PROXY)
    assert of_proxies(awk, "value", after) == ("value", PROXY.encode())
    kept = {**before, "proxies": before.get("proxies") or {}}
    assert {
        **found,
        "proxies": {k: v for k, v in found["proxies"].items() if k != "default"},
    } == kept
    word, back = of_proxies(awk, "drop", after)
    assert word in ("ok", "empty")
    left = json.loads(back)
    assert {**left, "proxies": left.get("proxies") or {}} == kept
    if document and "proxies" not in before:
        assert back.decode() == document  # to the byte


@EVERY_AWK
@pytest.mark.parametrize(
    ("document", "answer"),
    [
        ('{"proxies": {"other": {}}}', ("none", b"")),
        ('{"auths": {"default": {}}}', ("none", b"")),
        ('{"proxies": {"default": {\n"a": 1}}}', ("value", b"-")),
        ('{"Proxies": {"default": {"a": 1}}}', ("value", b'{"a": 1}')),
        ('{"proxies": []}', ("invalid", b'line 1, column 13: "proxies" is no object')),
        (
            '{"proxies": {"default": 1, "default": 2}}',
            ("invalid", b"line 1, column 36: default a second time"),
        ),
    ],
)
def test_what_is_said_of_proxies(awk, document, answer):
    assert of_proxies(awk, "value", document) == answer
