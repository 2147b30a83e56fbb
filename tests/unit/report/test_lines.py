"""Lines fit a terminal and lose nothing; a pipe gets them whole."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from regfleet.report.lines import clean, show, show_text


def printed(width, lead, body, **settings):
    stream = io.StringIO()
    terminal = {"force_terminal": True, "color_system": None} if width else {}
    show(Console(file=stream, width=width or 80, **terminal), lead, body, **settings)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("lead", "body", "settings", "expected"),
    [
        ("  + ", "one two", {}, ["  + one two"]),
        ("  hint: ", "a word and another word", {}, ["  hint: a word and another", "        word"]),
        ("", "a word and another word here", {"hang": 2}, ["a word and another word", "  here"]),
        ("", "/a/very/long/path/that/does/not", {}, ["/a/very/long/path/that/doe", "s/not"]),
        ("    ", "+  {  x: 'a word and another'", {"words": False},
         ["    +  {  x: 'a word and a", "    nother'"]),
        ("", "", {}, [""]),
    ],
)  # fmt: skip
def test_what_does_not_fit_stands_below_its_beginning(lead, body, settings, expected):
    assert printed(26, lead, body, **settings).splitlines() == expected


def test_a_pipe_gets_one_line():
    body = "word " * 100
    assert printed(None, "  hint: ", body) == f"  hint: {body}\n"


@given(st.text(max_size=300), st.integers(25, 120), st.booleans())
def test_it_fits_and_loses_nothing_but_blanks(text, width, words):
    body = clean(text)
    said = printed(width, "- ", body, words=words)
    lines = said.split("\n")[:-1]
    assert max(map(cell_len, lines)) <= width
    assert "".join("".join(lines).removeprefix("- ").split()) == "".join(body.split())


@given(st.text(st.characters(), max_size=100))
def test_what_is_clean_is_one_line_that_can_be_written(text):
    said = clean(text)
    assert "\n" not in said
    assert "\x1b" not in said
    assert said.encode().decode() == said
    assert clean(said) == said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\tb\nc", "a    b c"),
        ("a\rb", "a\N{REPLACEMENT CHARACTER}b"),
        ("ümläut 漢字", "ümläut 漢字"),
    ],
)
def test_sequences_and_controls_go(text, expected):
    assert clean(text) == expected


def test_styles_stay():
    stream = io.StringIO()
    console = Console(file=stream, width=26, force_terminal=True, color_system="standard")
    show(console, Text("+ ", "green"), Text.assemble("a word and ", ("another one here", "bold")))
    assert stream.getvalue().splitlines() == [
        "\x1b[32m+ \x1b[0ma word and \x1b[1manother one\x1b[0m",
        "  \x1b[1mhere\x1b[0m",
    ]


def test_a_text_keeps_its_lines():
    stream = io.StringIO()
    console = Console(file=stream, width=40, force_terminal=True, color_system=None)
    show_text(console, "error: three words and then some more of them\n  hint: do this")
    assert stream.getvalue().splitlines() == [
        "error: three words and then some more",
        "  of them",
        "  hint: do this",
    ]
