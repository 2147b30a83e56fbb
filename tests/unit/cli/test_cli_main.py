"""With `--json` there is one document on standard output, whatever goes wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from regfleet.cli.app import cli

SOURCE = Path(__file__).resolve().parents[3] / "src"
FLEET = """
version = 1
name = "acme"
[registry.main]
hosts = ["127.0.0.1"]
endpoint = "registry.example.com:5000"
[client.build]
hosts = ["127.0.0.1"]
registries = ["main"]
"""
# docs/json.md: an error.
ERROR = {
    "type": "object",
    "required": ["version", "ok", "error"],
    "properties": {
        "version": {"const": 1},
        "ok": {"const": False},
        "error": {
            "type": "object",
            "required": ["kind", "message", "hint", "exit_code"],
            "properties": {
                "kind": {
                    "enum": [
                        *("usage", "fleet-file", "certificate", "password", "state"),
                        *("unreachable", "host", "interrupted", "declined", "failed"),
                    ]
                },
                "message": {"type": "string", "minLength": 1},
                "hint": {"type": ["string", "null"]},
                "exit_code": {"enum": [1, 2]},
            },
        },
    },
}


@pytest.fixture
def run(tmp_path):
    """`run("plan", "x", stdin=...)`: a CompletedProcess, in a directory with the fleet.toml."""
    (tmp_path / "fleet.toml").write_text(FLEET)

    def call(*arguments, stdin="", **environment):
        return subprocess.run(
            [sys.executable, "-m", "regfleet", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        )

    return call


def broken_fleet(path):
    path.write_text("version = 1\nname = 5\n[client.a]\nhosts = []\n")


def state_that_is_a_link(path):
    (path.parent / ".regfleet").mkdir()
    (path.parent / ".regfleet" / "acme").symlink_to("/tmp")


def no_such_password(path):
    users = '[registry.main.users]\nalice = { password = { env = "NO_SUCH_VARIABLE" } }\n'
    path.write_text(f"{FLEET}{users}")


@pytest.mark.parametrize(
    ("arguments", "before", "kind"),
    [
        (["plan", "--no-such-option", "--json"], None, "usage"),
        (["--json"], None, "usage"),
        (["aply", "--json"], None, "usage"),
        (["up", "--json"], None, "usage"),
        (["apply", "--parallel", "0", "--json"], None, "usage"),
        (["plan", "elsewhere.toml", "--json"], None, "fleet-file"),
        (["status", "--json"], broken_fleet, "fleet-file"),
        (["apply", "--json", "--yes"], broken_fleet, "fleet-file"),
        (["validate", "--json"], broken_fleet, "fleet-file"),
        (["doctor", "fleet.toml", "--json"], broken_fleet, "fleet-file"),
        (["plan", "--json", "--limit", "nobody"], None, "usage"),
        (["images", "fleet.toml", "nothing/there", "--json"], None, "usage"),
        (["apply", "--json", "--yes"], state_that_is_a_link, "state"),
        (["plan", "--json"], no_such_password, "password"),
        (["rehearse", "--json", "--limit", "nobody"], None, "usage"),
        (["rollback", "--json"], None, "usage"),
    ],
)
def test_an_error_is_one_document(run, tmp_path, arguments, before, kind):
    if before:
        before(tmp_path / "fleet.toml")
    done = run(*arguments)
    found = json.loads(done.stdout)
    jsonschema.validate(found, ERROR)
    assert found["error"]["kind"] == kind
    assert found["error"]["exit_code"] == done.returncode
    assert done.stderr, "people are told as well"
    assert "Traceback" not in done.stderr


def test_mistakes_are_told_one_by_one(run, tmp_path):
    broken_fleet(tmp_path / "fleet.toml")
    for command in ("plan", "validate"):
        (first, *_) = json.loads(run(command, "--json").stdout)["error"]["mistakes"]
        assert (first["path"], first["line"]) == ("name", 2)


def test_without_json_standard_output_stays_empty(run):
    assert run("plan", "elsewhere.toml").stdout == ""
    assert run("plan", "--no-such-option").stdout == ""


def test_behind_two_dashes_it_is_no_option(run):
    assert run("plan", "--", "--json").stdout == ""


def test_the_fleet_file_is_fleet_toml(run):
    assert "fleet.toml is valid: fleet acme, 1 registry, 1 client group, 1 host" in (
        run("validate").stdout
    )


def test_a_fleet_comes_on_standard_input(run, tmp_path):
    (tmp_path / "fleet.toml").unlink()
    done = run("validate", "-", stdin=FLEET)
    assert done.stdout.startswith("standard input is valid: ")
    assert done.returncode == 0, done.stderr
    assert "fleet acme" in done.stdout
    wrong = run("validate", "-", stdin=FLEET + "x = 1\n")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: standard input: 1 mistake\n")
    assert (
        "standard input"
        in json.loads(run("plan", "-", "--json", stdin="").stdout)["error"]["message"]
    )


def test_one_word_for_images_is_what_is_asked_for_where_there_is_no_such_file(run):
    done = run("images", "main/app", "--json")
    assert json.loads(done.stdout)["registries"].keys() == {"main"}
    wrong = run("images", "elsewhere.toml")
    assert "elsewhere.toml" in wrong.stderr


def test_doctor_takes_the_fleet_toml_where_nothing_is_piped(run, tmp_path):
    assert json.loads(run("doctor", "--json").stdout)["fleet"] == "acme"
    piped = run("doctor", "--json", stdin="no basic auth credentials")
    assert json.loads(piped.stdout)["explanations"]
    (tmp_path / "fleet.toml").unlink()
    assert "nothing to examine" in run("doctor").stderr


@pytest.mark.parametrize("columns", ["80", "100"])
def test_no_line_of_help_is_cut(columns):
    commands = ["", *cli.commands]
    for command in commands:
        words = [*filter(None, [command]), "--help"]
        said = CliRunner().invoke(cli, words, env={"COLUMNS": columns}).output
        assert "Usage: " in said
        cut = [line for line in said.splitlines()[1:] if line.endswith("...")]
        assert not cut, said


def test_metrics_are_of_a_fleet_that_cannot_be_reached_too(run, tmp_path):
    (tmp_path / "fleet.toml").write_text(FLEET.replace("[client", "[ssh]\nport = 1\n[client"))
    done = run("status", "--metrics", "fleet.prom", "--json")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["ok"] is False
    assert 'regfleet_host_up{fleet="acme",host="127.0.0.1"} 0.0' in (
        (tmp_path / "fleet.prom").read_text()
    )
    wrong = run("status", "--metrics", "not-there/fleet.prom")
    assert wrong.returncode == 2
    assert "error: not-there/fleet.prom cannot be written: No such file or directory" in (
        wrong.stderr
    )
