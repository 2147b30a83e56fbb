"""Lines fit a terminal and lose nothing; a pipe gets them whole."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from regfleet.report.lines import clean, show, show_text

BAD = "\N{REPLACEMENT CHARACTER}"


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
        ("in ", "the /a/very/long/path/that/is/it in /x", {},
         ["in the", "   /a/very/long/path/that/is/it", "   in /x"]),
        ("", "/a/very/long/path/that/does/not", {}, ["/a/very/long/path/that/does/not"]),
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


def is_long_word(line, room):
    """Whether what is too wide is one word, which stays whole to be copied."""
    return len(line.split()) == 1 and cell_len(line.strip()) > room


@given(st.text(max_size=300), st.integers(25, 120), st.booleans())
def test_it_fits_and_loses_nothing_but_blanks(text, width, words):
    body = clean(text)
    said = printed(width, "- ", text, words=words)
    lines = said.split("\n")[:-1]
    room = width - len("- ")
    assert all(cell_len(line) <= width or is_long_word(line[2:], room) for line in lines)
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
        ("\x1b]0;title\x07x", f"{BAD}]0;title{BAD}x"),
        ("\x9b2Jx\x9d0;title\x9cy", f"{BAD}2Jx{BAD}0;title{BAD}y"),
        ("a\x1b[31", f"a{BAD}[31"),
        ("pay\u202eload\u2066\u200b", f"pay{BAD}load{BAD}{BAD}"),
        ("one\u2028two\u2029\x85\x0b", f"one{BAD}two{BAD}{BAD}{BAD}"),
        ("\ud800\U000e0041", f"{BAD}{BAD}"),
        ("a\tb\nc", "a    b c"),
        ("a\rb", f"a{BAD}b"),
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
