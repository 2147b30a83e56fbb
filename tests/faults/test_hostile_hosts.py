"""Hosts that do what no host does: each is an error of its own, and the others are worked on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import hostile_ssh
import pytest

SERVER = Path(hostile_ssh.__file__)
ROOT = SERVER.parents[2]
# Runs the command line, and says the most memory that it had, in KiB (getrusage(2)).
MEASURED = """
import resource, subprocess, sys
code = subprocess.run([sys.executable, "-m", "regfleet", *sys.argv[1:]]).returncode
print("most", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""
BODY = """\
version = 1
name = "hostile"

[ssh]
user = "root"
port = {port}
key = "{directory}/key"
known_hosts = "{directory}/known_hosts"
sudo = false

[client.all]
hosts = [{hosts}]
mirrors = ["https://mirror.example.com"]
"""
# Times over whole operations, in which a healthy host answers ten times.
QUICK = {
    "REGFLEET_LOGIN_SECONDS": "4",
    "REGFLEET_LOOK_SECONDS": "4",
    "REGFLEET_TOUCH_SECONDS": "4",
    "REGFLEET_AGAIN_SECONDS": "1",
}
MEGABYTES = 400  # of the command's memory: 100 for itself, and what one answer may take
ERRORS = {
    "says_nothing": "looking at the host failed: no output",
    "cut_short": "ended early",
    "no_text": "ended early",
    "nested_json": "cannot be parsed",
    "long_number": "cannot be parsed",
    "clock_of_ages": "cannot be parsed",
    "dear_json": "cannot be parsed",
    "endless_number": "cannot be parsed",
    "mirrors_that_are_no_texts": "could not be processed",
    "never_lets_in": "not logged in within 4 seconds",
    "never_opens_a_channel": "no end of its answer within 4 seconds",
    "never_starts_the_command": "no end of its answer within 4 seconds",
    "never_ends": "no end of its answer within 4 seconds",
    "never_takes_the_input": "no end of its answer within 4 seconds",
    "no_exit_status": None,
    "endless_output": "it sent more than 8 MB",
    "output_beyond_the_window": "it sent more than 8 MB",
    "one_endless_line": "it sent more than 8 MB",
    "endless_complaints": "it sent more than 8 MB",
    "silent": "not logged in within 4 seconds",
    "endless_banner": "it sent far more than anybody asked for",
    "dripping_banner": "not logged in within 4 seconds",
    "huge_packet": "it sent far more than anybody asked for",
    "silent_after_the_banner": "not logged in within 4 seconds",
    "closes_at_once": "no SSH connection",
    "drips": "no end of its answer within 4 seconds",
    "floods_with_what_is_ignored": "it sent more than 8 MB",
    "endless_login_banner": "it sent ",
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The directory of keys and the port of a running server."""
    directory = tmp_path_factory.mktemp("hostile")
    for name in ("host_key", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name]
        subprocess.run(command, check=True)
    (directory / "authorized_keys").write_text((directory / "key.pub").read_text())
    server = subprocess.Popen(
        [sys.executable, SERVER, directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        port = int(server.stdout.readline())
        key = " ".join((directory / "host_key.pub").read_text().split()[:2])
        (directory / "known_hosts").write_text(
            "".join(
                f"[{hostile_ssh.address(name)}]:{port} {key}\n" for name in hostile_ssh.BEHAVIOURS
            )
        )
        yield directory, port
    finally:
        server.kill()
        server.communicate()


@pytest.fixture
def ill_treated(hostile, tmp_path):
    """`ill_treated("plan", "drips")` runs a command on such a host beside a healthy one."""
    directory, port = hostile

    def write(behaviour):
        hosts = ", ".join(
            f'{{ name = "{name.replace("_", "-")}", address = "{hostile_ssh.address(name)}" }}'
            for name in dict.fromkeys((behaviour, "healthy"))
        )
        path = tmp_path / "fleet.toml"
        path.write_text(BODY.format(directory=directory, port=port, hosts=hosts))
        return path

    def run(command, behaviour):
        path = write(behaviour)
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, *command.split(), str(path), "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **QUICK},
        )
        complained, _, most = done.stderr.rstrip().rpartition("most ")
        assert "Traceback" not in complained
        assert int(most) >> 10 < MEGABYTES
        return done.returncode, json.loads(done.stdout)["hosts"]

    run.write = write
    return run


def test_each_is_known():
    assert {*ERRORS, "healthy"} == set(hostile_ssh.BEHAVIOURS)


@pytest.mark.parametrize("behaviour", ERRORS)
def test_a_hostile_host_is_its_own_error_and_the_others_are_done(ill_treated, behaviour):
    code, hosts = ill_treated("plan", behaviour)
    assert hosts["healthy"]["error"] is None
    assert hosts["healthy"]["changes"]
    error = hosts[behaviour.replace("_", "-")]["error"]
    if ERRORS[behaviour] is None:
        assert (code, error) == (0, None)
    else:
        assert code == 1
        assert ERRORS[behaviour] in error


def test_plain_pyinfra_goes_on_with_the_others(ill_treated):
    path = ill_treated.write("mirrors_that_are_no_texts")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pyinfra", ROOT / "inventories/fleet.py"),
            *(ROOT / "deploys/site.py", "-y"),
        ],
        cwd=path.parent,  # it writes its log there
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "REGFLEET_FLEET": str(path),
            **QUICK,
        },
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in said
    assert "could not be processed" in said
    assert "create package docker.io" in said, "the healthy host is touched"
