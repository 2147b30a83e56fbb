"""A mistake in a JSON text is told in words, at the place that has to be changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet.documents.json_words import explained


def told(text):
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(text)
    return explained(text, caught.value)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('{"a": 1,}', 1, 8, "a comma too many before the closing }"),
        ('{\n  "a": 1,\n\n}\n', 2, 9, "a comma too many before the closing }"),
        ('{"a": [1, 2, ]}', 1, 12, "a comma too many before the closing ]"),
        ('{"a": [1,, 2]}', 1, 10, "a comma where a value or a key belongs"),
        ('{,"a": 1}', 1, 2, "a comma where a value or a key belongs"),
        ('{\n  "a": 1\n  "b": 2\n}', 2, 9, "a comma is missing after this"),
        ('{"a": ["x" "y"]}', 1, 11, "a comma is missing after this"),
        ('{"a" 1}', 1, 5, "a colon is missing after this key"),
        ("{'a': 1}", 1, 2, "a single quote: JSON's strings need double quotes"),
        ('{\n  // why\n  "a": 1}', 2, 3, "a comment, which JSON does not have"),
        ('{"a": 1', 1, 8, "the file ends too early: a closing } or ] or a quote is missing"),
        ('{"a": 1}}', 1, 9, "extra text after the closing bracket"),
        ('{"a": tru}', 1, 7, "Expecting value"),
    ],
)
def test_in_words_with_its_place(text, line, column, words):
    assert told(text) == (line, column, words)


@given(st.text('{}[]",:a1\n /', max_size=30))
def test_whatever_it_is_there_is_a_place_in_it(text):
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        line, column, words = explained(text, error)
        lines = text.split("\n")
        assert 1 <= line <= len(lines)
        assert 1 <= column <= len(lines[line - 1]) + 1
        assert words
