"""Whatever the engine or the registry refuses: the old files to the byte, the engine up, and told.

Docker 20.10, which finds out by failing, and 26.1, which can be asked first.
"""

import json

import pytest
from driver import live, traces

from answering import listens
from regfleet.rehearse.twin import HostSpec

DAEMON = '"max-concurrent-uploads" = 4'
BODY = """
[registry.old]
hosts = [$bookworm1]
endpoint = "bookworm1:%(port)s"
image_archive = "$registry_tar"
tls = { names = [%(names)s] }

[registry.new]
hosts = [$trixie1]
endpoint = "trixie1:%(port)s"
image_archive = "$registry_tar"
tls = { names = [%(names)s] }

[client.all]
hosts = [$bookworm1, $trixie1]
mirrors = [%(mirrors)s]
daemon = { %(daemon)s }
"""
FOREIGN = '{"debug": true,   "registry-mirrors": ["https://theirs.example"]}'


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(HostSpec("bookworm1"), HostSpec("trixie1", suite="trixie"))
    for host in twin.hosts.values():
        host.run("cat >/etc/docker/daemon.json", stdin=FOREIGN)
        host.read("systemctl restart docker")
    return twin


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def apply(twin, write_fleet, regfleet, state):
    """Applies the fleet with some of it replaced; exit code, hosts, what was said."""

    def run(hook="", port=5000, names="", mirrors="", daemon=DAEMON):
        values = {"port": port, "names": names, "mirrors": mirrors, "daemon": daemon}
        path = write_fleet(twin, BODY % values)
        done = regfleet(
            *("apply", path, "--yes", "--json", "--no-smoke", "--state-dir", state),
            REGFLEET_TOUCH_HOOK=hook,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout)["hosts"], done.stderr

    return run


@pytest.fixture
def begun(twin, apply):
    """The fleet as it was before the change that is refused."""
    code, _, said = apply()
    assert code == 0, said
    return {name: (traces(host), live(host), _engine(host)) for name, host in twin.hosts.items()}


def _engine(host):
    return host.read("docker info -f '{{.Driver}} {{.DockerRootDir}} {{.LoggingDriver}}'")


def _registry(host):
    return host.read(
        "printf 'GET /v2/ HTTP/1.0\\r\\n\\r\\n' |"
        "openssl s_client -quiet -connect 127.0.0.1:5000 2>/dev/null | head -n 1"
    )


FAULT = "engine or registry refuses (Docker 20.10 and 26.1)"
FLAG = """
if [ "$1" -eq 1 ]; then
  echo 'DOCKER_OPTS="--registry-mirror=https://flag.example"' >>/etc/default/docker
  systemctl reset-failed docker; mv /etc/docker/daemon.json /root/aside; systemctl restart docker
  mv /root/aside /etc/docker/daemon.json
fi
"""
UNFLAG = (
    "sed -i /DOCKER_OPTS/d /etc/default/docker;"
    "systemctl reset-failed docker; systemctl restart docker"
)
CORRUPT = """
if [ "$2" = run ]; then
  for file in /etc/regfleet/*/registry.crt; do echo junk >"$file"; done
fi
"""
TAKER = (
    "perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => 5009, Listen => 1);"
    f" sleep 600' >/dev/null 2>&1 & echo $! >/run/taker; {listens(5009)}"
)

CASES = {
    "unknown-storage-driver": (
        {"daemon": f'{DAEMON}, "storage-driver" = "paper-tape"'},
        ("driver not supported",),
    ),
    "log-opts-of-a-wrong-type": (
        {"daemon": f'{DAEMON}, "log-opts" = "max-size=10m"'},
        ("cannot unmarshal",),
    ),
    "downloads-that-are-no-number": (
        {"daemon": f'{DAEMON}, "max-concurrent-downloads" = "x"'},
        ("cannot unmarshal",),
    ),
    "data-root-that-cannot-be": (
        {"daemon": f'{DAEMON}, "data-root" = "/proc/nowhere"'},
        ("/proc/nowhere",),
    ),
    "key-that-dockerd-does-not-know": (
        {"daemon": f'{DAEMON}, "no-such-key" = 1'},
        ("no-such-key",),
    ),
    # Taken up by a restart, and only then found wanting: it has to be restarted once more.
    "later-failure-after-a-restart": (
        {"daemon": f'{DAEMON}, "log-driver" = "local"', "hook": '[ "$2" = settle ] && fail told'},
        ("told",),
    ),
    "corrupt-certificate": (
        {"names": '"more.example"', "hook": CORRUPT},
        ("does not answer /v2/", "PEM"),
    ),
}
# What dockerd refuses at its start, as it does others of these.
REPEATED = ("log-opts-of-a-wrong-type", "downloads-that-are-no-number", "data-root-that-cannot-be")


@pytest.mark.parametrize(
    "case",
    [pytest.param(each, marks=[pytest.mark.soak] if each in REPEATED else []) for each in CASES],
)
def test_what_is_refused_leaves_the_host_as_it_was(twin, apply, begun, tally, case):
    changes, words = CASES[case]
    code, hosts, said = apply(**changes)
    assert code == 1, said
    survived = 0
    for name, host in twin.hosts.items():
        assert hosts[name]["status"] in ("rolled-back", "failed"), said
        for word in words:
            assert word in hosts[name]["error"]
        assert (traces(host), live(host), _engine(host)) == begun[name]
        assert host.read("systemctl is-active docker") == "active"
        assert "200" in _registry(host)
        survived += 1
    tally(FAULT, len(hosts), survived)


def test_a_port_that_is_taken_leaves_the_registry_where_it_was(twin, apply, begun, tally):
    for host in twin.hosts.values():
        host.read(TAKER)
    try:
        code, hosts, said = apply(port=5009)
    finally:
        for host in twin.hosts.values():
            host.run("kill $(cat /run/taker)")
    assert code == 1
    for name, host in twin.hosts.items():
        assert hosts[name]["status"] == "failed", said
        assert "port 5009" in hosts[name]["error"]
        assert "(perl) listens there" in hosts[name]["error"]
        assert (traces(host), live(host), _engine(host)) == begun[name]
        assert "200" in _registry(host)
    tally(FAULT, len(hosts), len(hosts))


def test_a_flag_that_comes_between_the_look_and_the_touch(twin, apply, begun, tally):
    try:
        code, hosts, said = apply(mirrors='"https://mirror.example.com"', hook=FLAG)
        assert code == 1
        for name, host in twin.hosts.items():
            assert hosts[name]["status"] in ("rolled-back", "failed"), said
            assert "registry-mirror" in hosts[name]["error"], hosts[name]["error"]
            assert traces(host) == begun[name][0]
            assert host.run("docker version").returncode == 0
    finally:
        for host in twin.hosts.values():
            host.run(UNFLAG)
    tally(FAULT, len(hosts), len(hosts))
