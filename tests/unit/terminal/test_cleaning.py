"""Nothing that acts on a terminal, hides or turns what is read comes through."""

import json
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from regfleet.terminal.cleaning import REPLACED, clean, clean_lines, escape_json, same_length

ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
INVISIBLE = "\u034f\u115f\u1160\u17b4\u3164\uffa0\U000e0100"
EVERY = [chr(code) for code in range(sys.maxunicode + 1)]
BAD = [each for each in EVERY if unicodedata.category(each) in ACTING] + list(INVISIBLE)


def acts(text):
    return any(unicodedata.category(each) in ACTING for each in text)


def test_every_character_that_acts_is_replaced():
    assert len(BAD) > 2200
    assert {each for each in BAD if clean(f"a{each}b") != f"a{REPLACED}b"} == {"\n", "\t"}
    assert {each for each in BAD if clean_lines(f"a{each}b") != f"a{REPLACED}b"} == {"\n", "\t"}
    assert {each for each in BAD if same_length(each, lines=False) == each} == set()
    assert {each for each in BAD if same_length(each, lines=True) == each} == {"\n"}


def test_letters_of_any_script_stay():
    letters = "".join(each for each in EVERY if unicodedata.category(each)[0] in "LN")
    kept = clean(letters)
    assert set(letters) - set(kept) <= set(INVISIBLE)


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_laws(text):
    assert not acts(clean(text))
    assert clean(clean(text)) == clean(text)
    assert clean_lines(text).count("\n") == text.count("\n")
    assert len(same_length(text, lines=False)) == len(text)
    assert not acts(same_length(text, lines=False))


@given(st.dictionaries(st.text(max_size=9), st.text(st.characters(exclude_categories=()))))
def test_json_says_the_same_in_escapes(found):
    said = escape_json(json.dumps(found, ensure_ascii=False))
    assert not acts(said)
    assert not set(said) & set(INVISIBLE)
    whole = {key: "".join(REPLACED if "\ud800" <= each <= "\udfff" else each for each in value)
             for key, value in found.items()}  # fmt: skip
    assert json.loads(said) == whole


def test_what_a_host_says_cannot_take_out_what_we_say():
    """An open sequence of one host and the end of it of another have our words between them."""
    said = clean("version \x1b]0; is too old, and \x07 is well; \x1b[ then \x1b[31")
    assert "is too old, and" in said
    assert "is well" in said
    assert "then" in said
