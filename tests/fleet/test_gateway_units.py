"""A registry behind a gateway where the service manager runs the three: Podman's containers.

Podman 4.3 on bookworm; the client is Docker 26.1. Its packages come from the distribution.
"""

import json
import time
from contextlib import suppress

import pytest
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError
from urllib3.util import make_headers

from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

ENDPOINT = "registry.test:443"
BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:443"
runtime = "RUNTIME"
image_archive = "$registry_tar"
storage = "/srv/images"
ADMINS

[registry.main.users]
root = { password = "generate" }
bob = { password = "generate" }
ci = { password = "generate" }

PROJECTS

[client.build]
hosts = [$client1]
registries = ["main"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
PROJECTS = """
[registry.main.gateway]
image_archive = "$nginx_tar"
[registry.main.projects.team]
members = { bob = "guest" }
[registry.main.projects.open]
public = true
[registry.main.projects.regfleet-smoke]
members = { ci = "admin" }
"""
NAMES = ("regfleet-main.users", "regfleet-main", "regfleet-main.gateway")
TRACES = (
    "ls -d /etc/regfleet /var/lib/regfleet /etc/systemd/system/regfleet-* /run/regfleet-*"
    " /etc/systemd/system/*/regfleet-* 2>/dev/null; ss -Hltn 'sport = :443';"
    " podman ps -aq 2>/dev/null; podman images -q 2>/dev/null; podman volume ls -q 2>/dev/null;"
    " systemctl list-units --plain --no-legend --all 'regfleet*' 2>/dev/null"
)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", variant="bare", aliases=("registry.test",)), HostSpec("client1", "trixie")
    )


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, write_fleet, state, regfleet):
    def run(command, *options, runtime="podman", projects=True, edit=lambda text: text):
        body = BODY.replace("RUNTIME", runtime).replace("PROJECTS", PROJECTS if projects else "")
        body = body.replace("ADMINS", 'admins = ["root"]' if projects else "")
        return regfleet(command, write_fleet(twin, edit(body)), "--state-dir", state, *options)

    return run


@pytest.fixture
def ask(twin, state):
    """`ask("GET", "/v2/", "bob")` gives status and body."""

    def ask(method, path, user=None, word=None):
        pool = PoolManager(cert_reqs="CERT_NONE", timeout=10, retries=False)
        headers = {"Host": ENDPOINT}
        if user:
            word = word or (state / "passwords" / "main" / user).read_text().strip()
            headers |= make_headers(basic_auth=f"{user}:{word}")
        url = f"https://{twin.hosts['reg1'].address}:443{path}"
        answer = pool.request(method, url, headers=headers)
        return answer.status, answer.data.decode()

    return ask


def applied(run, **how):
    done = run("apply", "--yes", "--json", **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def units(host):
    return {name: host.run(f"systemctl is-active {name}").stdout.strip() for name in NAMES}


def test_podman_runs_the_three(twin, run, ask, proven):
    found = applied(run)
    smoke = found["hosts"]["client1"]["smoke"]
    assert "failed" not in smoke.values(), smoke
    host = twin.hosts["reg1"]
    assert units(host) == dict.fromkeys(NAMES, "active")
    assert ask("GET", "/v2/_catalog", "root")[0] == 200
    assert ask("GET", "/v2/team/app/tags/list", "bob")[0] == 404
    assert ask("GET", "/v2/team/app/tags/list", "bob", "wrong")[0] == 401
    status, body = ask("POST", "/v2/team/app/blobs/uploads/", "bob")
    assert (status, "bob may only pull in team/app" in body) == (403, True)
    assert ask("GET", "/v2/open/app/tags/list")[0] == 404
    assert run("plan", "--detailed-exitcode").returncode == 0
    owners = host.read("ps -eo uid,args | grep '[n]ginx: worker' | awk '{ print $1 }' | sort -u")
    assert owners == "101"
    proven("gateway", host.read("podman --version"), "bookworm", "runtime podman")


def test_a_role_is_changed_without_a_restart(twin, run, ask):
    host = twin.hosts["reg1"]
    before = host.read("podman ps -q --no-trunc | sort")
    applied(run, edit=lambda text: text.replace('bob = "guest"', 'bob = "developer"'))
    assert ask("POST", "/v2/team/app/blobs/uploads/", "bob")[0] == 202
    assert run("rollback", "--yes").returncode == 0
    assert ask("POST", "/v2/team/app/blobs/uploads/", "bob")[0] == 403
    applied(run)
    assert host.read("podman ps -q --no-trunc | sort") == before


def test_nginx_that_is_killed_comes_back(twin, ask):
    twin.hosts["reg1"].read("kill -9 $(cat /run/regfleet-main.gateway.pid)")
    for _ in range(40):
        with suppress(HTTPError):
            if ask("GET", "/v2/")[0] == 401:
                return
        time.sleep(0.25)
    raise AssertionError(twin.hosts["reg1"].read("journalctl -u regfleet-main.gateway -n 30"))


def test_it_loses_its_projects_and_leaves_nothing(twin, run, ask):
    applied(run, projects=False)
    host = twin.hosts["reg1"]
    assert units(host) == {
        "regfleet-main.users": "inactive", "regfleet-main": "active",
        "regfleet-main.gateway": "inactive",
    }  # fmt: skip
    assert ask("GET", "/v2/_catalog", "bob")[0] == 200
    applied(run)
    assert ask("GET", "/v2/_catalog", "bob")[0] == 403
    done = run("destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.read(f"{TRACES} || :") == ""
