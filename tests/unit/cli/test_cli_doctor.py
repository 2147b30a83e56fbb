"""`regfleet doctor --explain` as it is typed and piped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-m", "regfleet", "doctor"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "90"}
LINE = 'Error response from daemon: Get "https://reg.example:5000/v2/": no basic auth credentials'


def doctor(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["--explain", LINE], ""),
        (["--explain"], LINE),
        (["--explain", "-"], LINE),
        ([], LINE),
    ],
)
def test_ways_to_ask(arguments: list[str], stdin: str) -> None:
    done = doctor(*arguments, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("reg.example:5000 requires a login")
    assert "$ regfleet apply fleet.toml\n" in done.stdout


def test_the_fleet_file_is_named_in_commands() -> None:
    done = doctor("my fleet.toml", "--explain", LINE)
    assert "$ regfleet apply 'my fleet.toml'\n" in done.stdout


def test_what_the_fleet_file_declares_is_named(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(
        'version = 1\nname = "a"\n[registry.main]\nhosts = ["h"]\nendpoint = "reg.example:5000"\n'
    )
    done = doctor(str(file), "--explain", LINE)
    assert "login = { main = { user" in done.stdout
    assert "REGISTRY" not in done.stdout


def test_as_a_document() -> None:
    done = doctor("--json", "--explain", LINE)
    assert json.loads(done.stdout)["explanations"][0]["cause"] == "not-logged-in"
    done = doctor("--json", "--explain", "all is well")
    assert (done.returncode, json.loads(done.stdout)["explanations"]) == (1, [])


def test_what_is_not_known() -> None:
    done = doctor("--explain", "the moon is full")
    assert done.returncode == 1
    assert "regfleet doctor fleet.toml" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--explain"], ["--explain", " "]])
def test_nothing_to_do_is_a_usage_error(arguments: list[str]) -> None:
    done = doctor(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing to examine or to explain" in done.stderr


def test_a_file_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text("version = 1\nnaem = 'x'\n")
    done = doctor(str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert "naem" in done.stderr
