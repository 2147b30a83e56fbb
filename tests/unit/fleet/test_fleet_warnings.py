"""What may be declared and is dangerous all the same; never an error, never the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from regfleet.cli.files import validate
from regfleet.errors import EXIT_OK
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet

ROOT = Path(__file__).resolve().parents[3]
HEAD = 'version = 1\nname = "acme"\n'
MAIN = '[registry.main]\nhosts = ["reg1.lan"]\n'
USERS = 'users.ci.password = "generate"\n'
PLAIN = 'tls.source = "none"\n'
CACHE = '[registry.hub]\nhosts = ["reg1.lan"]\nproxy = "https://docker.io"\n'
LOGIN = (
    '[registry.hub]\nhosts = ["reg1.lan"]\n'
    'proxy = { url = "https://docker.io", user = "me", password = { env = "HUB" } }\n'
)
BUILD = '[client.build]\nhosts = ["web1"]\n'

TEAM = 'admins = ["ci"]\n' + USERS + "[registry.main.projects.a]\n"

# Text behind the head, and line, path and part of the message of each warning.
CASES = [
    (MAIN + USERS, []),
    (CACHE, []),
    (MAIN + 'listen = "127.0.0.1:5000"\n' + PLAIN, []),
    (MAIN + 'listen = "[::1]:5000"\n', []),
    (MAIN + USERS + 'limits.memory = "64m"\n', [(6, "limits.memory", "64m is little")]),
    (MAIN + USERS + 'limits.memory = "1g"\n', []),
    (MAIN, [(3, "registry.main", "push to it, overwrite and delete its images")]),
    (MAIN + "delete = false\n", [(3, "registry.main", "can push to it and overwrite its")]),
    (
        MAIN + PLAIN + USERS + "allow_plaintext_passwords = true\n",
        [(5, "registry.main.tls.source", "change images, and read the passwords")],
    ),
    (
        LOGIN,
        [
            (
                5,
                "registry.hub.proxy.user",
                "logs in to https://docker.io: anyone who reaches",
            )
        ],
    ),
    (LOGIN + USERS, []),
    (MAIN + USERS + 'storage.s3 = { bucket = "abc", endpoint = "https://s3.lan" }\n', []),
    (
        MAIN + USERS + 'storage.s3 = { bucket = "abc", endpoint = "http://s3.lan" }\n',
        [(6, "registry.main.storage.s3.endpoint", "can read and change images")],
    ),
    (MAIN + TEAM, []),
    (MAIN + TEAM + 'members.ci = "admin"\n', []),
    (
        MAIN + TEAM + 'members.ci = "guest"\n',
        [(8, "projects.a.members.ci", "ci is an admin of the registry, and may do everything")],
    ),
    (
        MAIN + USERS + '[registry.main.projects.a]\nmembers.ci = "guest"\n',
        [(3, "registry.main", "has no admins: nobody may list its repositories")],
    ),
    (
        MAIN + 'users.x.password = "generate"\n' + TEAM,
        [(5, "registry.main.users.x", "a member of no project: this user may do nothing")],
    ),
    (
        MAIN + 'users.x.password = "generate"\n' + TEAM + "public = true\n",
        [(5, "registry.main.users.x", "this user may pull from public projects only")],
    ),
    (LOGIN + 'endpoint = "r.lan:1"\nlisten = "127.0.0.1:5000"\n', []),
    (CACHE + "delete = false\n", [(6, "registry.hub.delete", "cannot remove what has expired")]),
    (CACHE + PLAIN, [(6, "registry.hub.tls.source", "can read and change images")]),
    ('[registry.o]\nexternal = true\nendpoint = "127.0.0.1:9"\n' + PLAIN, []),
    ('[registry.o]\nexternal = true\nendpoint = "[::1]:9"\n' + PLAIN, []),
    ('[registry.o]\nexternal = true\nendpoint = "o.lan"\n' + PLAIN, [(6, "tls.source", "is none")]),
    (MAIN + USERS + 'storage = "/tmp/r"\n', [(6, "registry.main.storage", "is emptied when")]),
    (MAIN + USERS + 'storage = "/home/ops/r"\n', [(6, "registry.main.storage", "is in a home")]),
    (BUILD + 'mirrors = ["https://m.lan", "http://localhost:5000"]\n', []),
    (
        BUILD + 'mirrors = ["http://m.lan"]\n',
        [(5, "mirrors[0]", "can replace Docker Hub's images")],
    ),
    (CACHE + BUILD + 'mirrors = ["hub"]\n', []),
    (
        CACHE + USERS + BUILD + 'mirrors = ["hub"]\nengine = "podman"\n',
        [(9, "client.build.mirrors[0]", "has users, and podman has no login for it here")],
    ),
    (CACHE + USERS + BUILD + 'engine = "podman"\nmirrors = ["hub"]\nlogin.hub = "ci"\n', []),
    (
        MAIN + USERS + BUILD + 'mirrors = ["main"]\n',
        [(8, "client.build.mirrors[0]", "docker has no login for it here")],
    ),
    (
        BUILD + 'daemon.hosts = ["fd://", "tcp://0.0.0.0:2375"]\n',
        [(5, "client.build.daemon.hosts", "tcp://0.0.0.0:2375 without tlsverify: anyone")],
    ),
    (BUILD + 'daemon.hosts = ["tcp://127.0.0.1:2375", "unix:///x"]\n', []),
    (BUILD + 'daemon.hosts = ["tcp://0.0.0.0:2376"]\ndaemon.tlsverify = true\n', []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_warnings(
    fleet_of: Callable[[str], Fleet], text: str, expected: list[tuple[int, str, str]]
) -> None:
    found = fleet_of(HEAD + text).warnings
    assert [each.line for each in found] == [line for line, _, _ in expected]
    for warning, (_, path, words) in zip(found, expected, strict=True):
        assert path in warning.path
        assert words in warning.message
        assert warning.hint


def test_validate_shows_them_and_succeeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(HEAD + MAIN, "utf-8")
    assert validate(file, as_json=False) == EXIT_OK
    said = capsys.readouterr()
    assert "warning: line 3: registry.main: has no users" in said.err
    assert "warning" not in said.out
    assert validate(file, as_json=True) == EXIT_OK
    said = capsys.readouterr()
    (warning,) = json.loads(said.out)["warnings"]
    assert (warning["path"], warning["line"]) == ("registry.main", 3)
    assert said.err == ""


def test_the_example_has_none() -> None:
    assert load(ROOT / "inventories" / "example.toml", files_needed=False).warnings == ()
