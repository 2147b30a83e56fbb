"""YAML for people: what is written is read as it was, and looks as somebody would write it."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from regfleet.documents.yaml_block import render

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    TEXT | st.booleans() | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, VALUES, min_size=1))
def test_what_is_written_is_read_as_it_was(document):
    assert yaml.safe_load(render(document)) == document


@pytest.mark.parametrize(
    "odd",
    [
        "yes",
        "NO",
        "on",
        "null",
        "~",
        "1e3",
        "0x1f",
        "1:30",
        "a: b",
        "a #b",
        "a:",
        "- a",
        "'a",
        "a\n",
    ],
)
def test_what_would_be_taken_for_something_else_is_quoted(odd):
    assert render({"key": odd}).startswith('key: "')
    assert yaml.safe_load(render({"key": [odd], odd: 1})) == {"key": [odd], odd: 1}


def test_it_reads_like_a_file_of_somebody_s():
    document = {
        "services": {
            "registry": {
                "image": "registry:2",
                "ports": ["5000:5000"],
                "read_only": True,
                "pids_limit": 4096,
                "options": {},
            }
        }
    }
    assert render(document, {"ports": "Where it listens,\nand nowhere else."}) == (
        "services:\n"
        "  registry:\n"
        "    image: registry:2\n"
        "    # Where it listens,\n"
        "    # and nowhere else.\n"
        "    ports:\n"
        '      - "5000:5000"\n'
        "    read_only: true\n"
        "    pids_limit: 4096\n"
        "    options: {}\n"
    )
