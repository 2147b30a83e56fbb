"""Docker of each age on real hosts: bookworm, trixie and sid, both image stores of the newest.

Sid's packages are not always to be had: then its hosts are left out, with the reason.
"""

import json

import pytest

from regfleet.errors import RegfleetError
from regfleet.rehearse.twin import HostSpec

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
ci = { password = "generate" }

[registry.plain]
hosts = [$reg1]
endpoint = "registry.test:5001"
image_archive = "$registry_tar"
storage = "/srv/plain"
tls = { source = "none" }

[client.ages]
hosts = [HOSTS]
registries = ["main", "plain"]
mirrors = ["https://mirror.test"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
STORE = """
[client.store]
hosts = [$store]
registries = ["main", "plain"]
login = { main = "ci" }
daemon = { features = { "containerd-snapshotter" = true } }
"""
STEPS = ("present", "push", "remove", "pull", "digest", "run", "delete")
AGES = {"old": ("bookworm", "20.10"), "middle": ("trixie", "26.1"), "new": ("sid", "2")}
HOSTS_TOML = "/etc/docker/certs.d/registry.test:5001/hosts.toml"


@pytest.fixture(scope="module")
def sid(images):
    """Why there are no sid hosts; empty where there are."""
    try:
        images.host("sid", "docker")
    except RegfleetError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def twin(boot_for_module, sid):
    specs = [HostSpec("reg1", aliases=("registry.test",)), HostSpec("old")]
    specs += [HostSpec("middle", "trixie")]
    if not sid:
        specs += [HostSpec("new", "sid"), HostSpec("store", "sid")]
    return boot_for_module(*specs)


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, write_fleet, state, regfleet):
    def run(command, *options, edit=lambda text: text):
        ages = ", ".join(f"${name}" for name in AGES if name in twin.hosts)
        body = BODY.replace("HOSTS", ages) + (STORE if "store" in twin.hosts else "")
        fleet = write_fleet(twin, body)
        fleet.write_text(edit(fleet.read_text()))
        return regfleet(command, fleet, "--state-dir", state, *options)

    return run


@pytest.fixture(scope="module", autouse=True)
def _said(sid):
    yield
    if sid:
        pytest.skip(f"sid was left out: {sid}")


def test_each_age_is_configured_and_proven(twin, run, proven):
    done = run("apply", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    hosts = json.loads(done.stdout)["hosts"]
    checks = {f"{registry}/{step}" for registry in ("main", "plain") for step in STEPS}
    for name in hosts.keys() - {"reg1"}:
        smoke = hosts[name]["smoke"]
        assert {check: smoke.get(check) for check in checks} == dict.fromkeys(checks, "passed")
        version = twin.hosts[name].read("docker version -f '{{.Server.Version}}'")
        suite, expected = AGES.get(name, AGES["new"])
        assert version.startswith(expected)
        store = "containerd store" if name == "store" else "classic store"
        proven("docker", version, suite, f"TLS, plain, mirror, login; {store}")


def test_only_the_containerd_store_gets_hosts_toml(twin):
    for name, host in twin.hosts.items():
        found = host.run(f"cat {HOSTS_TOML}").stdout
        assert ('[host."http://registry.test:5001"]' in found) == (name == "store")


def test_a_second_run_finds_nothing(twin, run, counted):
    with counted(twin) as counts:
        done = run("apply", "--yes")
    assert f"nothing to do on {len(twin.hosts)} hosts" in done.stdout, done.stdout + done.stderr
    assert counts == dict.fromkeys(twin.hosts, 1)


def test_what_reloads_does_not_restart(twin, run):
    """Where a reload loses the insecure registries (20.10), they are back afterwards."""

    def started():
        ask = "systemctl show --property MainPID --value docker"
        return {name: host.read(ask) for name, host in twin.hosts.items() if name in AGES}

    before = started()
    done = run("apply", "--yes", "--no-smoke", edit=lambda text: text.replace("mirror.", "other."))
    assert done.returncode == 0, done.stdout + done.stderr
    for name in before:
        info = json.loads(twin.hosts[name].read("docker info -f '{{json .RegistryConfig}}'"))
        assert info["Mirrors"] == ["https://other.test/"]
        assert info["IndexConfigs"]["registry.test:5001"]["Secure"] is False
    kept = {name for name, pid in started().items() if pid == before[name]}
    assert kept >= set(before) - {"old"}


def test_a_mirror_with_a_path_is_for_newer_ones(run):
    done = run("plan", edit=lambda text: text.replace("mirror.test", "mirror.test/hub"))
    assert done.returncode == 1
    assert "refuses the mirror https://mirror.test/hub: it has a path" in done.stdout + done.stderr
    assert (
        "middle" not in (done.stdout + done.stderr).split("refuses the mirror")[0].splitlines()[-1]
    )


def test_nothing_is_left(twin, run):
    done = run("destroy", "--yes", "--delete-data")
    assert done.returncode == 0, done.stdout + done.stderr
    for host in twin.hosts.values():
        assert host.read(
            "find /etc/docker /var/lib/regfleet /root/.docker ! -name key.json 2>/dev/null; :"
        ) in (
            "",
            "/etc/docker",
        )
