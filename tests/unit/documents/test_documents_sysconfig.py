"""Variables that hold flags: what is ours goes in and comes out, each other byte stays."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merging import check_merge, there_and_back, two_fleets, wants
from samples import texts_of

from regfleet.documents.interface import NotReadableError, path
from regfleet.documents.merge import merge
from regfleet.documents.sysconfig import parse
from regfleet.documents.sysconfig_scan import scan
from regfleet.model.desired import WantedSettings

SAMPLES = texts_of("*.sysconfig")
INSECURE = path("OPTIONS", "--insecure-registry")
MIRROR = path("OPTIONS", "--registry-mirror")
WANT = WantedSettings({INSECURE: ("[::1]:5000", "r.lan:5000"), MIRROR: ("https://m.example.com/",)})
anything = wants(
    [INSECURE, MIRROR, path("DOCKER_OPTS", "--registry-mirror")], [INSECURE], st.nothing()
)

words = st.sampled_from(
    [
        "--insecure-registry a",
        "--insecure-registry=x",
        "--insecure-registry x --insecure-registry=y",
        "--registry-mirror=https://m/",
        "--debug",
        "-D",
        "-H fd://",
        "-Htcp://0.0.0.0",
        "--log-opt tag={{.Name}}",
        "--label 'a b'",
        "--selinux-enabled=false",
    ]
)
BLANKS = " \\\n"
gap = st.sampled_from([" ", "  ", "\n", " \\\n  "])


@st.composite
def lines(draw):
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(
            st.sampled_from(["", "# OPTIONS='--debug'", "; note", "GOTRACEBACK=crash", "fi"])
        )
    if kind == 1:
        return 'if [ -z "$CERTS" ]; then\n  CERTS=/etc/docker\nfi'
    name = draw(st.sampled_from(["OPTIONS", "OPTIONS", "DOCKER_OPTS", "OTHER"]))
    flags = draw(st.lists(words, max_size=4))
    quote = draw(st.sampled_from("\"'"))
    gaps = [draw(gap) for _ in flags]
    if quote == "'":
        flags = [flag.replace("'", '"') for flag in flags]
        gaps = [each.replace("\\", "") for each in gaps]
    ends = draw(st.sampled_from(["", " ", gaps[0] if gaps else ""]))
    value = "".join(flag + each for flag, each in zip(flags, gaps, strict=True))
    return f"{name}={quote}{value.rstrip(BLANKS)}{ends}{quote}"


texts = st.builds(
    lambda all_, end: "\n".join(all_) + end,
    st.lists(lines(), max_size=5),
    st.sampled_from(["", "\n"]),
)


class TestLaws:
    @settings(max_examples=200)
    @given(texts, anything)
    def test_merge_then_unmerge_gives_back_every_byte(self, text, want):
        assert there_and_back(parse(text), want).text() == text

    @settings(max_examples=200)
    @given(texts, anything)
    def test_one_merge(self, text, want):
        check_merge(parse(text), want)

    @settings(max_examples=50)
    @given(
        texts,
        st.lists(st.tuples(st.sampled_from(["one", "two"]), anything), max_size=4),
        st.permutations(["one", "two"]),
    )
    def test_two_fleets_leave_what_was_there(self, text, steps, last):
        assert two_fleets(parse(text), steps, last).tree() == parse(text).tree()

    @given(st.text(max_size=60) | st.text("OPTIONS='\"\\\n -a=$#", max_size=60))
    def test_any_text_is_read_and_kept(self, text):
        assert parse(text).text() == text


# ---- one by one ----

TABLE = {
    "none": ("", "OPTIONS='--registry-mirror https://m'\n"),
    "no newline": ("A=1", "A=1\nOPTIONS='--registry-mirror https://m'"),
    "single": ("OPTIONS='--debug'\n", "OPTIONS='--debug --registry-mirror https://m'\n"),
    "double": ('OPTIONS="--debug"\n', 'OPTIONS="--debug --registry-mirror https://m"\n'),
    "unquoted word": ("OPTIONS=--debug\n", "OPTIONS='--debug --registry-mirror https://m'\n"),
    "unquoted words": ("OPTIONS=--debug -D\n", "OPTIONS=--debug -D --registry-mirror https://m\n"),
    "empty": ("OPTIONS=\nA=1\n", "OPTIONS='--registry-mirror https://m'\nA=1\n"),
    "empty quotes": ('OPTIONS=""\n', 'OPTIONS="--registry-mirror https://m"\n'),
    "spelled with =": ("OPTIONS='--a=b'\n", "OPTIONS='--a=b --registry-mirror=https://m'\n"),
    "spelled like the same flag": (
        "OPTIONS='--registry-mirror https://x --a=b'\n",
        "OPTIONS='--registry-mirror https://x --registry-mirror https://m --a=b'\n",
    ),
    "the last line counts": (
        "OPTIONS='--a'\nOPTIONS='--b'\n",
        "OPTIONS='--a'\nOPTIONS='--b --registry-mirror https://m'\n",
    ),
    "commented out": (
        "#OPTIONS='--a'\n",
        "#OPTIONS='--a'\nOPTIONS='--registry-mirror https://m'\n",
    ),
    "continued": (
        'OPTIONS="--a \\\n  --b \\\n"\n',
        'OPTIONS="--a \\\n  --b --registry-mirror https://m \\\n"\n',
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_flag_goes_in(name):
    before, after = TABLE[name]
    document = parse(before)
    mirrors = [*document.get(MIRROR, []), "https://m"]
    document[MIRROR] = mirrors
    assert document.text() == after
    assert document[MIRROR] == mirrors


READ = {
    "--a b --a=c --d": {"--a": ["b", "c"], "--d": ["true"]},
    "-D -H fd:// -Htcp://x": {"-D": ["true"], "-H": ["fd://"], "-Htcp://x": ["true"]},
    "--label 'a b' --c": {"--label": ["'a b'"], "--c": ["true"]},
    "--e= --f": {"--e": [""], "--f": ["true"]},
    "word --a": "word --a",
    "": {},
}


@pytest.mark.parametrize("value", READ)
def test_flags_are_read(value):
    assert parse(f'OPTIONS="{value}"\n').tree() == {"OPTIONS": READ[value]}


TROUBLE = {
    "expansion": ('OPTIONS="--a $B"', "$"),
    "substitution": ('OPTIONS="--a `b`"', "`"),
    "expansion, no quotes": ("OPTIONS=--a=$B", "$"),
    "escape": ('OPTIONS="--a \\"b\\""', "backslash"),
    "backslash in single quotes": ("OPTIONS='--a \\\n --b'", "backslash"),
    "open": ("OPTIONS='--a\nA=1\n", "not closed"),
    "comment behind": ("OPTIONS='--a' # why", "closing quote"),
    "more behind": ("OPTIONS='--a'; export OPTIONS", "closing quote"),
    "two quotes": ("OPTIONS='--a'\" --b\"", "closing quote"),
    "quotes inside a word": ("OPTIONS=--a'b'", "outside"),
    "comment, no quotes": ("OPTIONS=--a # why", "#"),
    "added to": ("OPTIONS='--a'\nOPTIONS+=' --b'", "+="),
    "exported": ("export OPTIONS='--a'", "export"),
    "conditional": ("if true; then\n  OPTIONS='--a'\nfi", "condition"),
    "blanks": ("OPTIONS= '--a'", "blanks"),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_what_cannot_be_read_for_sure_is_refused_with_line_and_hint(name):
    text, said = TROUBLE[name]
    document = parse(f"# head\n{text}\n")
    with pytest.raises(NotReadableError) as caught:
        merge(document, WANT, {}, {})
    assert said in caught.value.message
    assert caught.value.line == 2 + text.splitlines().index(
        next(line for line in reversed(text.splitlines()) if "OPTIONS" in line)
    )
    assert "OPTIONS='--flag" in caught.value.hint
    assert document.text() == f"# head\n{text}\n"


def test_trouble_in_another_variable_is_not_ours():
    text = "PATH=\"$PATH:/opt\"\nOPTIONS='--a'\n"
    check_merge(parse(text), WANT)
    assert there_and_back(parse(text), WANT).text() == text


@pytest.mark.parametrize("value", ["a b", "a'b", "$a", "a\\b", "", 'a"b', "a*", "a;b", "a#b"])
def test_a_value_that_needs_care_is_refused(value):
    with pytest.raises(NotReadableError, match="systemd"):
        parse("OPTIONS=''\n")[MIRROR] = [value]


@pytest.mark.parametrize("name", SAMPLES)
def test_real_files(name):
    text = SAMPLES[name]
    check_merge(parse(text), WANT)
    assert there_and_back(parse(text), WANT).text() == text


def test_fedora():
    after = merge(parse(SAMPLES["fedora.sysconfig"]), WANT, {}, {}).after
    assert after.text() == SAMPLES["fedora.sysconfig"].replace(
        "docker-proxy \\",
        "docker-proxy --insecure-registry [::1]:5000 --insecure-registry r.lan:5000"
        " --registry-mirror https://m.example.com/ \\",
    )


@settings(max_examples=50)
@given(texts.filter(lambda text: "; note" not in text and "\nfi\n" not in f"\n{text}\n"), anything)
def test_sh_reads_the_same(text, want):
    document = merge(parse(text), want, {}, {}).after
    said = subprocess.run(
        ["sh", "-c", '. /dev/stdin; printf "%s" "$OPTIONS"'],
        input=document.text(),
        capture_output=True,
        text=True,
        check=True,
        env={},
    )
    variable = scan(document.text()).get("OPTIONS")
    assert said.stdout == (variable.text if variable else "")
