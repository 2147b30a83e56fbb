"""Engines behind an HTTP proxy: a real one (tinyproxy), with a login and without.

`outside.test` is a registry that only the proxy's host can name: whoever pulls from it has asked
the proxy. Its log tells what else it was asked.
"""

import json

import pytest

import stranger
import tinyproxy
from regfleet.errors import RegfleetError
from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

USER, PASSWORD = "build", "canary-7f31"
SHOWN = "canary"
BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
ci = {{ password = "generate" }}

[registry.outside]
external = true
endpoint = "outside.test:5443"
smoke = false
tls = {{ source = "files", ca = "{ca}" }}

[client.docker]
hosts = [{dockers}]
registries = ["main", "outside"]
login = {{ main = {{ user = "ci", for = ["root", "ops"] }} }}
{docker}

[client.podman]
hosts = [$pod]
engine = "podman"
registries = ["main", "outside"]
login = {{ main = "ci" }}
{plain}

[client.containerd]
hosts = [$ctd]
engine = "containerd"
registries = ["main", "outside"]
login = {{ main = "ci" }}
{login}

[smoke]
image_archive = "$busybox_tar"
"""
PLAIN = 'proxy = { http = "http://reg1:3128", https = "http://reg1:3128" }'
LOGIN = (
    'proxy = { http = "http://reg1:3129", https = "http://reg1:3129", user = "build",'
    ' password = { env = "PROXY" }, no_proxy = ["more.example"] }'
)
DROP_IN = "/etc/systemd/system/{}.service.d/regfleet-test-proxy"


@pytest.fixture(scope="module")
def dockers(images):
    """Docker of each age that is to be had, by host."""
    found = {"old": "bookworm", "middle": "trixie"}
    try:
        images.host("sid", "docker")
    except RegfleetError:
        return found
    return {**found, "new": "sid"}


@pytest.fixture(scope="module")
def twin(boot_for_module, dockers):
    return boot_for_module(
        HostSpec("reg1", aliases=("registry.test",)),
        *(HostSpec(name, suite) for name, suite in dockers.items()),
        HostSpec("pod", variant="bare"),
        HostSpec("ctd", variant="bare"),
        HostSpec("script", variant="sysv"),
    )


@pytest.fixture(scope="module")
def ca(twin, seeds, tmp_path_factory):
    """The registry that only `reg1` can name, and two proxies there; gives the file of its CA."""
    host = twin.hosts["reg1"]
    tinyproxy.install(host)
    file = stranger.serve(host, seeds, tmp_path_factory.mktemp("out"), "outside.test", 5443)
    tinyproxy.serve(host, 3128)
    tinyproxy.serve(host, 3129, f"{USER} {PASSWORD}")
    for name in (*twin.hosts,):
        stranger.push(host, f"127.0.0.1:5443/tool:{name}")
    return file


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def body(ca, dockers):
    """`body(login, plain, containers)`: a fleet with these proxies."""
    hosts = ", ".join(f"${each}" for each in (*dockers, "script"))

    def render(login, plain, containers):
        docker = login.removesuffix(" }") + ", containers = true }" if containers else login
        return BODY.format(ca=ca, dockers=hosts, docker=docker, login=login, plain=plain)

    return render


@pytest.fixture
def run(twin, body, write_fleet, state, regfleet):
    """`run("apply", "--yes", login=..., plain=...)`."""

    def command(name, *options, login=LOGIN, plain=PLAIN, password=PASSWORD, containers=False):
        path = write_fleet(twin, body(login, plain, containers))
        return regfleet(name, path, "--state-dir", state, *options, PROXY=password)

    return command


def asked(twin, port):
    """The proxy's log: a line for each request."""
    return tinyproxy.asked(twin.hosts["reg1"], port)


def proxies_of(host):
    text = "{{.HTTPProxy}}|{{.HTTPSProxy}}|{{.NoProxy}}"
    return host.read(f"docker info --format '{text}'").split("|")


def environment(host, unit):
    pid = host.read(f"systemctl show --property MainPID --value {unit}")
    return host.read(f"tr '\\0' '\\n' </proc/{pid}/environ").splitlines()


