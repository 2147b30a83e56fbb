"""A registry behind a gateway where the service manager runs the three.

Containers of Podman 4.3 on bookworm; and the distribution's docker-registry and nginx, beside
an nginx that serves something else. The client is Docker 26.1.
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
IMAGE
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
GATEWAY
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
        packaged = runtime == "package"
        body = body.replace("IMAGE", "" if packaged else 'image_archive = "$registry_tar"')
        gateway = '[registry.main.gateway]\nimage_archive = "$nginx_tar"'
        body = body.replace("GATEWAY", "" if packaged else gateway)
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
    for _ in range(240):
        with suppress(HTTPError):
            if ask("GET", "/v2/")[0] == 401:
                return
        time.sleep(0.25)
    raise AssertionError(twin.hosts["reg1"].read("journalctl -u regfleet-main.gateway -n 30"))


@pytest.fixture
def sites(twin):
    """An nginx of the host's own, with a site: where it runs, and what it answers."""
    host = twin.hosts["reg1"]
    done = host.run("apt-get -qq update && apt-get -qq install --no-install-recommends nginx-light")
    if done.returncode:
        pytest.skip("no package sources: nginx cannot be installed")
    host.read("systemctl start nginx; echo a site >/var/www/html/site")

    def found():
        pids = host.read("pgrep -f '^nginx: worker' -P $(cat /run/nginx.pid) | sort")
        return pids, host.read("curl -s http://127.0.0.1/site; systemctl is-enabled nginx")

    return found


def test_packages_run_the_three_beside_the_hosts_own_nginx(twin, run, ask, sites, proven):
    host = twin.hosts["reg1"]
    before = sites()
    plan = run("plan", runtime="package").stdout
    assert "libnginx-mod-http-js" in plan, plan
    found = applied(run, runtime="package")
    smoke = found["hosts"]["client1"]["smoke"]
    assert "failed" not in smoke.values(), smoke
    active = {"regfleet-main.users": "active", "regfleet-main.gateway": "active"}
    assert units(host) == {"regfleet-main": "inactive", **active}
    assert host.read("systemctl is-active docker-registry; podman ps -q") == "active"
    assert run("plan", "--detailed-exitcode", runtime="package").returncode == 0
    assert sites() == before
    owners = host.read(
        "pgrep -P $(systemctl show -P MainPID regfleet-main.gateway) | xargs ps -o user= -p"
    )
    assert set(owners.split()) == {"www-data"}
    rights = "grep -h -E '^(CapBnd|NoNewPrivs)' /proc/$(systemctl show -P MainPID {})/status"
    kept = {"regfleet-main.users": "0" * 16, "regfleet-main.gateway": "00000000000004c1"}
    for name, bound in kept.items():
        assert host.read(rights.format(name)).split() == ["CapBnd:", bound, "NoNewPrivs:", "1"]
    assert ask("GET", "/v2/team/app/tags/list", "bob", "wrong")[0] == 401
    assert "wrong logins in the last day" in run("status", runtime="package").stdout
    proven("gateway", host.read("nginx -v 2>&1"), "bookworm", "runtime package")


def test_a_role_of_packages_is_changed_without_a_restart(twin, run, ask):
    host = twin.hosts["reg1"]
    pid = "systemctl show -P MainPID regfleet-main.gateway docker-registry regfleet-main.users"
    before = host.read(pid)
    developer = lambda text: text.replace('bob = "guest"', 'bob = "developer"')  # noqa: E731
    applied(run, runtime="package", edit=developer)
    assert ask("POST", "/v2/team/app/blobs/uploads/", "bob")[0] == 202
    assert run("rollback", "--yes", runtime="package").returncode == 0
    assert ask("POST", "/v2/team/app/blobs/uploads/", "bob")[0] == 403
    assert host.read(pid) == before


def test_an_nginx_whose_package_was_upgraded_is_restarted(twin, run, ask):
    """A new program, which the running one could load no modules of."""
    host = twin.hosts["reg1"]
    pid = "systemctl show -P MainPID regfleet-main.gateway"
    before = host.read(pid)
    host.read("cp -p /usr/sbin/nginx /usr/sbin/n && mv /usr/sbin/n /usr/sbin/nginx")
    developer = lambda text: text.replace('bob = "guest"', 'bob = "developer"')  # noqa: E731
    applied(run, runtime="package", edit=developer)
    assert host.read(pid) != before
    assert ask("POST", "/v2/team/app/blobs/uploads/", "bob")[0] == 202


SECOND = """
[registry.two]
hosts = [$reg1]
endpoint = "two.test:443"
runtime = "podman"
image_archive = "$registry_tar"
storage = "/srv/two"
admins = ["root"]
users.root.password = "generate"
projects.team = {}
gateway.image_archive = "$nginx_tar"

[client.build]
"""


@pytest.mark.soak
def test_packages_pass_on_the_clients_of_another_registry_by_name(twin, run, ask):
    """The distribution's nginx needs its module stream for that, which is a package of its own."""
    host = twin.hosts["reg1"]
    second = lambda text: text.replace("[client.build]", SECOND)  # noqa: E731
    plan = run("plan", runtime="package", edit=second).stdout
    assert "libnginx-mod-stream" in plan, plan
    applied(run, runtime="package", edit=second)
    asked = "openssl s_client -connect localhost:443 -servername {} </dev/null 2>/dev/null"
    for name in ("registry.test", "two.test"):
        found = host.read(f"{asked.format(name)} | openssl x509 -noout -checkhost {name}")
        assert "does match" in found, found
    assert ask("GET", "/v2/_catalog", "root")[0] == 200
    assert run("plan", "--detailed-exitcode", runtime="package", edit=second).returncode == 0
    applied(run, runtime="package")
    assert ask("GET", "/v2/_catalog", "root")[0] == 200


@pytest.mark.soak
def test_packages_leave_nothing_and_podman_takes_over_again(twin, run, ask, sites):
    host = twin.hosts["reg1"]
    before = sites()
    applied(run)
    assert units(host) == dict.fromkeys(NAMES, "active")
    assert host.read("systemctl is-active docker-registry || :") == "inactive"
    assert ask("GET", "/v2/team/app/tags/list", "bob")[0] == 404
    assert run("plan", "--detailed-exitcode").returncode == 0
    assert sites() == before


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
