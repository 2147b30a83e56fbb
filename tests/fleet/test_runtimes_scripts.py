"""Registries without Docker on real hosts without systemd: scripts for init(8) or OpenRC."""

import time
from contextlib import suppress

import pytest
from urllib3 import PoolManager
from urllib3.util import make_headers

from regfleet.errors import HostError
from regfleet.rehearse.twin import HostSpec

BODY = """
[registry.main]
hosts = [${host}]
endpoint = "{host}.test:5000"
runtime = "{runtime}"
delete = {delete}
{image}
[registry.main.users]
ci = {{ password = "generate" }}

[client.docker]
hosts = [$docker1]
registries = ["main"]
login = {{ main = "ci" }}

[smoke]
image_archive = "$busybox_tar"
"""
PROJECTS = """
[registry.main.projects.team]
members = { ci = "guest" }
"""
MAIN = "/etc/init.d/regfleet-main"
LEFT = (
    "ls -d /etc/regfleet /var/lib/regfleet /etc/init.d/regfleet-* /run/regfleet-*"
    " /etc/rc?.d/*regfleet-* /etc/runlevels/*/*regfleet-* /run/openrc/started/regfleet-*"
    " /var/log/regfleet-* /usr/sbin/policy-rc.d 2>/dev/null;"
    " ps -C docker-registry,conmon,supervise-daemon -o comm="
)
ENABLED = {
    "sysv": "ls /etc/rc2.d/ | grep -c '^S.*regfleet-main'",
    "openrc": "ls /etc/runlevels/default | grep -c '^regfleet-main$'",
}
UNDER_OPENRC = [pytest.param("package", marks=pytest.mark.soak), "podman"]
# Each service manager and each runtime once; the soak has the other two.
WAYS = [
    ("sysv", "package"),
    ("openrc", "podman"),
    pytest.param("sysv", "podman", marks=pytest.mark.soak),
    pytest.param("openrc", "package", marks=pytest.mark.soak),
]


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("sysv", variant="light", aliases=("sysv.test",)),
        HostSpec("openrc", variant="openrc", aliases=("openrc.test",)),
        HostSpec("docker1"),
    )


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    return {host: tmp_path_factory.mktemp(host) for host in ENABLED}


@pytest.fixture
def run(twin, write_fleet, states, regfleet):
    """`run("apply", "openrc", "podman", "--yes")`."""

    def command(name, host, runtime, *options, delete="true", projects=False):
        image = "" if runtime == "package" else 'image_archive = "$registry_tar"'
        body = BODY.format(host=host, runtime=runtime, image=image, delete=delete)
        body = body.replace("[client.docker]", f"{PROJECTS if projects else ''}\n[client.docker]")
        return regfleet(name, write_fleet(twin, body), "--state-dir", states[host], *options)

    return command


def process(host):
    """Number of the process that serves, which is ours."""
    pid = host.read("cat /run/regfleet-main.pid")
    host.read(f"tr '\\0' '\\n' </proc/{pid}/environ | grep -q -x REGFLEET_SERVICE=regfleet-main")
    return pid


def serving(host, *, but=""):
    """Wait until a process other than `but` serves."""
    for _ in range(120):
        with suppress(HostError):
            pid = process(host)
            if pid != but and host.read("ss -Hltn 'sport = :5000'"):
                return
        time.sleep(0.25)
    raise AssertionError(host.run("ps axf; tail /var/log/regfleet-main.log").stdout)


