"""sudo with a password: on standard input alone, offered with care; doas where there is no sudo."""

import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from regfleet.rehearse.twin import HostSpec

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct'horse \"battery$(date)"
VARIABLE = "REGFLEET_SUDO_PASSWORD"
BODY = """
[registry.main]
hosts = [$one]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
users.ci = { password = "generate" }

[client.all]
hosts = [$one]
registries = ["main"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
LIGHTS = ("two", "three", "four")
LIGHT = """
[client.all]
hosts = [$two, $three, $four]
registries = []
"""
USER = """
useradd --create-home --shell /bin/bash pw
chpasswd
cp -a /home/ops/.ssh /home/pw/.ssh && chown -R pw:pw /home/pw/.ssh
echo 'pw ALL=(ALL) ALL' >/etc/sudoers.d/pw
chmod 0440 /etc/sudoers.d/pw
"""
# As root: whoever shows the password to other processes.
WATCH = """
cat >/run/pattern
rm -f /run/leak /run/watched
while [ ! -e /run/watched ]; do
    cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | grep -aqFf /run/pattern &&
        date >>/run/leak
done &
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    made = boot_for_module(
        "one=registry.test", *(HostSpec(name, variant="light") for name in LIGHTS)
    )
    for host in made.hosts.values():
        done = host.run(USER, stdin=f"pw:{PASSWORD}\n")
        assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def fleet(twin, write_fleet):
    return lambda body=BODY: write_fleet(twin, body, user="pw")


@pytest.fixture
def rules(twin):
    """`rules(name, text)`: further rules of sudoers on a host, until the test ends."""
    changed = []

    def write(name, text):
        changed.append(name)
        host = twin.hosts[name]
        host.run("cat >/etc/sudoers.d/test && chmod 0440 /etc/sudoers.d/test", stdin=f"{text}\n")

    yield write
    for name in changed:
        twin.hosts[name].run("rm -f /etc/sudoers.d/test")


def errors(done):
    hosts = json.loads(done.stdout)["hosts"]
    return {name: host["error"] for name, host in hosts.items()}


@pytest.fixture
def counted_tries(twin):
    """`counted_tries()`: by host, how many passwords its sudo was given."""
    for name in LIGHTS:
        host = twin.hosts[name]
        host.run("cat >/usr/local/sbin/try", stdin="#!/bin/sh\necho x >>/var/log/tries\n")
        host.run(
            "chmod 755 /usr/local/sbin/try; cp -n /etc/pam.d/sudo /root/pam.sudo; "
            "{ echo 'auth optional pam_exec.so quiet seteuid expose_authtok /usr/local/sbin/try'; "
            "cat /root/pam.sudo; } >/etc/pam.d/sudo"
        )

    def read():
        return {
            name: len(twin.hosts[name].read("cat /var/log/tries 2>/dev/null || :").split())
            for name in LIGHTS
        }

    yield read
    for name in LIGHTS:
        twin.hosts[name].run("cp /root/pam.sudo /etc/pam.d/sudo; rm -f /var/log/tries")


def test_without_the_password_it_says_what_to_do(fleet, regfleet):
    done = regfleet("plan", fleet(), "--json")
    error = errors(done)["one"]
    assert "sudo asks for a password" in error
    assert "--ask-sudo-password" in error


def test_everything_works_with_it_and_nothing_shows_it(twin, fleet, regfleet, tmp_path):
    host, path = twin.hosts["one"], fleet()
    host.run(WATCH, stdin=f"{PASSWORD}\n")
    said = []

    def run(*arguments, code=0):
        done = regfleet(*arguments, **{VARIABLE: PASSWORD})
        said.append(done.stdout + done.stderr)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    applied = json.loads(run("apply", path, "--yes", "--json", "-vv"))
    assert applied["hosts"]["one"]["smoke"]["main/push"] == "passed"
    run("apply", path, "--yes")
    run("smoke", path)
    run("status", path, "-vv")
    run("images", path)
    run("doctor", path)
    run("history", path, "--host", "one")
    path.write_text(path.read_text().replace("login =", "daemon = { debug = true }\nlogin ="))
    run("apply", path, "--yes", "--no-smoke")
    run("rollback", path, "--yes")
    host.read("touch /run/watched; sleep 0.2")
    assert host.read("cat /run/leak 2>/dev/null || :") == ""
    assert PASSWORD not in "".join(said)
    kept = subprocess.run(
        ["grep", "-rlF", "--", PASSWORD, tmp_path], capture_output=True, text=True, check=False
    )
    assert kept.stdout == ""
    places = "/var/log /var/lib/regfleet /etc/regfleet /tmp /home"
    assert host.read(f"grep -rlFf /run/pattern {places} || :") == ""


