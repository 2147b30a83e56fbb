"""Docker under OpenRC, dockerd masked or disabled, and dockerd that listens on TCP alone."""

import json

import pytest

from regfleet.rehearse.twin import HostSpec

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "main.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
ci = { password = "generate" }

[client.build]
hosts = [$reg1, $c1]
registries = ["main"]
login = { main = "ci" }
install = true
MORE

[smoke]
image_archive = "$busybox_tar"
"""
DAEMON = "/etc/docker/daemon.json"
OF_MAIN = "/etc/regfleet/main/registry"
CONFD = "/etc/conf.d/docker"
# As Alpine has it: an openrc-run script under supervise-daemon, its options in /etc/conf.d/docker.
INIT = """\
#!/sbin/openrc-run
supervisor=supervise-daemon
command=/usr/sbin/dockerd
command_args="$DOCKER_OPTS"
output_log=/var/log/docker.log
error_log=/var/log/docker.log
depend() {
  use net
}
"""
OPTIONS = (
    '# any other options\nDOCKER_OPTS="--log-level=warn --insecure-registry theirs.test:5000"\n'
)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", variant="openrc", aliases=("main.test",)), HostSpec("c1", "trixie")
    )


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, write_fleet, state, regfleet):
    def run(command, *options, more=""):
        fleet = write_fleet(twin, BODY.replace("MORE", more))
        return regfleet(command, fleet, "--state-dir", state, *options)

    return run


def put(host, path, text, mode="0644"):
    host.run(f"mkdir -p $(dirname {path}) && cat >{path} && chmod {mode} {path}", stdin=text)


def words(done):
    return " ".join((done.stdout + done.stderr).split())


def insecure(host):
    shown = json.loads(host.read("docker info -f '{{json .RegistryConfig.IndexConfigs}}'"))
    return {name for name, each in shown.items() if not each["Secure"]}


class TestOpenRC:
    """In this order; the registry's host has Debian's package first, and its init script."""

    def test_docker_is_installed_started_and_enabled(self, twin, run, proven):
        host = twin.hosts["reg1"]
        done = run("apply", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "smoke reg1: " in words(done)
        assert host.read("ls /etc/runlevels/default | grep -x docker") == "docker"
        assert "nothing to do" in run("apply", "--yes").stdout
        version = host.read("openrc --version")
        proven("registry and client of Docker", version, host.spec.suite, "TLS, login")

    def test_a_stopped_one_is_started(self, twin, run):
        host = twin.hosts["reg1"]
        put(host, "/etc/init.d/docker", INIT, "0755")
        put(host, CONFD, 'DOCKER_OPTS=""\n')
        host.run("pkill -x dockerd; while pgrep -x dockerd; do sleep 0.2; done")
        assert host.run("rc-service docker status").returncode != 0
        done = run("apply", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert host.run("rc-service docker status").returncode == 0

    def test_its_flags_are_found_and_moved(self, twin, run):
        host = twin.hosts["reg1"]
        put(host, CONFD, OPTIONS)
        more = 'mirrors = ["https://mirror.test"]\ndaemon = { "log-level" = "info" }'
        refused = run("plan", more=more)
        assert refused.returncode == 1
        assert f"`--log-level=warn` (DOCKER_OPTS in {CONFD})" in words(refused)
        done = run("apply", "--yes", "--no-smoke", more=f"{more}\nmigrate_flags = true")
        assert done.returncode == 0, done.stdout + done.stderr
        text = OPTIONS.replace("--log-level=warn ", "")
        assert host.read(f"cat {CONFD}") == text.strip()
        assert insecure(host) >= {"theirs.test:5000"}
        assert "--insecure-registry" in host.read("tr '\\0' ' ' </proc/$(pidof dockerd)/cmdline")
        assert host.run("rc-service docker status").returncode == 0
        again = run("apply", "--yes", "--no-smoke", more=f"{more}\nmigrate_flags = true")
        assert "nothing to do" in again.stdout, again.stdout + again.stderr

    def test_one_that_is_killed_is_started_though_openrc_holds_it_for_started(self, twin, run):
        host = twin.hosts["reg1"]
        host.run(
            "pkill -9 supervise; pkill -9 -x dockerd; while pgrep -x dockerd; do sleep 0.2; done"
        )
        more = 'mirrors = ["https://mirror.test"]\ndaemon = { "log-level" = "info" }'
        done = run("apply", "--yes", "--no-smoke", more=more)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (
            host.run("rc-service docker status && docker ps | grep regfleet-main").returncode == 0
        )

    def test_one_that_does_not_start_with_the_machine_is_said(self, twin, run):
        host = twin.hosts["reg1"]
        host.read("rc-update delete docker default")
        done = run("plan", "--json", more='mirrors = ["https://mirror.test"]')
        (note,) = json.loads(done.stdout)["hosts"]["reg1"]["notes"]
        assert note.endswith("run there: rc-update add docker default")
        assert note in words(run("plan", more='mirrors = ["https://mirror.test"]'))
        host.read("rc-update add docker default")


class TestSystemd:
    def test_one_that_is_masked_is_refused_before_anything_changes(self, twin, run):
        assert run("apply", "--yes", "--no-smoke").returncode == 0
        host = twin.hosts["c1"]
        host.read("systemctl mask docker.service")
        more = 'daemon = { "data-root" = "/srv/docker" }'
        done = run(
            "apply",
            "--yes",
            more=more,
        )
        assert done.returncode == 1
        assert "docker.service is masked" in words(done)
        assert "systemctl unmask docker.service" in words(done)
        assert host.run(f"grep data-root {DAEMON}").returncode != 0
        host.read("systemctl stop docker.service docker.socket")
        assert "docker.service is masked" in words(run("plan"))
        found = run("doctor")
        assert "the engine on c1 is masked" in words(found)
        host.read("systemctl unmask docker.service; systemctl start docker.socket docker.service")

    def test_one_that_is_disabled_is_said(self, twin, run):
        host = twin.hosts["c1"]
        host.read("systemctl disable docker.service docker.socket")
        assert "run there: systemctl enable docker.service" in words(run("plan"))
        assert "the engine on c1 does not start when the machine boots" in words(run("doctor"))
        host.read("systemctl enable docker.service docker.socket")
        assert "run there" not in words(run("plan"))


class TestTcp:
    def test_dockerd_on_tcp_alone_is_asked_there(self, twin, run, proven):
        host = twin.hosts["c1"]
        self.listen(host, "-H tcp://127.0.0.1:2375 --tls=false")
        assert host.run("timeout 3 docker version").returncode != 0
        more = 'mirrors = ["https://mirror.test"]'
        done = run("apply", "--yes", more=more)
        assert done.returncode == 0, done.stdout + done.stderr
        shown = host.read("docker -H tcp://127.0.0.1:2375 info -f '{{.RegistryConfig.Mirrors}}'")
        assert shown == "[https://mirror.test/]"
        assert "nothing to do" in run("apply", "--yes", more=more).stdout
        restart = f"{more}\ndaemon = {{ debug = true, mtu = 1400 }}"
        done = run("apply", "--yes", "--no-smoke", more=restart)
        assert done.returncode == 0, done.stdout + done.stderr
        proven("client, dockerd on TCP alone", "", host.spec.suite, "TLS, login, mirror")

    def test_tcp_with_tls_is_refused_with_the_reason(self, twin, run):
        host = twin.hosts["c1"]
        for name in ("crt", "key"):  # any will do
            put(host, f"/root/tls.{name}", twin.hosts["reg1"].read(f"cat {OF_MAIN}.{name}"))
        tls = "--tlsverify --tlscacert=/root/tls.crt --tlscert=/root/tls.crt --tlskey=/root/tls.key"
        self.listen(host, f"-H tcp://127.0.0.1:2376 {tls}")
        done = run("plan")
        assert done.returncode == 1
        assert "and on tcp://127.0.0.1:2376 with TLS alone" in words(done)
        assert "start it with -H unix:///var/run/docker.sock, too" in words(done)
        host.read("rm -r /etc/systemd/system/docker.service.d; systemctl daemon-reload")
        host.read("systemctl restart docker")
        gone = run("destroy", "--yes")
        assert gone.returncode == 0, gone.stdout + gone.stderr

    @staticmethod
    def listen(host, how):
        put(
            host,
            "/etc/systemd/system/docker.service.d/listen.conf",
            f"[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd {how}\n",
        )
        host.read("systemctl daemon-reload; systemctl stop docker.socket; systemctl restart docker")
