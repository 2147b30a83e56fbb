"""Through jump hosts: the fleet's host keys, known_hosts and key hold for them, too.

What the user's OpenSSH configuration says is OpenSSH's own to carry out.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from inside import SSHD_LOG

BODY = """
[client.all]
hosts = [$target, $beside]
"""
ROOT = Path(__file__).resolve().parents[2]
LOGIN = "6"  # seconds: enough for a host that answers, on a busy machine


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("bastion", "inner", "target", "beside", variant="bare")


@pytest.fixture
def plan(twin, write_fleet, regfleet, tmp_path):
    """`plan(config, known=...)`: both hosts' errors, None where there are none."""
    (tmp_path / ".ssh").mkdir(mode=0o700)

    def run(config, *, known=lambda text: text, ssh=lambda text: text):
        address = {name: host.address for name, host in twin.hosts.items()}
        named = [
            f"Host {name}\n  HostName {address[name]}\n  User root\n"
            for name in ("bastion", "inner")
        ]
        (tmp_path / ".ssh" / "config").write_text(config.format(**address) + "".join(named))
        (tmp_path / "known").write_text(known(twin.known_hosts.read_text()))
        path = write_fleet(twin, BODY)
        path.write_text(ssh(path.read_text().replace(str(twin.known_hosts), "known")))
        done = regfleet(
            "plan",
            path,
            "--json",
            timeout=60,
            HOME=str(tmp_path),
            REGFLEET_LOGIN_SECONDS=LOGIN if "slow" in config else "",
        )
        hosts = json.loads(done.stdout)["hosts"]
        assert "Traceback" not in done.stderr
        assert done.returncode == (1 if any(each["error"] for each in hosts.values()) else 0)
        return hosts["target"]["error"], hosts["beside"]["error"]

    return run


def logins(host):
    """Connections that its sshd let in."""
    return int(host.read(f"grep -c 'Accepted publickey' {SSHD_LOG} || true"))


def without(*names):
    """A text of known hosts without those of some."""
    return lambda text: "".join(
        line for line in text.splitlines(keepends=True) if line.split(",")[0] not in names
    )


def revoking(twin, name):
    return lambda text: f"{text}@revoked * {twin.hosts[name].host_key}\n"


def running(marker):
    """Whether any process has these words on its command line."""
    return any(marker.encode() in _read(file) for file in Path("/proc").glob("[0-9]*/cmdline"))


def _read(file):
    try:
        return file.read_bytes()
    except OSError:
        return b""


def test_one_jump_and_one_into_another(twin, plan):
    before = {name: logins(twin.hosts[name]) for name in ("bastion", "inner")}
    config = "Host {target}\n  ProxyJump inner\nHost inner\n  ProxyJump bastion\n"
    assert plan(config) == (None, None)
    # `bastion,inner` says the same in one line.
    assert plan("Host {target}\n  ProxyJump bastion,inner\n") == (None, None)
    for name in ("bastion", "inner"):
        assert logins(twin.hosts[name]) == before[name] + 2


@pytest.mark.parametrize("unknown", ["inner", "bastion"])
def test_a_jump_host_that_is_not_known_is_refused(twin, plan, unknown):
    config = "Host {target}\n  ProxyJump inner\nHost inner\n  ProxyJump bastion\n"
    target, beside = plan(config, known=without(unknown))
    assert "on the way through another host" in target
    assert f"host key is known for {twin.hosts[unknown].address}" in target
    assert "add their keys to" in target
    assert beside is None


def test_its_new_key_is_kept_where_that_is_wanted(twin, plan, tmp_path):
    new = '[ssh]\nhost_key_checking = "accept-new"'
    found = plan(
        "Host {target}\n  ProxyJump bastion\n",
        known=without("bastion"),
        ssh=lambda text: text.replace("[ssh]", new),
    )
    assert found == (None, None)
    assert twin.hosts["bastion"].host_key in (tmp_path / "known").read_text()


@pytest.mark.parametrize("revoked", ["bastion", "target"])
def test_a_revoked_key_is_refused(twin, plan, revoked):
    config = "Host {target}\n  ProxyJump bastion\n"
    target, beside = plan(config, known=revoking(twin, revoked))
    assert "revoked" in target.lower()
    assert beside is None


def test_a_section_without_a_jump_beside_one_with_it_for_all(plan):
    config = "Host {target} bastion\n  ProxyJump none\nHost *\n  ProxyJump bastion\n"
    assert plan(config) == (None, None)


def test_a_jump_host_that_is_its_own_jump_host(plan):
    target, beside = plan("Host {target}\n  ProxyJump none\nHost *\n  ProxyJump bastion\n")
    assert target is None
    assert beside is None or "on the way through another host" in beside


def test_a_way_that_hangs_is_one_hosts_error_and_leaves_nothing(plan):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        target, beside = plan(f"# slow\nHost {{target}}\n  ProxyJump nobody@127.0.0.1:{port}\n")
    assert f"not logged in within {LOGIN} seconds" in target
    assert beside is None
    assert not running(f"nobody@127.0.0.1:{port}")
    marker = f"63.{os.getpid()}"  # of this run alone
    target, beside = plan(f"# slow\nHost {{target}}\n  ProxyCommand sleep {marker}\n")
    assert f"not logged in within {LOGIN} seconds" in target
    assert beside is None
    assert not running(marker)


@pytest.mark.parametrize("known", [True, False])
def test_plain_pyinfra_goes_the_same_way(twin, plan, tmp_path, known):
    plan("Host {target}\n  ProxyJump bastion\n")  # writes the files
    if not known:
        (tmp_path / "known").write_text(without("bastion")((tmp_path / "known").read_text()))
    inventory = tmp_path / "inventory.py"
    inventory.write_text(
        "from pathlib import Path\nfrom regfleet.inventory import groups\n"
        f"globals().update(groups(Path({str(tmp_path / 'fleet.toml')!r})))\n"
    )
    before = logins(twin.hosts["bastion"])
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", inventory, "--limit", "target", "exec", "--", "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "HOME": str(tmp_path)},
    )
    assert "do you want to continue" not in done.stdout + done.stderr
    assert (done.returncode == 0) is known, done.stderr
    assert logins(twin.hosts["bastion"]) == before + known
