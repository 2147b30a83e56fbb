"""Connections that OpenSSH's client keeps are used, and nothing hangs on one that has gone."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from regfleet.rehearse.twin import HostSpec
from regfleet.state import StateDirectory

ROOT = Path(__file__).resolve().parents[2]
LOGINS = "grep -c '^Accepted publickey' /var/log/second.log || true"
SECOND = r"""
cat >/etc/ssh/second <<'EOF'
Port 2222
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile /run/second.pid
UsePAM no
LogLevel VERBOSE
PermitRootLogin yes
EOF
$(command -v sshd) -f /etc/ssh/second -E /var/log/second.log
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    made = boot_for_module(HostSpec("one", variant="light"))
    made.hosts["one"].read(SECOND)
    return made


class User:
    """A home, and a fleet file for one host."""

    def __init__(self, twin, directory, runtime):
        self.twin = twin
        self.host = twin.hosts["one"]
        self.directory = directory
        self.environment = {"HOME": str(directory), "SSH_AUTH_SOCK": "", "XDG_RUNTIME_DIR": runtime}
        self.runtime = Path(runtime)
        self.known_hosts = directory / "hosts"
        key = " ".join(self.host.read("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
        self.known_hosts.write_text(f"[{self.host.address}]:2222 {key}\n")
        (directory / ".ssh").mkdir(mode=0o700)

    def declare(self, *ssh):
        lines = ["version = 1", 'name = "test"', "[ssh]", 'user = "root"', "sudo = false"]
        lines += ["port = 2222", *ssh]
        lines += ["[client.all]", f'hosts = [{{ name = "one", address = "{self.host.address}" }}]']
        (self.directory / "fleet.toml").write_text("\n".join(lines) + "\n")

    def declare_kept(self):
        self.declare(f'key = "{self.twin.key}"', 'known_hosts = "hosts"', 'control_persist = "5m"')

    def run(self, *command, **more):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **self.environment, **more},
        )
        assert "Traceback" not in done.stderr
        return done

    def change(self):
        assert self.run(sys.executable, "-m", "regfleet", "apply", "--yes").returncode == 0

    def plan(self, **more):
        """The host's error, or None."""
        done = self.run(sys.executable, "-m", "regfleet", "plan", "--json", **more)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)["hosts"]["one"]["error"]

    def logins(self, **more):
        """How often the host was logged in to for one plan without an error."""
        before = int(self.host.read(LOGINS))
        assert self.plan(**more) is None
        return int(self.host.read(LOGINS)) - before

    def needs_no_login(self):
        """Whether the kept connection is used; on a busy machine it may answer one too late."""
        return any(self.logins() == 0 for _ in range(3))

    def sockets(self):
        return [path for path in self.runtime.glob("regfleet/ssh/*") if path.is_socket()]

    def kept(self):
        """The process that keeps the connection, once it is there."""
        for _ in range(200):
            if sockets := self.sockets():
                said = self.control("check", sockets[0])
                if said.startswith("Master running"):
                    return int(said.partition("pid=")[2].partition(")")[0])
            time.sleep(0.1)
        raise AssertionError("no connection is kept")

    def control(self, word, path):
        asked = ["ssh", "-F", "none", "-S", str(path), "-O", word, "any"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stderr

    def end(self):
        for path in self.sockets():
            self.control("exit", path)


@pytest.fixture
def user(twin, tmp_path):
    # Names of sockets are short.
    with tempfile.TemporaryDirectory() as runtime:
        made = User(twin, tmp_path, runtime)
        yield made
        made.end()


def test_the_next_run_needs_no_login(user):
    user.declare_kept()
    assert user.plan() is None
    user.kept()
    assert user.needs_no_login()
    assert len(user.sockets()) == 1
    assert user.sockets()[0].parent.stat().st_mode & 0o077 == 0


def test_a_run_with_nothing_to_do_imports_no_ssh_client_of_its_own(user):
    """That takes as long as the look at ten hosts."""
    user.declare_kept()
    user.change()
    user.kept()
    code = (
        "import sys\nfrom regfleet.cli import main\ntry: main()\nfinally:\n"
        " print(sorted({'paramiko', 'pyinfra'} & set(sys.modules)), file=sys.stderr)"
    )
    for command in (["plan"], ["apply", "--yes"]):
        done = user.run(sys.executable, "-W", "error", "-c", code, *command, "--json")
        assert done.stderr.splitlines()[-1] == "[]"
        assert json.loads(done.stdout)["hosts"]["one"]["error"] is None


def test_two_runs_at_once_are_refused_as_without(user):
    user.declare_kept()
    user.change()
    user.kept()
    state = StateDirectory(user.directory / ".regfleet" / "test")
    with state.lock("apply"):
        done = user.run(sys.executable, "-m", "regfleet", "apply", "--yes")
    assert done.returncode != 0
    assert "another regfleet works on this fleet" in done.stderr


def test_without_it_nothing_is_kept(user):
    user.declare(f'key = "{user.twin.key}"', 'known_hosts = "hosts"')
    assert user.logins() == 1
    assert user.logins() == 1
    assert not list(user.runtime.iterdir())


def test_changed_host_keys_are_read_at_once(user):
    user.declare_kept()
    assert user.plan() is None
    user.kept()
    user.known_hosts.write_text("")
    assert "No host key" in user.plan()


def test_a_client_that_was_killed_is_replaced(user):
    user.declare_kept()
    assert user.plan() is None
    os.kill(user.kept(), signal.SIGKILL)
    assert user.sockets()
    assert user.logins() >= 1
    user.kept()
    assert user.needs_no_login()


def test_a_client_that_does_not_answer_is_left_alone(user):
    user.declare_kept()
    assert user.plan() is None
    client = user.kept()
    os.kill(client, signal.SIGSTOP)
    try:
        assert user.logins() >= 1
    finally:
        os.kill(client, signal.SIGKILL)


def test_a_connection_whose_host_does_not_answer_is_left_alone(user):
    user.declare_kept()
    assert user.plan() is None
    user.kept()
    sshd = user.host.read("pgrep --full --newest '^sshd: root'").split()
    user.host.read(f"kill -STOP {' '.join(sshd)}")
    try:
        assert user.logins(REGFLEET_LOOK_SECONDS="8") >= 1
    finally:
        user.host.read(f"kill -KILL {' '.join(sshd)}")


def test_the_users_own_connection_is_used_unless_the_fleet_file_has_rules(user):
    configuration = user.directory / ".ssh" / "config"
    configuration.write_text(
        f"Host *\n  IdentityFile {user.twin.key}\n  UserKnownHostsFile {user.known_hosts}\n"
        f"  ControlPath {user.runtime}/%C\n"
    )
    started = ["ssh", "-F", str(configuration), "-M", "-N", "-f", "-p", "2222"]
    started += [f"root@{user.host.address}"]
    subprocess.run(started, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (socket,) = [path for path in user.runtime.iterdir() if path.is_socket()]
    try:
        user.declare()
        assert user.needs_no_login()
        user.declare('known_hosts = "hosts"')
        assert user.logins() == 1
    finally:
        user.control("exit", socket)