@pytest.mark.parametrize(
    "rule",
    [
        "Defaults:pw timestamp_timeout=0",
        "Defaults:pw timestamp_type=global",
        "Defaults:pw use_pty",
        "Defaults:pw lecture=always",
        "pw ALL=(ALL) NOPASSWD: ALL",
    ],
)
def test_whatever_sudo_remembers_or_asks_for(fleet, regfleet, rules, rule):
    rules("one", rule)
    done = regfleet("plan", fleet(), "--json", **{VARIABLE: PASSWORD})
    assert errors(done) == {"one": None}


def test_a_password_that_is_not_needed_is_never_a_command(fleet, regfleet, rules):
    rules("one", "pw ALL=(ALL) NOPASSWD: ALL")
    done = regfleet("plan", fleet(), "--json", **{VARIABLE: "touch /run/pwned"})
    assert errors(done) == {"one": None}
    rules("one", "Defaults:pw timestamp_type=global")
    regfleet("plan", fleet(), **{VARIABLE: PASSWORD})


def test_a_wrong_password_is_tried_once_and_on_two_hosts_at_most(fleet, regfleet, counted_tries):
    done = regfleet("plan", fleet(LIGHT), "--json", **{VARIABLE: "wrong"})
    found = errors(done)
    refused = {name for name, error in found.items() if "sudo refuses the password" in error}
    assert len(refused) == 2
    (other,) = set(found) - refused
    assert "sudo's password was not tried: it is wrong on" in found[other]
    assert counted_tries() == {**dict.fromkeys(refused, 1), other: 0}
    assert "wrong" not in done.stderr.replace("is wrong on", "")


def test_one_host_with_another_password_is_its_own_error(twin, fleet, regfleet, counted_tries):
    twin.hosts["three"].run("chpasswd", stdin="pw:another\n")
    try:
        done = regfleet("plan", fleet(LIGHT), "--json", **{VARIABLE: PASSWORD})
    finally:
        twin.hosts["three"].run("chpasswd", stdin=f"pw:{PASSWORD}\n")
    found = errors(done)
    assert "sudo refuses the password" in found.pop("three")
    assert counted_tries()["three"] == 1
    assert not any("password" in (error or "") for error in found.values())


def test_a_user_who_may_not_use_sudo(twin, fleet, regfleet):
    host = twin.hosts["two"]
    host.run("mv /etc/sudoers.d/pw /root/pw.sudoers")
    try:
        done = regfleet("plan", fleet(LIGHT), "--json", "--limit", "two", **{VARIABLE: PASSWORD})
    finally:
        host.run("mv /root/pw.sudoers /etc/sudoers.d/pw")
    assert "sudo does not work" in errors(done)["two"]


def test_plain_pyinfra_takes_the_variable(fleet, tmp_path):
    path = fleet()
    (tmp_path / "inventory.py").write_text(
        "from pathlib import Path\nfrom regfleet.inventory import groups\n"
        f"globals().update(groups(Path({str(path)!r})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "inventory.py", ROOT / "deploys/site.py", "-y", "-vvv"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), VARIABLE: PASSWORD},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_it_is_asked_for_once_without_echo(fleet):
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "regfleet", "plan", str(fleet()), "--ask-sudo-password"],
        stdin=inner, stdout=inner, stderr=inner,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        start_new_session=True,
    )  # fmt: skip
    os.close(inner)
    text, typed, deadline = b"", False, time.monotonic() + 120
    while time.monotonic() < deadline:
        if not select.select([outer], [], [], 1)[0]:
            continue
        try:
            text += os.read(outer, 65536)
        except OSError:
            break
        if b"sudo's password on the hosts" in text and not typed:
            # It asks, and turns the echo off (tcgetattr(3), c_lflag).
            while termios.tcgetattr(outer)[3] & termios.ECHO and time.monotonic() < deadline:
                time.sleep(0.05)
            os.write(outer, f"{PASSWORD}\n".encode())
            typed = True
    os.close(outer)
    assert process.wait(30) == 0, text
    assert text.count(b"sudo's password") == 1
    assert PASSWORD.encode() not in text


