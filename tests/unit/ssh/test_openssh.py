"""Asking OpenSSH about hosts, once each, and the ways that come of it."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest
from making import host

from regfleet.errors import UnreachableError
from regfleet.ssh import openssh, openssh_kept, ways
from regfleet.ssh.openssh_kept import Question
from regfleet.ssh.way import way

PROGRAM = """\
#!/bin/sh
for name; do :; done
echo "$*" >>{log}
case $name in
broken) echo "config: line 3: Bad configuration option: x" >&2; exit 255;;
esac
printf 'host %s\\nhostname %s.example\\nport 2200\\nuser me\\n' "$name" "$name"
printf 'identityfile ~/.ssh/a b\\nidentityfile %%d/%%h\\nciphers x\\n'
"""


@pytest.fixture
def asked(tmp_path, home, monkeypatch):
    """`asked()`: the arguments of each start of the program `ssh` since the last call."""
    log, tools = tmp_path / "log", tmp_path / "tools"
    tools.mkdir()
    (tools / "ssh").write_text(PROGRAM.format(log=log))
    (tools / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    (home / ".ssh" / "config").write_text("Port 2200\n")

    def read():
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    return read


def again():
    """As in another process."""
    openssh_kept.forget()


def test_a_thousand_hosts_are_asked_once(asked):
    hosts = [host(f"web{number}", port=None) for number in range(200)]
    ways.prepare(hosts)
    assert len(asked()) == 200
    for _ in range(2):
        ways.prepare([*hosts, host("new", port=None)])
        assert ways.way_to(hosts[7]).hostname == "web7.example"
        again()
    assert len(asked()) == 1


def test_what_the_fleet_file_declares_is_on_the_command_line(asked):
    for declared in ({"user": "ops", "port": 23}, {"user": None, "port": None}):
        ways.way_to(host("web1", **declared))
    first, second = asked()
    assert first.endswith("-l ops -p 23 -- web1")
    assert second.endswith(" -- web1")
    assert "-l" not in second.split()


def test_answers_are_forgotten_when_a_file_or_the_program_changes(asked, home, tmp_path):
    question = Question("web1")
    for change in (
        lambda: None,
        lambda: (home / ".ssh" / "config").write_text("Port 2201\n"),
        (tmp_path / "tools" / "ssh").touch,
        lambda: (home / ".ssh" / "config").write_text("Port 2201\nMatch exec true\n"),
        lambda: None,
    ):
        change()
        openssh.answer(question)
        openssh.answer(question)
        again()
        assert len(asked()) == 1


def test_kept_answers_are_the_users_own(asked):
    openssh.answer(Question("web1"))
    file = openssh_kept.kept_file()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["openssh.json"]
    asked()
    for spoil in (
        lambda: file.chmod(0o666),
        lambda: file.parent.chmod(0o777),
        lambda: file.write_text("{"),
        lambda: file.write_text("[1]"),
        lambda: file.write_text(json.dumps({**json.loads(file.read_text()), "answers": 3})),
        lambda: file.write_text(json.dumps({**json.loads(file.read_text()), "of": "other"})),
    ):
        again()
        spoil()
        openssh.answer(Question("web1"))
        assert len(asked()) == 1
        file.parent.chmod(0o700)


def test_an_error_is_its_hosts_alone_and_told_when_it_is_needed(asked):
    good, bad = host("web1", port=None), host("broken", port=None)
    ways.prepare([good, bad])
    assert ways.checking([good, bad]) == {"web1": "strict"}
    with pytest.raises(UnreachableError, match="Bad configuration option: x") as caught:
        ways.way_to(bad)
    assert "ssh -G broken" in caught.value.hint
    assert len(asked()) == 2


@pytest.mark.usefixtures("asked")
def test_a_program_that_does_not_answer_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(openssh, "CONFIGURATION_SECONDS", 0.2)
    (tmp_path / "tools" / "ssh").write_text("#!/bin/sh\nsleep 60\n")
    with pytest.raises(UnreachableError, match="no answer within"):
        ways.way_to(host("web1"))


def test_nothing_is_asked_where_nothing_is_configured(asked, home):
    (home / ".ssh" / "config").write_text("Host *\n  HashKnownHosts yes\n")
    found = ways.way_to(host("web1", port=None))
    assert (found.hostname, found.port, found.user) == ("web1", 22, "ops")
    assert found.known_hosts[0] == home / ".ssh" / "known_hosts"
    assert found.keys[0] == home / ".ssh" / "id_rsa"
    assert asked() == []


def test_without_the_program_the_users_file_is_read(home, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    (home / ".ssh" / "config").write_text("Host web1\n  HostName y\n  User z\n  Port 24\n")
    found = ways.way_to(host("web1", user=None, port=None))
    assert (found.hostname, found.port, found.user) == ("y", 24, "z")


@pytest.mark.skipif(not shutil.which("ssh"), reason="no OpenSSH client here")
def test_openssh_reads_the_file_of_the_home_that_is_set(home):
    (home / ".ssh" / "config").write_text("Host web1\n  HostName y\n")
    found = ways.way_to(host("web1", port=None))
    assert found.hostname == "y"
    assert found.known_hosts[0] == home / ".ssh" / "known_hosts"


# ---- the way ----


def test_tokens_are_expanded_and_paths_may_have_blanks(home):
    answer = {
        "hostname": ("10.0.0.1",),
        "port": ("2200",),
        "user": ("me",),
        "hostkeyalias": ("alias",),
        "identityfile": ("~/.ssh/a b", "%d/%h-%p-%r-%n-%k-%%", "none"),
        "userknownhostsfile": ("/a b/known ~/k2 %d/k3",),
        "globalknownhostsfile": ("none",),
        "proxycommand": ("nc %h %p",),
        "identityagent": ("none",),
    }
    found = way(host("web1", user=None, port=None, host_key_checking=None), answer)
    assert found.keys == (home / ".ssh/a b", home / "10.0.0.1-2200-me-web1-alias-%")
    assert found.known_hosts == (Path("/a b/known"), home / "k2", home / "k3")
    assert found.command == "nc 10.0.0.1 2200"
    assert found.known_name == "alias"
    assert found.agent == ""


@pytest.mark.parametrize(
    ("said", "declared", "expected"),
    [
        ("ask", None, "strict"),
        ("true", None, "strict"),
        ("accept-new", None, "accept-new"),
        ("false", None, "off"),
        ("no", None, "off"),
        ("false", "strict", "strict"),
        ("true", "off", "off"),
    ],
)
def test_how_keys_are_checked(said, declared, expected):
    answer = {"stricthostkeychecking": (said,)}
    assert way(host(host_key_checking=declared), answer).checking == expected


@pytest.mark.parametrize(
    ("said", "variables", "expected"),
    [
        ((), {"SSH_AUTH_SOCK": "/a"}, "/a"),
        ((), {}, ""),
        (("SSH_AUTH_SOCK",), {"SSH_AUTH_SOCK": "/a"}, "/a"),
        (("$MINE",), {"MINE": "/b", "SSH_AUTH_SOCK": "/a"}, "/b"),
        (("/c",), {"SSH_AUTH_SOCK": "/a"}, "/c"),
        (("none",), {"SSH_AUTH_SOCK": "/a"}, ""),
    ],
)
def test_which_agent(monkeypatch, said, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert way(host(), {"identityagent": said} if said else {}).agent == expected


def test_a_socket_that_is_handed_over_is_refused():
    with pytest.raises(UnreachableError, match="ProxyUseFdpass"):
        way(host(), {"proxycommand": ("x",), "proxyusefdpass": ("yes",)})
