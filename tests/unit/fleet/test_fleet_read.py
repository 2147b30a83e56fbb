from __future__ import annotations

from pathlib import Path

import pytest

from regfleet.errors import FleetFileError
from regfleet.fleet import read as reading
from regfleet.fleet.read import read


def message_of(path: Path) -> str:
    with pytest.raises(FleetFileError) as caught:
        read(path)
    (mistake,) = caught.value.mistakes
    return f"{mistake.line} {mistake.message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 is empty: it declares nothing"),
        (b"a = 1\nb = \xff\n", "2 is not UTF-8 (byte 0xff)"),
        ("a = 1".encode("utf-16"), "1 is not UTF-8 (byte 0xff)"),
        (b"\x7fELF\x02\x01\x01\x00", "1 is not TOML: invalid statement"),
        (b"a = 1\r\nb\r\n", "2 is not TOML: expected '=' after a key in a key/value pair"),
        (b"a = 1\nb = ", "2 is not TOML: invalid value"),
        (b"a = [\n1,\n", "2 is not TOML: invalid value"),
        (b"a = 1979-02-31", "1 is not TOML: invalid date or datetime"),
    ],
)
def test_content_that_is_no_document(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "fleet.toml"
    file.write_bytes(content)
    assert message_of(file) == message


def test_places_that_are_no_file(tmp_path: Path) -> None:
    assert message_of(tmp_path / "none.toml") == "0 there is no such file"
    assert message_of(tmp_path) == "0 is a directory"
    assert message_of(tmp_path / "none" / "\0") == "0 cannot be read: embedded null byte"
    assert message_of(tmp_path / ("n" * 300)) == "0 cannot be read: File name too long"


def test_a_file_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 1 << 20)
    file = tmp_path / "fleet.toml"
    file.write_bytes(b"#" * (1 << 20))
    assert message_of(file) == "0 is empty: it declares nothing"
    file.write_bytes(b"#" * (1 << 20) + b"\n")
    assert message_of(file) == "0 is longer than 1 MiB"


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read(file) == ("a = 1\n", {"a": 1})


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63)])
def test_the_longest_integers(tmp_path: Path, number: int) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(f"a = {number}")
    assert read(file).document == {"a": number}
    file.write_text(f"a = {number + (1 if number > 0 else -1)}")
    assert message_of(file) == "0 is an integer that does not fit in 64 bits"


def test_a_stray_comma_is_called_one(tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text('version = 1\nhosts = ["a",, "b"]\n')
    with pytest.raises(FleetFileError) as caught:
        read(path)
    (mistake,) = caught.value.mistakes
    assert (mistake.line, mistake.message) == (2, "is not TOML: a comma too many, in column 14")


def test_a_comma_before_the_end_of_an_inline_table_is_called_one():
    """TOML 1.0 refuses it; a parser of TOML 1.1 does not."""
    assert reading._comma_mistake("x = 1\na = { b = 1, }\n", 2, 14) == (
        "a comma too many before the closing } in column 14"
    )
    assert reading._comma_mistake("a = 1979-02-31", 1, 5) == ""