def test_every_engine_pulls_through_the_proxy(twin, run, dockers, cri_pull, proven):
    done = run("apply", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert SHOWN not in done.stdout + done.stderr
    for name in (*dockers, "script"):
        host = twin.hosts[name]
        before = asked(twin, 3129).count("CONNECT outside.test:5443")
        host.read(f"docker pull -q outside.test:5443/tool:{name}")
        assert asked(twin, 3129).count("CONNECT outside.test:5443") > before, name
        version = host.read("docker version --format '{{.Server.Version}}'")
        proven("docker", version, f"{host.spec.suite} ({name})", "HTTP proxy with a login")
    twin.hosts["pod"].read("podman pull -q outside.test:5443/tool:pod")
    assert "CONNECT outside.test:5443" in asked(twin, 3128)
    before = asked(twin, 3129).count("CONNECT outside.test:5443")
    assert "grpc-status: 0" in cri_pull("ctd", "outside.test:5443/tool:ctd")
    assert asked(twin, 3129).count("CONNECT outside.test:5443") > before
    # The fleet's own registry was pushed to and pulled from by all of them: directly.
    for port in (3128, 3129):
        assert "registry.test" not in asked(twin, port)
    again = run("apply", "--yes")
    assert "nothing to do on" in again.stdout, again.stdout + again.stderr


def test_where_it_is_set(twin, dockers):
    for name in dockers:
        text = twin.hosts[name].run("cat /etc/docker/daemon.json").stdout or "{}"
        assert ("proxies" in json.loads(text)) is (name != "old")
        directly = proxies_of(twin.hosts[name])[2].split(",")
        assert {"more.example", "registry.test", "reg1", name} <= set(directly)
        assert twin.hosts["reg1"].address in directly
    old = twin.hosts["old"].read(f"stat -c '%a %n' {DROP_IN.format('docker')}.*")
    stem = DROP_IN.format("docker")
    assert old.splitlines() == [f"644 {stem}.conf", f"600 {stem}.env"]
    script = twin.hosts["script"]
    assert "export HTTPS_PROXY=" in script.read("cat /etc/default/docker")
    assert script.read("stat -c %a /etc/default/docker") == "600"
    assert "HTTPS_PROXY=http://build:canary-7f31@reg1:3129" in environment(
        twin.hosts["ctd"], "containerd"
    )


def test_the_password_is_for_root_alone(twin, run, dockers):
    for name in (*dockers, "ctd", "script"):
        host = twin.hosts[name]
        holders = host.read(
            f"grep -rl {SHOWN} /etc /var/lib/regfleet /run/systemd 2>/dev/null || :"
        )
        assert holders
        for path in holders.split():
            assert host.read(f"stat -c %a {path}") == "600", (name, path)
        told = host.run("systemctl show docker containerd; docker info; docker version").stdout
        assert SHOWN not in told, name
    for options in (("--diff",), ("--json",)):
        planned = run("plan", *options, password="canary-other")
        assert planned.returncode == 0, planned.stderr
        assert "docker" in planned.stdout
        assert SHOWN not in planned.stdout + planned.stderr


def test_a_daemon_with_another_proxy_is_told_and_mended(twin, run, dockers):
    """Somebody restarted it with the drop-in moved away; the file is back, the proxy is not."""
    del dockers
    host, stem = twin.hosts["old"], DROP_IN.format("docker")
    host.read(f"mv {stem}.env /root/env; systemctl restart docker; mv /root/env {stem}.env")
    assert proxies_of(host)[1] == ""
    planned = run("plan")
    assert "the running daemon has another proxy" in planned.stdout, planned.stdout
    done = run("apply", "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    assert proxies_of(host)[1] == "http://xxxxx:xxxxx@reg1:3129"


def test_the_doctor_tells_of_a_proxy_that_is_gone(twin, run, dockers):
    reg1 = twin.hosts["reg1"]
    tinyproxy.stop(reg1, 3129)
    try:
        said = run("doctor").stdout
    finally:
        tinyproxy.start(reg1, 3129)
    title = "the HTTP proxy reg1:3129 cannot be reached there"
    assert title in " ".join(said.split()), said
    for name in (*dockers, "script", "ctd"):
        assert name in said
    assert "reg1:3128" not in said
    assert SHOWN not in said


def test_containers_get_it_when_that_is_asked_for(twin, run, dockers):
    """For root and for each account with a login, by the account's own file and hand."""
    host = twin.hosts["old"]
    # Whatever the account makes of the way there: root writes nothing in it.
    host.read(
        "rm -rf /home/ops/.docker /root/ops; mkdir -p /root/ops; ln -s /root/ops /home/ops/.docker;"
        "chown -h ops: /home/ops/.docker"
    )
    refused = run("apply", "--yes", "--no-smoke", "--limit", "old", containers=True)
    assert refused.returncode == 1, refused.stdout
    assert host.run("ls -A /root/ops").stdout == ""
    host.read("rm /home/ops/.docker")
    done = run("apply", "--yes", "--no-smoke", containers=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert SHOWN not in done.stdout + done.stderr
    url = f"http://{USER}:{PASSWORD}@reg1:3129"
    for name in (*dockers, "script"):
        host = twin.hosts[name]
        assert host.read("stat -c '%a %U' /home/ops/.docker/config.json") == "600 ops"
        for home in ("/root", "/home/ops"):
            told = host.read(
                f"docker --config {home}/.docker run --rm outside.test:5443/tool:{name} env"
            )
            assert f"HTTPS_PROXY={url}" in told.splitlines(), (name, home)
    again = run("apply", "--yes", "--no-smoke", containers=True)
    assert "nothing to do on" in again.stdout, again.stdout
    done = run("apply", "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = json.loads(twin.hosts["old"].read("cat /home/ops/.docker/config.json"))
    assert "proxies" not in kept
    assert "registry.test:5000" in kept["auths"]


def test_what_is_undeclared_goes_and_rollback_brings_it_back(twin, run, dockers):
    done = run("apply", "--yes", "--no-smoke", login="", plain="")
    assert done.returncode == 0, done.stdout + done.stderr

    def nothing():
        for name in (*dockers, "script"):
            assert proxies_of(twin.hosts[name]) == ["", "", ""], name
        assert not [
            each for each in environment(twin.hosts["ctd"], "containerd") if "PROXY" in each
        ]
        for host in twin.hosts.values():
            left = "grep -rl -e 3128 -e 3129 /etc/docker /etc/systemd /etc/default /etc/containers"
            assert host.run(f"{left} 2>/dev/null").stdout == "", host.name
            assert host.run("ls -d /etc/systemd/system/docker.service.d").stdout == ""

    nothing()
    # Podman keeps the digest of the image that came through the proxy: its smoke test compares it.
    done = run("rollback", "--yes", "--exclude", "pod", login="", plain="")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in (*dockers, "script"):
        assert proxies_of(twin.hosts[name])[1] == "http://xxxxx:xxxxx@reg1:3129", name
    assert run("destroy", "--yes").returncode == 0
    nothing()


def test_an_engine_that_does_not_start_with_it_gets_the_old_state_back(twin, run):
    """A unit of somebody's refuses to start dockerd, and containerd, beside our drop-in."""
    for name, unit in (("old", "docker"), ("ctd", "containerd")):
        host = twin.hosts[name]
        guard = f"[Service]\nExecStartPre=/usr/bin/test ! -e {DROP_IN.format(unit)}.conf\n"
        place = f"/etc/systemd/system/{unit}.service.d"
        host.run(f"mkdir -p {place}; cat >{place}/guard.conf; systemctl daemon-reload", stdin=guard)
        done = run("apply", "--yes", "--json", "--no-smoke", "--limit", f"reg1,{name}")
        assert done.returncode == 1, done.stdout
        assert json.loads(done.stdout)["hosts"][name]["status"] == "rolled-back", done.stdout
        assert SHOWN not in done.stdout + done.stderr
        assert host.read(f"systemctl is-active {unit}; ls {place}").split() == [
            "active",
            "guard.conf",
        ]
    assert proxies_of(twin.hosts["old"]) == ["", "", ""]
