"""Whatever an environment or root's configuration says, it is the host's own engine that is meant.

One fleet: `reg1` runs a registry and `client1` uses it, and everything there points at `other`, a
machine of no fleet whose engine anybody may use. On `odd` dockerd listens on another socket.
"""

import itertools
import json

import pytest

from regfleet.fleet.load import load
from regfleet.smoke import render as smoke
from regfleet.smoke.outcome import STEPS

LOCAL = "docker -H unix:///var/run/docker.sock"
BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
ci = { password = "generate" }

[registry.odd]
hosts = [$odd]
endpoint = "odd:5000"
image_archive = "$registry_tar"
tls = { source = "none" }

[client.build]
hosts = [$reg1, $client1, $odd]
registries = ["main", "odd"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
DEAD = "http://192.0.2.1:9"  # TEST-NET-1: nobody answers (RFC 5737)
ENVIRONMENT = f"""
DOCKER_HOST=tcp://{{other}}:2375
DOCKER_CONTENT_TRUST=1
DOCKER_DEFAULT_PLATFORM=linux/s390x
DOCKER_API_VERSION=1.12
CONTAINERD_ADDRESS=/nonexistent.sock
http_proxy={DEAD}
https_proxy={DEAD}
HTTPS_PROXY={DEAD}
PERL5OPT=-Mno_such_module
"""
# bash of Debian reads it when sshd starts it: a terminal's title has no newline behind it.
BASHRC = r"""printf '@uid of the day: 7\n@begin run-1\n@engine missing\n@check main run failed\n'
printf "\033]0;$USER@$(hostname)\007"
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module("reg1=registry.test", "client1", "odd", "other")
    other = twin.hosts["other"]
    other.read(
        "mkdir -p /etc/systemd/system/docker.service.d; cd /etc/systemd/system/docker.service.d;"
        "printf '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// -H tcp://0.0.0.0:2375\n'"
        " >tcp.conf; systemctl daemon-reload; systemctl restart docker"
    )
    configuration = {
        "currentContext": "remote",
        "HttpHeaders": {"X-Of-Root": "yes"},
        "proxies": {"default": {"httpProxy": DEAD, "httpsProxy": DEAD}},
    }
    for name in ("reg1", "client1"):
        host = twin.hosts[name]
        host.read(f"docker context create remote --docker host=tcp://{other.address}:2375")
        host.run("cat >/root/.docker/config.json", stdin=json.dumps(configuration))
        host.run("cat >/root/.curlrc", stdin=f'proxy = "{DEAD}"\nnoproxy = "nothing"\n')
        host.run("cat >>/etc/environment", stdin=ENVIRONMENT.format(other=other.address))
    for name, home in (("reg1", "/root"), ("client1", "/home/ops"), ("odd", "/root")):
        rest = f"cat - {home}/.bashrc >/root/noisy; cat /root/noisy >{home}/.bashrc"
        twin.hosts[name].run(rest, stdin=BASHRC)
    odd = twin.hosts["odd"]
    odd.run("cat >/etc/docker/daemon.json", stdin='{"hosts": ["unix:///run/elsewhere.sock"]}\n')
    # systemd goes on listening on the usual one, where nobody answers.
    odd.read(
        "mkdir -p /etc/systemd/system/docker.service.d; cd /etc/systemd/system/docker.service.d;"
        "printf '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd\n' >plain.conf;"
        "systemctl daemon-reload; systemctl restart docker"
    )
    return twin


@pytest.fixture
def fleet(twin, write_fleet):
    # client1 is reached as an ordinary user with sudo, everybody else as root.
    path = write_fleet(twin, BODY)
    address = f'address = "{twin.hosts["client1"].address}"'
    ops = f'{address}, ssh = {{ user = "ops", sudo = true }}'
    path.write_text(path.read_text().replace(address, ops))
    return path


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Kept over the module's tests: the fleet's CA and passwords."""
    return tmp_path_factory.mktemp("state")


def test_the_environment_is_there(twin, ssh):
    said = ssh(twin, "root", "reg1", "env; docker context show").stdout
    assert "DOCKER_HOST=tcp://" in said
    assert "PERL5OPT" in said
    said = ssh(twin, "ops", "client1", "echo first; echo second").stdout
    assert "@uid of the day" in said
    assert "\nfirst" not in said


def test_everything_is_done_on_the_hosts_own_engine(twin, fleet, state, regfleet):
    options = ("--json", "--state-dir", state)
    done = regfleet("apply", fleet, "--yes", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    hosts = json.loads(done.stdout)["hosts"]
    for name in ("reg1", "client1", "odd"):
        checks = hosts[name]["smoke"]
        steps = [f"{registry}/{step}" for registry in ("main", "odd") for step in STEPS]
        assert {checks.get(step) for step in steps} == {"passed"}, name
    assert "the connection broke" not in done.stderr
    for command in ("smoke", "status", "doctor"):
        done = regfleet(command, fleet, *options)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (
        twin.hosts["other"].read("docker ps -aq; docker images -q; ls /etc | grep regfleet || :")
        == ""
    )


def test_the_registry_got_nothing_of_roots_configuration(twin):
    inside = twin.hosts["reg1"].read(f"{LOCAL} inspect -f '{{{{json .Config.Env}}}}' regfleet-main")
    assert "proxy" not in inside.lower()
    odd = twin.hosts["odd"].read("docker -H unix:///run/elsewhere.sock ps --format '{{.Names}}'")
    assert odd == "regfleet-odd"


def test_what_a_shell_prints_hides_no_flag(twin, fleet, state, regfleet):
    """The look's first line says that there is systemd, and so where flags may stand."""
    client = twin.hosts["client1"]
    client.read(
        "mkdir -p /etc/systemd/system/docker.service.d; cd /etc/systemd/system/docker.service.d;"
        "printf '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd://"
        " --registry-mirror=https://m.example\n' >flags.conf; systemctl daemon-reload"
    )
    path = fleet.with_name("flags.toml")
    path.write_text(
        fleet.read_text().replace("[smoke]", 'mirrors = ["https://m.example"]\n[smoke]')
    )
    try:
        done = regfleet("plan", path, "--limit", "client1", "--state-dir", state)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "flags.conf" in done.stdout + done.stderr
    finally:
        client.read("rm /etc/systemd/system/docker.service.d/flags.conf")


def test_without_perl_the_engines_own_client_tells_the_same(twin, fleet, state, regfleet):
    hosts = [twin.hosts[name] for name in ("reg1", "client1", "odd")]
    for host in hosts:
        host.read("mv /usr/bin/perl /usr/bin/perl.away")
    try:
        done = regfleet("plan", fleet, "--detailed-exitcode", "--state-dir", state)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        for host in hosts:
            host.read("mv /usr/bin/perl.away /usr/bin/perl")


LEFT = "find /run/regfleet/work /var/lib/regfleet/work -mindepth 1 2>/dev/null || :"


def test_a_smoke_test_that_is_ended_leaves_nothing(twin, fleet, state, regfleet, seeds):
    client = twin.hosts["client1"]
    tests = smoke.subjects(load(fleet), "client1")
    program = smoke.render(tests, "busybox:latest", "run-ended", engine="docker", brought=True)
    client.copy_in(seeds.busybox, "/root/busybox.tar")
    signals = ("TERM", "HUP", "INT", "PIPE", "KILL")
    for signal, step in itertools.product(signals, ("pull", "push")):
        client.read(f"{LOCAL} load -q -i /root/busybox.tar")
        ended = f'docker_{step}() {{ ls "$private" >/dev/null && kill -{signal} $$; return 1; }}'
        text = program.replace("\nsmoke() {", f"\n{ended}\nsmoke() {{", 1)
        done = client.run("sh -s", stdin=text)
        assert done.returncode != 0
        assert "main/present passed" in done.stdout.replace("main present", "main/present")
        if signal != "KILL":
            assert client.read(LEFT) == "", signal
            assert client.read(f"{LOCAL} images -q") == "", signal
    assert client.read(LEFT) != ""
    assert regfleet("plan", fleet, "--state-dir", state).returncode == 0
    assert client.read(LEFT) == ""
    client.read(f"rm /root/busybox.tar; {LOCAL} images -q | xargs -r {LOCAL} rmi -f")


def test_what_was_done_is_undone_there_too(twin, fleet, state, regfleet):
    done = regfleet("destroy", fleet, "--yes", "--json", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert twin.hosts["reg1"].read("docker -H unix:///var/run/docker.sock ps -aq") == ""
    assert twin.hosts["odd"].read("docker -H unix:///run/elsewhere.sock ps -aq") == ""
    configuration = json.loads(twin.hosts["reg1"].read("cat /root/.docker/config.json"))
    assert configuration["currentContext"] == "remote"