@pytest.mark.parametrize(("name", "runtime"), WAYS)
def test_it_is_run_found_and_taken_out(twin, run, proven, name, runtime):
    host = twin.hosts[name]
    done = run("apply", name, runtime, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing to do" in run("apply", name, runtime, "--yes").stdout
    assert host.read(ENABLED[name]) == "1"
    before = process(host)
    host.read(f"{MAIN} restart; {MAIN} status")
    serving(host, but=before)
    if runtime == "package":
        rights = host.read(
            f"grep -h -E '^(CapBnd|NoNewPrivs)' /proc/{process(host)}/status",
        )
        assert rights.split() == ["CapBnd:", "0" * 16, "NoNewPrivs:", "1"]
    host.read(f"{MAIN} stop")
    assert "it does not run" in run("plan", name, runtime).stdout
    assert run("apply", name, runtime, "--yes").returncode == 0
    gone = run("destroy", name, runtime, "--yes")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert host.run(LEFT).stdout == ""
    manager = {"sysv": "init script", "openrc": host.run("openrc --version").stdout.strip()}[name]
    proven(f"runtime {runtime}", manager, host.spec.suite, "a client of Docker")


@pytest.mark.parametrize(("name", "runtime"), WAYS)
def test_a_change_is_rolled_back(twin, run, name, runtime):
    host = twin.hosts[name]
    assert run("apply", name, runtime, "--yes", "--no-smoke").returncode == 0
    script = host.read(f"cat {MAIN}")
    done = run("apply", name, runtime, "--yes", "--no-smoke", delete="false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.read(f"cat {MAIN}") != script
    changed = process(host)
    back = run("rollback", name, runtime, "--yes")
    assert back.returncode == 0, back.stdout + back.stderr
    assert host.read(f"cat {MAIN}") == script
    serving(host, but=changed)
    assert "nothing to do" in run("apply", name, runtime, "--yes", "--no-smoke").stdout
    assert host.read(ENABLED[name]) == "1"


@pytest.mark.parametrize("runtime", UNDER_OPENRC)
def test_openrc_starts_one_again_that_died(twin, run, runtime):
    host = twin.hosts["openrc"]
    assert run("apply", "openrc", runtime, "--yes", "--no-smoke").returncode == 0
    before = process(host)
    host.read(f"kill -9 {before}")
    serving(host, but=before)
    host.read(f"{MAIN} status")
    assert "nothing to do" in run("apply", "openrc", runtime, "--yes", "--no-smoke").stdout


@pytest.mark.parametrize("runtime", UNDER_OPENRC)
def test_one_that_openrc_does_not_know_of_any_more_is_replaced_and_removed(twin, run, runtime):
    host = twin.hosts["openrc"]
    assert run("apply", "openrc", runtime, "--yes", "--no-smoke").returncode == 0
    host.read(f"{MAIN} zap")
    before = process(host)
    done = run("apply", "openrc", runtime, "--yes", "--no-smoke", delete="false")
    assert done.returncode == 0, done.stdout + done.stderr
    serving(host, but=before)
    host.read(f"{MAIN} zap")
    gone = run("destroy", "openrc", runtime, "--yes")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert host.run(LEFT).stdout == ""


@pytest.mark.parametrize("runtime", UNDER_OPENRC)
def test_one_that_openrc_holds_for_started_is_started(twin, run, runtime):
    host = twin.hosts["openrc"]
    assert run("apply", "openrc", runtime, "--yes", "--no-smoke").returncode == 0
    if runtime == "podman":
        host.read("podman rm -f -t 1 regfleet-main")
    else:
        host.read(f"kill -9 $(cat /run/regfleet-main.supervisor) {process(host)}")
    assert "it does not run" in run("plan", "openrc", runtime).stdout
    done = run("apply", "openrc", runtime, "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    serving(host)


@pytest.mark.parametrize("name", ["openrc", pytest.param("sysv", marks=pytest.mark.soak)])
def test_the_runtime_changes_there_and_back(twin, run, name):
    host = twin.hosts[name]
    for runtime in ("podman", "package", "podman"):
        done = run("apply", name, runtime, "--yes", "--no-smoke")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "nothing to do" in run("apply", name, runtime, "--yes", "--no-smoke").stdout
        assert bool(host.run("podman ps -q").stdout) == (runtime == "podman")
    assert run("destroy", name, runtime, "--yes").returncode == 0
    assert host.run(LEFT).stdout == ""


@pytest.mark.parametrize("name", ["openrc", pytest.param("sysv", marks=pytest.mark.soak)])
def test_packages_run_a_gateway_there(twin, run, states, proven, name):
    """The password check and nginx are found, taken up, started again and removed as the others."""
    host = twin.hosts[name]
    apply = lambda **how: run("apply", name, "package", "--yes", "--no-smoke", **how)  # noqa: E731
    done = apply(projects=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing to do" in apply(projects=True).stdout
    assert run("smoke", name, "package", projects=True).returncode == 0
    pool = PoolManager(cert_reqs="CERT_NONE", timeout=10, retries=False)
    url = f"https://{host.address}:5000/v2/team/a/tags/list"
    word = (states[name] / "passwords" / "main" / "ci").read_text().strip()
    found = [
        pool.request("GET", url, headers=make_headers(basic_auth=f"ci:{each}")).status
        for each in ("wrong", word)
    ]
    assert found == [401, 404]
    assert "wrong login" in run("status", name, "package", projects=True).stdout
    listening = host.read("ss -Hltn 'sport = :80'")
    assert listening == "", "the packages' own nginx runs"
    pid = "cat /run/regfleet-main.gateway.pid"
    before = host.read(pid)
    for service in ("gateway", "users"):
        host.read(f"{MAIN}.{service} restart")
        # init(8) does not wait for what it starts, and this machine may be busy.
        host.read(
            f"for i in 1 2 3 4 5 6 7 8 9; do {MAIN}.{service} status && exit; sleep 1; done; false"
        )
    assert host.read(pid) != before
    assert "nothing to do" in apply(projects=True).stdout
    done = apply()
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.run("pgrep nginx; ls /run | grep gateway").stdout == ""
    assert apply(projects=True).returncode == 0
    assert run("destroy", name, "package", "--yes", projects=True).returncode == 0
    assert host.run(f"{LEFT}; pgrep nginx").stdout == ""
    proven("gateway", host.read("nginx -v 2>&1"), name, "runtime package")
