"""What people see of a plan and an apply at a real terminal, and drift told from declarations."""

import base64
import fcntl
import hashlib
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from answering import listens
from hosts import ROOT

BODY = """
[registry.own]
hosts = [$one]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"

[client.all]
hosts = [$one]
registries = ["own"]
mirrors = ["https://%s.example"]
"""
CA = "/etc/docker/certs.d/registry.test:5000/ca.crt"
CONFIG = "/etc/regfleet/own/config.yml"
REDRAWN = re.compile(r"(\x1b\[[0-9]*[AK])+")  # a line up, the line empty
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command at a terminal of 80 columns and 24 lines."""

    def __init__(self, *arguments, **environment):
        self._outer, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "regfleet", *map(str, arguments)],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "src"),
                "TERM": "xterm-256color",
                **environment,
            },
        )
        os.close(inner)
        self.text = ""

    def read_until(self, word="", seconds=60):
        """All that came up to a word, or to the end where none is given."""
        deadline = time.monotonic() + seconds
        while not word or word not in self.plain:
            assert time.monotonic() < deadline, self.text
            if not select.select([self._outer], [], [], 1)[0]:
                continue
            try:
                self.text += os.read(self._outer, 65536).decode()
            except OSError:  # nobody has the other side open any more
                assert not word, self.text
                break
        return self.plain

    def type(self, text):
        os.write(self._outer, text.encode())

    @property
    def plain(self):
        redrawn = REDRAWN.sub("\n", self.text).replace("\r", "")
        return SEQUENCE.sub("", redrawn)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._outer)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("one=registry.test")


@pytest.fixture
def host(twin):
    return twin.hosts["one"]


@pytest.fixture
def fleet(twin, write_fleet):
    """`fleet("first")`: a fleet file that wants the mirror `first.example`."""
    return lambda mirror, more="": write_fleet(twin, BODY % mirror + more)


@pytest.fixture
def terminal():
    """`terminal("apply", path)`: a Terminal."""
    opened = []

    def start(*arguments, **environment):
        opened.append(Terminal(*arguments, **environment))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_a_question_a_panel_and_a_summary(host, fleet, terminal):
    shown = terminal("apply", fleet("first"), "--no-smoke")
    asked = shown.read_until("Apply this? [y/N]:")
    assert "looking at 1 host: 1 done" in asked
    assert "Impact: reload on 1 host, no container stops." in asked
    assert "[drift" not in asked
    shown.type("y\n")
    said = shown.read_until()
    assert shown.process.wait(10) == 0
    assert re.search(r"^changing one  \d s\n  1 changing$", said, re.MULTILINE), said
    assert re.search(r"^changing one: 1 done, \d+ s$", said, re.MULTILINE), said
    assert re.search(r"^Done in \d+ s: 1 changed$", said, re.MULTILINE), said
    wide = [
        line
        for line in said.splitlines()
        if len(line) > 80 and "/fleet.toml" not in line and "/.regfleet/" not in line
    ]
    assert wide == []
    assert "The registry registry.test:5000 is up." in said
    assert shown.text.rindex("\x1b[?25h") > shown.text.rindex("\x1b[?25l"), "the cursor is back"
    assert "first.example" in host.read("cat /etc/docker/daemon.json")


def test_a_plan_that_is_read_for_long_is_carried_out_all_the_same(host, fleet, terminal):
    """sshd may be told to end connections on which nobody answers; people may go for a coffee."""
    alive = "/etc/ssh/sshd_config.d/alive.conf"
    settings = "ClientAliveInterval 1\nClientAliveCountMax 1\n"
    host.run(f"cat >{alive}; pkill -HUP -o sshd", stdin=settings)
    try:
        shown = terminal("apply", fleet("patient"), "--no-smoke")
        shown.read_until("Apply this? [y/N]:")
        deadline = time.monotonic() + 30
        while host.run("pgrep -f '[s]shd: root'").returncode == 0:
            assert time.monotonic() < deadline, "sshd does not mind"
            time.sleep(0.2)
        shown.type("y\n")
        said = shown.read_until()
        assert shown.process.wait(10) == 0, said
        assert "1 changed" in said
        assert "patient.example" in host.read("cat /etc/docker/daemon.json")
    finally:
        host.read(f"rm {alive}; pkill -HUP -o sshd")


def test_ctrl_c_at_the_question_is_a_no(host, fleet, terminal):
    before = host.read("cat /etc/docker/daemon.json")
    shown = terminal("apply", fleet("second"))
    shown.read_until("Apply this? [y/N]: ")
    time.sleep(0.5)  # until it waits for an answer
    shown.process.send_signal(signal.SIGINT)
    said = shown.read_until()
    assert shown.process.wait(10) == 1
    assert "Nothing was changed on any host" in said
    assert "Traceback" not in said
    assert host.read("cat /etc/docker/daemon.json") == before


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_at_a_terminal(fleet, terminal, environment, coloured):
    shown = terminal("plan", fleet("second"), **environment)
    shown.read_until()
    assert (re.search(r"\x1b\[[0-9;]*3[1-6]", shown.text) is not None) is coloured
    if environment.get("TERM") == "dumb":
        assert "\x1b" not in shown.text


def tags(done):
    """By changed resource, whether it is said to be drift."""
    lines = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    found = [
        re.fullmatch(r"[-+~>] (.*?)(?: \[re\w+\])?( \[drift\??\])?  .*", each) for each in lines
    ]
    return {match[1]: (match[2] or "").strip() for match in found if match}


def test_drift_is_told_from_what_is_newly_declared(host, fleet, regfleet):
    assert regfleet("apply", fleet("first"), "--yes", "--no-smoke").returncode == 0
    assert tags(regfleet("plan", fleet("first"))) == {}
    host.run(f"echo '# by hand' >>{CA}")
    edited = regfleet("plan", fleet("first"))
    assert tags(edited) == {f"file {CA}": "[drift]"}
    assert "Drift: 1 change undoes what changed on one since it was applied." in edited.stdout
    declared = fleet("second", '\n[registry.own.users]\nci = { password = "generate" }\n')
    both = tags(regfleet("plan", declared))
    assert both.pop(f"file {CA}") == "[drift]"
    assert set(both.values()) == {""}
    assert {f"file {CONFIG}", "daemon.json registry-mirrors"} < set(both)
    host.run(f"echo '# by hand' >>{CONFIG}")
    assert tags(regfleet("plan", declared))[f"file {CONFIG}"] == "[drift]"
    applied = regfleet("apply", declared, "--yes", "--no-smoke")
    assert applied.returncode == 0, applied.stdout
    assert tags(regfleet("plan", declared)) == {}


def test_into_a_pipe_a_stage_is_one_line(fleet, regfleet):
    # The first of them warns: its state directory is new, the host is not.
    regfleet("apply", fleet("third"), "--yes", "--no-smoke")
    done = regfleet("apply", fleet("fourth"), "--yes", "--no-smoke", FORCE_COLOR="1")
    assert done.returncode == 0
    looking, changing, report = without_warnings(done.stderr)
    assert (looking, changing) == ("looking at 1 host", "changing one")
    assert report.startswith("report: ")
    assert "\x1b[" in done.stdout, "colours, for they were asked for"
    quiet = regfleet("plan", fleet("fourth"), "--json")
    assert without_warnings(quiet.stderr) == [
        "Plan: nothing to do on 1 host.",
        "Not proven: one: no smoke test has passed since the last change; apply runs it.",
    ]


def without_warnings(text):
    """Of the fleet file: its registry has no users."""
    return [line for line in text.splitlines() if not line.startswith(("warning: ", " "))]


ESCAPES = "\x1b]0;OWNED\x07\x9b2J\u202e"
STORED = "/var/lib/registry/docker/registry/v2"


def hostile_image():
    """What a registry stores of an image whose configuration tells what its pusher likes."""
    config = json.dumps(
        {
            "os": f"linux{ESCAPES}",
            "architecture": "amd64\nAll is well",
            "created": f"2024-01-01T00:00{ESCAPES}",
            "config": {"Labels": {"x": ESCAPES}},
            "rootfs": {"type": "layers", "diff_ids": []},
        }
    ).encode()
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(config),
                "digest": f"sha256:{hashlib.sha256(config).hexdigest()}",
            },
            "layers": [],
        }
    ).encode()
    own, inner = hashlib.sha256(manifest).hexdigest(), hashlib.sha256(config).hexdigest()
    repository = f"{STORED}/repositories/evil"
    return {
        f"{STORED}/blobs/sha256/{own[:2]}/{own}/data": manifest,
        f"{STORED}/blobs/sha256/{inner[:2]}/{inner}/data": config,
        f"{repository}/_layers/sha256/{inner}/link": f"sha256:{inner}".encode(),
        f"{repository}/_manifests/revisions/sha256/{own}/link": f"sha256:{own}".encode(),
        f"{repository}/_manifests/tags/t/current/link": f"sha256:{own}".encode(),
        f"{repository}/_manifests/tags/t/index/sha256/{own}/link": f"sha256:{own}".encode(),
    }


def place(host, files):
    for path, content in files.items():
        words = base64.b64encode(content).decode()
        host.read(f"mkdir -p '{path.rpartition('/')[0]}'; echo {words} | base64 -d >'{path}'")


@pytest.fixture
def hostile(host, fleet, regfleet):
    """The host, whose os-release, images and programs have sequences for a terminal in them."""
    assert regfleet("apply", fleet("first"), "--yes", "--no-smoke").returncode == 0
    place(host, hostile_image())
    kept = host.read("cat /etc/os-release")
    text = re.sub("VERSION_ID=.*", lambda _: f'VERSION_ID="12{ESCAPES}"', kept)
    rewrite(host, text)
    yield host
    rewrite(host, kept)


def rewrite(host, text):
    assert host.run("cat >/run/os-release && cp /run/os-release /etc/os-release", text).stderr == ""


def is_clean(text):
    return not set(text) & set("\x9b\u202e\x07") and "\x1b]" not in text


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["status", "-v"], ["images"], ["images", "-v"], ["plan", "-vv"], ["doctor", "-v"]],
)
@pytest.mark.usefixtures("hostile")
def test_nothing_from_a_host_or_an_image_reaches_the_terminal(fleet, terminal, regfleet, arguments):
    path = fleet("first")
    shown = terminal(arguments[0], path, *arguments[1:])
    shown.read_until()
    assert is_clean(shown.text), ascii(shown.text)
    assert "Traceback" not in shown.text
    if arguments[0] in ("status", "images"):
        assert "OWNED" in shown.text, "it was there to be printed"
        told = regfleet(arguments[0], path, "--json").stdout
        assert is_clean(told)
        assert "\\u001b]0;OWNED" in told


def test_no_more_does_a_program_that_holds_a_port_or_an_engine_that_is_down(
    hostile, fleet, terminal
):
    path = fleet("first")
    try:
        hostile.read(f"docker stop regfleet-own; {EVIL_LISTENER}")
        for command in ("doctor", "plan", "status"):
            shown = terminal(command, path)
            shown.read_until()
            assert is_clean(shown.text), ascii(shown.text)
            assert "OWNED" in shown.text or command != "doctor"
        hostile.read("systemctl stop docker.socket docker")
        assert hostile.run(f"cat >{WRAPPER}; chmod +x {WRAPPER}", EVIL_DOCKERD).stderr == ""
        for command in ("doctor", "status"):
            shown = terminal(command, path, "-v")
            shown.read_until()
            assert is_clean(shown.text), ascii(shown.text)
    finally:
        hostile.read(f"rm -f {WRAPPER}; pkill -f LocalPor[t]; systemctl start docker")
        hostile.read("docker start regfleet-own")


WRAPPER = "/usr/local/sbin/dockerd"
EVIL_DOCKERD = "#!/bin/sh\nprintf 'Docker version 26\\033]0;OWNED\\007'\n"
EVIL_LISTENER = r"""
name=/tmp/$(printf 'evil\033]0;OWNED\007')
cp /usr/bin/perl "$name"
setsid "$name" -MIO::Socket::INET -e '
  $s = IO::Socket::INET->new(LocalPort => 5000, Listen => 1, ReuseAddr => 1) or die; sleep 600
' </dev/null >/dev/null 2>&1 &
"""
EVIL_LISTENER += listens(5000)


def test_with_json_at_a_terminal_nothing_stands_beside_the_document_but_errors(fleet, terminal):
    for command in ("plan", "status", "apply", "doctor"):
        more = ("--yes", "--no-smoke") if command == "apply" else ()
        shown = terminal(command, fleet("first"), "--json", *more)
        json.loads(shown.read_until())
    nowhere = fleet("first")
    nowhere.write_text(re.sub(r'address = "[^"]*"', 'address = "127.0.0.9"', nowhere.read_text()))
    said = terminal("plan", nowhere, "--json").read_until()
    assert said.startswith("unreachable one: no SSH connection"), said
    document = json.loads(said[said.index("{") :])
    assert document["totals"]["errors"] == 1
    asked = terminal("apply", fleet("other"), "--json")
    asked.read_until("Apply this? [y/N]:")
    assert "Impact: reload on 1 host" in asked.plain
    asked.type("n\n")
    told = asked.read_until()
    assert json.loads(told[told.index("{") :])["error"]["kind"] == "declined"
