"""The hosts themselves: what every other test here stands on."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from regfleet.errors import RegfleetError
from regfleet.rehearse.twin import TWIN_LABEL, HostSpec

HOSTS = (
    HostSpec("reg1", aliases=("registry.test",)),
    HostSpec("bare1", variant="bare"),
    HostSpec("sysv1", variant="sysv"),
    HostSpec("light1", variant="light"),
)
NAMES = [spec.name for spec in HOSTS]


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(*HOSTS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("user", "command"), [("root", "id -u"), ("ops", "sudo -n id -u"), ("vagrant", "sudo -n id -u")]
)
def test_logs_in_with_strict_host_keys(twin, ssh, name, user, command):
    done = ssh(twin, user, name, command)
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr


def test_each_host_has_its_own_key(twin):
    assert len({host.host_key for host in twin.hosts.values()}) == len(HOSTS)


def test_another_hosts_key_is_refused(twin, ssh, tmp_path):
    impostor = f"{twin.hosts['reg1'].address} {twin.hosts['bare1'].host_key}\n"
    (tmp_path / "known_hosts").write_text(impostor)
    done = ssh(twin, "root", "reg1", "true", "-o", f"UserKnownHostsFile={tmp_path / 'known_hosts'}")
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_hosts_resolve_each_other_by_every_name(twin, name):
    for wanted, host in (("registry.test", "reg1"), *zip(NAMES, NAMES, strict=True)):
        address = twin.hosts[name].read(f"getent ahostsv4 {wanted}").split()[0]
        # A host finds its own name in /etc/hosts, with the same address.
        assert address == twin.hosts[host].address


@pytest.mark.parametrize(
    ("name", "has"), [("reg1", True), ("sysv1", True), ("bare1", False), ("light1", False)]
)
def test_engines_answer_where_there_is_one(twin, name, has):
    done = twin.hosts[name].run("docker version --format '{{.Server.Version}}'")
    assert (done.returncode == 0) is has, done.stderr


@pytest.mark.parametrize("name", ["reg1", "bare1"])
def test_systemd_is_well(twin, name):
    assert twin.hosts[name].read("systemctl is-system-running") == "running"


def test_without_systemd_service_scripts_run_the_engine(twin):
    host = twin.hosts["sysv1"]
    assert host.run("test -e /run/systemd/system").returncode == 1
    before = host.read("cat /var/run/docker.pid")
    host.read(
        "service docker restart && for i in $(seq 60); do docker info && break; sleep 1; done"
    )
    assert host.read("cat /var/run/docker.pid") != before


def test_packages_can_be_installed_on_a_host(twin):
    host = twin.hosts["bare1"]
    done = host.run("apt-get -qq update && apt-get -qq install --simulate docker.io")
    if "Temporary failure" in done.stderr or "Could not" in done.stderr:
        pytest.skip(f"no package source can be reached: {done.stderr.strip().splitlines()[-1]}")
    assert "Inst docker.io" in done.stdout


@pytest.mark.parametrize("name", ["light1", "reg1"])
def test_sshd_counts_commands(twin, ssh, counted, name):
    with counted(twin) as counts:
        for user in ("root", "ops", "ops"):
            ssh(twin, user, name, "true")
    assert counts == {**dict.fromkeys(NAMES, 0), name: 3}


class TestScripts:
    """What `run` promises, whichever shell a script gets into."""

    def test_everything_comes_through(self, twin):
        host = twin.hosts["light1"]
        content = "ä\n\n'$x'\\" * 100_000
        for script, expected in (
            ("cat; echo oops >&2; exit 3", (3, content, "oops\n")),
            ("wc -c | tr -d '\n'", (0, str(len(content.encode())), "")),
            (":", (0, "", "")),  # what it has not read is not taken for something else
            ("pwd; umask; echo $0 $HOME", (0, "/\n0022\nsh /root\n", "")),
            ("kill -9 $$", (137, "", "")),
        ):
            done = host.run(script, stdin=content)
            assert (done.returncode, done.stdout, done.stderr) == expected

    def test_nothing_is_left_of_a_script_but_what_it_leaves(self, twin):
        host = twin.hosts["light1"]
        host.read("x=1; cd /tmp; sleep 60 & echo $! >/run/left")
        assert host.read("pwd; echo $x").split() == ["/"]
        assert host.read("kill $(cat /run/left) && echo there") == "there"

    def test_two_at_the_same_time(self, twin):
        host = twin.hosts["light1"]
        host.read("rm -f /run/met; mkfifo /run/met")
        with ThreadPoolExecutor() as pool:
            heard = pool.submit(host.read, "cat /run/met")
            pool.submit(host.read, "echo hello >/run/met")
            assert heard.result(30) == "hello"

    def test_one_that_never_ends_is_given_up(self, twin):
        host = twin.hosts["light1"]
        with pytest.raises(RegfleetError, match="gave no answer within"):
            host.run("sleep 60", timeout=0.5)
        assert host.read("echo well") == "well"

    def test_a_host_that_is_restarted_is_entered_anew(self, boot):
        host = boot("again1", variant="light").hosts["again1"]
        assert host.read("echo well") == "well"
        with ThreadPoolExecutor() as pool:
            cut = pool.submit(host.run, "sleep 60")
            while "sleep" not in host.read("cat /proc/[0-9]*/comm"):
                pass
            host.docker.run("restart", "--time", "1", host.container)
            assert cut.result(30).returncode == 137
        assert host.read("echo well") == "well"
        host.docker.run("stop", "--time", "1", host.container)
        done = host.run("echo well")
        assert done.returncode != 0
        assert "is not running" in done.stderr


def test_seed_images_serve(twin, seeds):
    host = twin.hosts["reg1"]
    for archive in (seeds.registry, seeds.busybox):
        host.copy_in(archive, "/root/image.tar")
        host.read("docker load --input /root/image.tar")
    labels = host.read("docker image inspect --format '{{json .Config.Labels}}' registry:2")
    assert "regfleet.package.docker-registry" in labels
    host.read(
        "docker run -d --name registry -p 5000:5000 registry:2 /etc/docker/registry/config.yml"
    )
    host.read("docker tag busybox localhost:5000/some/busybox")
    push = "docker push --quiet localhost:5000/some/busybox"
    host.read(f"for i in $(seq 60); do {push} && exit; sleep 0.5; done; exit 1")
    host.read("docker rmi busybox localhost:5000/some/busybox")
    said = "docker run --rm localhost:5000/some/busybox sh -c 'echo $((6 * 7)) | cat'"
    assert host.read(said) == "42"
    host.read("docker rm -fv registry")


@pytest.mark.parametrize("suite", ["trixie"])
def test_newer_suites_boot(boot, ssh, suite):
    twin = boot("new1", suite=suite)
    assert suite in twin.hosts["new1"].read("cat /etc/os-release")
    done = ssh(twin, "ops", "new1", "sudo -n docker version --format '{{.Server.Version}}'")
    assert int(done.stdout.split(".")[0]) > 20, done.stderr


def test_a_stopped_twin_leaves_nothing(boot, engine):
    twin = boot("gone1", variant="light")
    label = f"label={TWIN_LABEL}={twin.name}"
    mounted = engine.docker.run(
        "inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", twin.hosts["gone1"].container
    ).split()
    assert len(mounted) == 3
    twin.stop()
    assert engine.docker.listing("ps", "--all", "--quiet", "--filter", label) == []
    assert engine.docker.listing("network", "ls", "--quiet", "--filter", label) == []
    assert not set(mounted) & set(engine.docker.listing("volume", "ls", "--quiet"))


def test_shellcheck_is_content_with_the_recipes():
    program = shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        [program, "vagrant/host-image.sh", "vagrant/packages.sh"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout.decode()
