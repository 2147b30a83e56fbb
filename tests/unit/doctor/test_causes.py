"""The table of causes: each recognises its own lines, and every text of it can be filled."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import tomli

from regfleet.cli.app import cli
from regfleet.doctor.causes import causes, explain, fill, recognise

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = [(name, line) for name, cause in causes().items() for line in cause.examples]
KNOWN = {
    *("file", "fleet", "host", "hosts", "address", "limit", "service"),
    *("registry", "endpoint", "name", "port", "registry_address"),
    *("account", "user", "path", "key", "plural", "flag", "missing", "present", "image", "table"),
    *("proxy", "url", "command", "other"),
}
# What the issue asks for, and the name that each has here.
ASKED = {
    "x509: certificate signed by unknown authority": "unknown-authority",
    "http: server gave HTTP response to HTTPS client": "plain-server",
    "no basic auth credentials": "not-logged-in",
    "dial tcp 192.0.2.1:5000: connect: connection refused": "connection-refused",
    "dial tcp: lookup r.example on 10.0.0.1:53: no such host": "name-not-resolved",
    "x509: certificate has expired or is not yet valid": "certificate-dates",
    "specified both as a flag and in the configuration file: hosts": "flag-conflict",
    "toomanyrequests: You have reached your pull rate limit": "rate-limit",
    "missing key x.key for client certificate x.cert": "orphan-pair",
    "proxyconnect tcp: EOF": "proxy",
    "write /x: no space left on device": "disk-full",
    "invalid character '}' looking for beginning of object key string": "daemon-json",
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.": "engine-down",
}


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_each_example_tells_of_its_own_cause(name: str, line: str) -> None:
    found = recognise(line)
    assert found is not None
    assert found.cause.name == name
    assert found.fragment in line


@pytest.mark.parametrize(("line", "name"), ASKED.items())
def test_the_most_frequent_lines(line: str, name: str) -> None:
    found = recognise(line)
    assert found is not None
    assert found.cause.name == name


@pytest.mark.parametrize("name", causes())
def test_each_cause_is_complete(name: str) -> None:
    cause = causes()[name]
    assert cause.title
    assert cause.means.endswith((".", ")"))
    assert cause.check
    assert bool(cause.says) == bool(cause.examples)
    for text in cause.texts():
        assert set(re.findall(r"{(\w+)}", text.replace("{{", "").replace("}}", ""))) <= KNOWN
        filled = fill(text, dict.fromkeys(KNOWN, "x"))
        assert "{x" not in filled


FIXES = [
    (name, line)
    for name, cause in causes().items()
    for line in (*cause.check, *cause.fix, *cause.by_hand)
]


@pytest.mark.parametrize(("name", "line"), FIXES)
def test_commands_of_ours_exist_and_lines_of_fleet_files_are_toml(name: str, line: str) -> None:
    text = fill(line, {**dict.fromkeys(KNOWN, "x"), "limit": " --limit x", "file": "fleet.toml"})
    ours = re.fullmatch(r"\$ (regfleet [^#]*?)(\s+#.*)?", text)
    if ours:
        words = shlex.split(ours[1])[1:]
        context = cli.make_context("regfleet", list(words))
        _, command, rest = cli.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        try:
            command.make_context(command.name, rest, parent=context)
        except click.UsageError as error:  # pragma: no cover - told by its message
            pytest.fail(f"{name}: {line}: {error}")
    elif re.match(r"[a-z_]+ = ", text):
        assert tomli.loads(text)


def test_what_the_page_quotes_is_recognised() -> None:
    page = (ROOT / "docs" / "how-to" / "when-it-fails.md").read_text("utf-8")
    lines = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(lines) > 15
    found = [recognise(line) for line in lines]
    assert None not in found
    assert len({each.cause.name for each in found if each}) == len(lines)


def test_a_line_fills_what_it_names() -> None:
    found = recognise(
        'Get "https://reg.example.com:5000/v2/": x509: certificate signed by unknown authority'
    )
    assert found is not None
    assert found.values == {
        "endpoint": "reg.example.com:5000",
        "name": "reg.example.com",
        "port": "5000",
    }
    (check, _) = found.cause.check
    assert "/etc/docker/certs.d/reg.example.com:5000/" in fill(check, found.values)
    assert "# on HOST" in fill(check, found.values)


def test_braces_and_known_empty_values_stay() -> None:
    assert fill("{{ a = {limit} }} {host}", {"limit": ""}) == "{ a =  } HOST"


def test_a_whole_log_is_explained_line_by_line() -> None:
    text = (
        "Using default tag: latest\n"
        'Get "https://r:5000/v2/": http: server gave HTTP response to HTTPS client\n'
        "ERROR: Job failed\n"
        "toomanyrequests: You have reached your pull rate limit.\n"
        'Get "https://r:5000/v2/": http: server gave HTTP response to HTTPS client\n'
    )
    assert [each.cause.name for each in explain(text)] == ["plain-server", "rate-limit"]


@pytest.mark.parametrize("width", [20, 33, 47, 60])
def test_lines_that_a_terminal_broke_are_one(width: int) -> None:
    line = (
        'Error response from daemon: Get "https://r.example:5000/v2/": '
        "x509: certificate signed by unknown authority"
    )
    text = "\n".join(line[start : start + width] for start in range(0, len(line), width))
    assert [each.cause.name for each in explain(text)] == ["unknown-authority"]


@pytest.mark.parametrize("text", ["", "\n\n", "all is well", "\x00\xff{}{0}%s"])
def test_what_is_not_known_is_not_guessed(text: str) -> None:
    assert explain(text) == ()


def test_nothing_but_the_telling_words_is_repeated() -> None:
    text = "docker login -u ci -p kanarienvogel r:5000; unauthorized: authentication required"
    (found,) = explain(text)
    assert "kanarienvogel" not in found.fragment + "".join(found.values.values())


def test_a_long_log_is_read_from_its_end() -> None:
    text = "x" * 200_000 + "\nno basic auth credentials"
    assert [each.cause.name for each in explain(text)] == ["not-logged-in"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("$ ls -l {path}", ["$", "ls", "-l", "/a b;reboot'"]),
        ("$ mv /x/{path} /root/", ["$", "mv", "/x//a b;reboot'", "/root/"]),
        ("$ sed '/{path}/d' x", ["$", "sed", "//a b;reboot'/d", "x"]),
    ],
)
def test_what_a_host_calls_its_files_is_one_word_of_a_command(line: str, words: list[str]) -> None:
    assert shlex.split(fill(line, {"path": "/a b;reboot'"})) == words
    assert fill("the file {path}", {"path": "a b"}) == "the file a b"
    assert fill("$ x {file}{limit}", {"file": "'a b'", "limit": " --limit c"}) == (
        "$ x 'a b' --limit c"
    )