def test_without_a_terminal_nobody_is_asked(fleet, regfleet):
    done = regfleet("plan", fleet(), "--ask-sudo-password")
    assert done.returncode == 2
    assert VARIABLE in done.stderr


# ---- doas ----


@pytest.fixture
def doas(twin):
    """`doas(text)`: host `four` without sudo, with doas and this doas.conf."""
    host = twin.hosts["four"]
    done = host.run("command -v doas || { apt-get -qq update && apt-get -qq install opendoas; }")
    if done.returncode != 0:
        pytest.skip(f"doas cannot be installed: {done.stderr.strip()[-200:]}")
    host.run("mv /usr/bin/sudo /root/sudo")
    yield lambda text: host.run("cat >/etc/doas.conf", stdin=f"{text}\n")
    host.run("mv /root/sudo /usr/bin/sudo; rm -f /etc/doas.conf")


@pytest.fixture
def one_by_doas(fleet, regfleet):
    """`one_by_doas(**variables)`: the error of a plan of that host; None where it works."""

    def plan(**more):
        done = regfleet("plan", fleet(LIGHT), "--json", "--limit", "four", **more)
        assert PASSWORD not in done.stdout + done.stderr
        return errors(done)["four"]

    return plan


def test_doas_where_there_is_no_sudo(doas, one_by_doas):
    doas("permit nopass pw as root")
    assert one_by_doas() is None
    assert one_by_doas(**{VARIABLE: PASSWORD}) is None
    doas("deny pw")
    assert "doas does not let us in" in one_by_doas()
    assert "doas does not work" in one_by_doas(**{VARIABLE: PASSWORD})


@pytest.mark.parametrize("shell", ["bash", pytest.param("fish", marks=pytest.mark.soak)])
def test_doas_that_asks_for_a_password(twin, doas, one_by_doas, shell):
    host = twin.hosts["four"]
    host.read(
        f"command -v {shell} || apt-get -qq install --no-install-recommends {shell} >/dev/null; "
        f"usermod -s $(command -v {shell}) pw"
    )
    doas("permit pw as root")
    assert "run it with --ask-sudo-password" in one_by_doas()
    host.run(WATCH, stdin=f"{PASSWORD}\n")
    assert one_by_doas(**{VARIABLE: PASSWORD}) is None
    host.read("touch /run/watched; sleep 0.2")
    assert host.read("cat /run/leak 2>/dev/null; find /tmp -user pw") == ""
    host.run("usermod -s /bin/bash pw")


def test_doas_is_given_a_wrong_password_once(twin, doas, one_by_doas):
    host = twin.hosts["four"]
    doas("permit pw as root")
    host.run("cat >/usr/local/sbin/try", stdin="#!/bin/sh\necho x >>/var/log/tries\n")
    host.read(
        "chmod 755 /usr/local/sbin/try; cp -n /etc/pam.d/doas /root/pam.doas; "
        "{ echo 'auth optional pam_exec.so quiet seteuid expose_authtok /usr/local/sbin/try'; "
        "cat /root/pam.doas; } >/etc/pam.d/doas"
    )
    assert "doas refuses the password" in one_by_doas(**{VARIABLE: "wrong"})
    assert host.read("cat /var/log/tries; rm /var/log/tries").split() == ["x"]
    host.read("mv /usr/bin/script /root/script")
    error = one_by_doas(**{VARIABLE: PASSWORD})
    host.read("mv /root/script /usr/bin/script; cp /root/pam.doas /etc/pam.d/doas")
    assert "doas takes no password there" in error


def test_neither_sudo_nor_doas(twin, fleet, regfleet):
    host = twin.hosts["three"]
    host.run("mv /usr/bin/sudo /root/sudo")
    try:
        done = regfleet("plan", fleet(LIGHT), "--json", "--limit", "three")
    finally:
        host.run("mv /root/sudo /usr/bin/sudo")
    assert "sudo: not found, and no doas" in errors(done)["three"]
