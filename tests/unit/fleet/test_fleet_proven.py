"""A text that was applied is not validated again; any other is."""

import shutil
import subprocess
import sys
import textwrap

import pytest

from regfleet import resources
from regfleet.errors import FleetFileError
from regfleet.fleet import proven
from regfleet.fleet.load import load
from regfleet.state import StateDirectory

TEXT = """\
version = 1
name = "acme"

[registry.main]
hosts = ["reg1.example.com"]
"""


@pytest.fixture
def applied(tmp_path):
    """A fleet file whose text was loaded, and its proof kept."""
    file = tmp_path / "fleet.toml"
    file.write_text(TEXT)
    fleet = load(file)
    proven.keep(fleet.proof, StateDirectory.beside(file, fleet.name))
    return file


@pytest.fixture
def validated(monkeypatch):
    """The documents that the validator was given."""
    from regfleet.fleet import validate  # noqa: PLC0415 - not before the test that wants it

    given = []
    validator = validate.validate

    def noted(document):
        given.append(document)
        return validator(document)

    monkeypatch.setattr(validate, "validate", noted)
    return given


def test_a_text_that_was_applied_is_not_validated_again(applied, validated):
    assert load(applied).name == "acme"
    assert validated == []


def test_the_validator_is_not_even_imported(applied):
    program = f"""
        import sys
        from pathlib import Path
        from regfleet.fleet.load import load
        load(Path({str(applied)!r}))
        print("jsonschema" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_a_new_text_is(applied, validated):
    applied.write_text(TEXT.replace("hosts", "hostz"))
    with pytest.raises(FleetFileError, match="hostz"):
        load(applied)
    assert len(validated) == 1


def test_a_new_schema_asks_again(applied, validated, monkeypatch, tmp_path):
    newer = tmp_path / "newer.json"
    shutil.copy(resources.path("fleet.schema.json"), newer)
    newer.write_text(newer.read_text() + "\n")
    monkeypatch.setattr(resources, "path", lambda _: newer)
    load(applied)
    assert len(validated) == 1


@pytest.mark.parametrize("name", ["3", '"../acme"', '"a/b"', '""', '"a\\u0000b"'])
def test_a_name_that_cannot_be_is_left_to_the_validator(tmp_path, validated, name):
    file = tmp_path / "fleet.toml"
    file.write_text(TEXT.replace('"acme"', name))
    with pytest.raises(FleetFileError, match="name"):
        load(file)
    assert len(validated) == 1


def test_a_broken_proof_is_none(applied, validated):
    (applied.parent / ".regfleet" / "acme" / proven.FILE).write_bytes(b"\xff\xfe")
    load(applied)
    assert len(validated) == 1
