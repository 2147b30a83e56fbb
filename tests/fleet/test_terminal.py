"""What people see of a plan and an apply at a real terminal, and drift told from declarations."""

import fcntl
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
    assert max(len(line) for line in said.splitlines() if not line.startswith("report:")) <= 80
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
    assert "Aborted!" in said
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
    looking, changing, report = done.stderr.splitlines()
    assert (looking, changing) == ("looking at 1 host", "changing one")
    assert report.startswith("report: ")
    assert "\x1b[" in done.stdout, "colours, for they were asked for"
    quiet = regfleet("plan", fleet("fourth"), "--json")
    assert quiet.stderr == "Plan: nothing to do on 1 host.\n"
