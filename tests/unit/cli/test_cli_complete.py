"""Completion as shells ask for it: by the variable _REGFLEET_COMPLETE, in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FLEET = """\
version = 1
name = "acme"
[registry.main]
hosts = ["reg1.example.com"]
users.ci.password = "generate"
users.carol.password = "generate"
projects.team-a.members = { ci = "guest" }
retention.rules = [{ repositories = ["dev/*"], keep_last = 10 }]
[registry.north]
external = true
endpoint = "north.example.com"
[registry.south]
external = true
endpoint = "south.example.com"
[replication.offices]
from = "main"
to = ["north", "south"]
login.main = "ci"
[promotion.production]
from = { registry = "main", prefix = "staging/" }
to = { registry = "north" }
login.main = "ci"
[client.build]
hosts = ["build[1:3].example.com", { name = "extra", address = "192.0.2.7" }]
registries = ["main"]
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "acme.toml").write_text(FLEET)
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.toml").touch()
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "prod.toml").write_text(FLEET)
    (tmp_path / "empty").mkdir()
    return tmp_path


def ask(here: Path, line: str, shell: str = "bash", **more: str) -> str:
    """What the program answers; the last word of the line is the one to complete."""
    words = line.split(" ")
    incomplete = {"COMP_CWORD": str(len(words) - 1)}
    if shell == "fish":  # click's script gives fish's current token instead of its number
        incomplete = {"COMP_CWORD": words[-1]}
    done = subprocess.run(
        [sys.executable, "-m", "regfleet"],
        cwd=here,
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "_REGFLEET_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": line,
            **incomplete,
            **more,
        },
    )
    assert done.stderr == ""
    return done.stdout


def offered(here: Path, line: str) -> list[str]:
    return ask(here, line).split()


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("regfleet va", ["plain,validate"]),
        ("regfleet plan ", ["plain,acme.toml", "plain,inventories/prod.toml"]),
        ("regfleet plan inv", ["plain,inventories/prod.toml"]),
        ("regfleet plan inventories/", ["plain,inventories/prod.toml"]),
        ("regfleet plan ./ac", ["plain,./acme.toml"]),
        ("regfleet plan .h", ["plain,.hidden.toml"]),
        ("regfleet plan not", ["dir,not"]),
        ("regfleet plan no/such/", ["dir,no/such/"]),
        (
            "regfleet replicate acme.toml off",
            ["plain,offices", "plain,offices.north", "plain,offices.south"],
        ),
        ("regfleet promote acme.toml pro", ["plain,production"]),
        ("regfleet delete acme.toml sou", ["plain,south/"]),
        ("regfleet plan acme.toml --lim", ["plain,--limit"]),
        ("regfleet plan acme.toml --limit ext", ["plain,extra"]),
        ("regfleet plan acme.toml --limit cl", ["plain,client_build", "plain,clients"]),
        ("regfleet apply acme.toml --exclude registry", ["plain,registry_main"]),
        ("regfleet plan --parallel 4 acme.toml --limit ext", ["plain,extra"]),
        ("regfleet plan acme.toml --yes --limit ext", ["plain,extra"]),
        ("regfleet smoke acme.toml --limit extra,build1", ["plain,extra,build1.example.com"]),
        ("regfleet plan acme.toml --limit extra,ext", []),
        ("regfleet plan acme.toml --limit nobody", []),
        ("regfleet who acme.toml c", ["plain,carol", "plain,ci"]),
        ("regfleet who acme.toml team", ["plain,team-a"]),
        ("regfleet delete acme.toml ma", ["plain,main/"]),
        ("regfleet prune acme.toml ma", ["plain,main"]),
        ("regfleet docs roll", ["plain,rollout"]),
        ("regfleet docs registry.t", ["plain,registry.tls"]),
    ],
)
def test_what_is_offered(here: Path, line: str, values: list[str]) -> None:
    assert sorted(offered(here, line)) == sorted(values)


def test_a_home_directory_is_kept_as_it_is_typed(here: Path) -> None:
    assert ask(here, "regfleet plan ~/ac", HOME=str(here)).split() == ["plain,~/acme.toml"]
    found = ask(here, "regfleet plan ~/acme.toml --limit ext", HOME=str(here))
    assert found.split() == ["plain,extra"]


def test_without_a_file_on_the_line_it_is_fleet_toml(here: Path) -> None:
    assert offered(here, "regfleet plan --limit ext") == []
    (here / "acme.toml").rename(here / "fleet.toml")
    assert offered(here, "regfleet plan --limit ext") == ["plain,extra"]


@pytest.mark.parametrize("content", [b"", b"version = 5", b"\xff\xfe", b"[" * 5000])
def test_a_broken_fleet_file_offers_nothing_and_says_nothing(here: Path, content: bytes) -> None:
    (here / "acme.toml").write_bytes(content)
    assert offered(here, "regfleet plan acme.toml --limit ext") == []


def test_other_shells_get_explanations(here: Path) -> None:
    line = "regfleet plan acme.toml --limit client_"
    assert ask(here, line, "zsh") == "plain\nclient_build\n4 hosts\n"
    assert "client_build" in ask(here, line, "fish")
    assert "4 hosts" in ask(here, line, "fish")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_in_the_how_to_works_in_the_shell_itself(shell: str, here: Path) -> None:
    """The very line from the how-to, then a Tab behind `regfleet plan acme.toml --limit ext`."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    page = (ROOT / "docs" / "how-to" / "completion.md").read_text("utf-8")
    lines = [each for each in page.splitlines() if f"{shell}_source" in each]
    assert len(lines) == 1
    program = here / "bin" / "regfleet"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m regfleet "$@"\n')
    program.chmod(0o755)
    tab = {
        "bash": "COMP_WORDS=(regfleet plan acme.toml --limit ext); COMP_CWORD=4\n"
        'complete -p regfleet >&2 && _regfleet_completion regfleet && echo "${COMPREPLY[@]}"',
        "zsh": 'words=(regfleet plan acme.toml --limit ext); CURRENT=5; compadd() { echo "$@"; }\n'
        '_describe() { echo "${(P)3}"; }; compstate=(); _regfleet_completion',
        "fish": 'complete -C "regfleet plan acme.toml --limit ext"',
    }[shell]
    before = {"zsh": "compdef() { :; }\n"}.get(shell, "")  # compinit defines it in a session
    done = subprocess.run(
        [shell, "-c", f"{before}{lines[0]}\n{tab}"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "HOME": str(here),
        },
    )
    assert "extra" in done.stdout, done.stderr
