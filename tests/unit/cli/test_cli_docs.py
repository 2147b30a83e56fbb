from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from regfleet.fleet import reference

ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-m", "regfleet", "docs"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "72", "TERM": "xterm"}


def docs(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )


def test_all_of_it_is_the_page() -> None:
    done = docs()
    assert done.returncode == 0
    assert done.stdout == reference.reference()


def test_a_section_is_part_of_the_page() -> None:
    done = docs("registry.tls")
    assert done.stdout.startswith("## registry.tls\n")
    assert done.stdout in reference.reference()


def test_an_unknown_section_is_a_usage_error() -> None:
    done = docs("registry.tsl")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean registry.tls?" in done.stderr


def test_the_schema_for_editors() -> None:
    done = docs("--schema")
    assert json.loads(done.stdout) == json.loads(
        (ROOT / "schema" / "fleet.schema.json").read_text("utf-8")
    )
    assert docs("client", "--schema").returncode == 2


@pytest.mark.parametrize("colour", [True, False])
def test_in_a_terminal_it_is_laid_out(colour: bool) -> None:
    ours, theirs = pty.openpty()
    environment = ENVIRONMENT if colour else {**ENVIRONMENT, "NO_COLOR": "1"}
    subprocess.run([*COMMAND, "client"], stdout=theirs, check=True, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # Linux says EIO where the other end is closed
        pass
    os.close(ours)
    text = shown.decode()
    assert "mirrors" in text
    assert "**" not in text
    assert "](#" not in text
    assert ("\x1b[3" in text or "\x1b[1;3" in text) == colour
    if not colour:
        plain = text.replace("\x1b[1m", "").replace("\x1b[0m", "")
        assert max(len(line.rstrip()) for line in plain.splitlines()) <= 90
