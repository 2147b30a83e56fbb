"""What goes wrong at night: a clear message with the host's name, exit 1, nothing half-written.

In each test one host has bad luck and the other one is finished.
"""

import json
import subprocess

import pytest

from answering import listens

BODY = """
[client.all]
hosts = [$unlucky, $lucky]
mirrors = ["https://mirror.example.com"]
registries = ["elsewhere"]

[registry.elsewhere]
external = true
endpoint = "elsewhere.example:5000"
tls = { source = "none" }
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("unlucky", "lucky")


@pytest.fixture(autouse=True)
def _clean(twin):
    yield
    for host in twin.hosts.values():
        host.run(
            "umount /etc/docker /var/lib/regfleet 2>/dev/null; chattr -i /etc/docker/daemon.json;"
            "rm -rf /etc/docker/daemon.json /etc/docker/certs.d /var/lib/regfleet /etc/regfleet;"
            "docker ps -aq | xargs -r docker rm -f; docker images -q | xargs -r docker rmi -f;"
            "sed -i /DOCKER_OPTS/d /etc/default/docker; rm -f /etc/sudoers.d/zz-test;"
            "systemctl reset-failed docker; systemctl restart docker"
        )


@pytest.fixture
def apply(twin, write_fleet, regfleet):
    """Applies; gives the unlucky host's entry, the lucky one's and the whole output."""

    def run(body=BODY, *options, edit=lambda text: text, user="root", command="apply"):
        path = write_fleet(twin, body, user=user)
        path.write_text(edit(path.read_text()))
        yes = () if command == "plan" else ("--yes",)
        done = regfleet(command, path, "--json", *yes, *options)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        hosts = json.loads(done.stdout)["hosts"]
        assert "unlucky" in done.stderr
        return hosts["unlucky"], hosts["lucky"], done.stderr

    return run


def _tree(host):
    return host.read(
        "find /etc/docker /etc/regfleet /var/lib/regfleet /root/.docker -not -name key.json "
        "-type f 2>/dev/null | sort | xargs -r sha256sum"
    )


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        pytest.param(
            lambda text, twin: text.replace(
                f'name = "unlucky", address = "{twin.hosts["unlucky"].address}"',
                'name = "unlucky", address = "127.0.0.1", ssh = { port = 1 }',
            ),
            ("no SSH connection to root@127.0.0.1, port 1", "hint"),
            id="dead",
        ),
        pytest.param(
            lambda text, twin: text.replace(twin.hosts["unlucky"].address, "no-such-host.invalid"),
            ("Could not resolve hostname", "`address`"),
            id="no-such-name",
        ),
        pytest.param(
            lambda text, twin: text.replace(
                f'address = "{twin.hosts["unlucky"].address}"',
                f'address = "{twin.hosts["unlucky"].address}", ssh = {{ key = "wrong-key" }}',
            ),
            ("Authentication", "authorized_keys"),
            id="wrong-key",
        ),
        pytest.param(
            lambda text, twin: text.replace(
                f'address = "{twin.hosts["unlucky"].address}"',
                f'address = "{twin.hosts["unlucky"].address}", ssh = {{ known_hosts = "none" }}',
            ),
            ("No host key", "accept-new"),
            id="unknown-host-key",
        ),
    ],
)
def test_a_host_that_cannot_be_reached(twin, apply, tmp_path, edit, words):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "wrong-key"], check=True
    )
    (tmp_path / "none").write_text("")
    unlucky, lucky, said = apply(edit=lambda text: edit(text, twin))
    assert unlucky["status"] == "unreachable"
    assert all(word in said for word in words), said
    assert lucky["status"] == "changed"


def test_a_host_whose_key_changed(twin, apply, tmp_path):
    address, key = twin.hosts["unlucky"].address, twin.hosts["lucky"].host_key
    (tmp_path / "other").write_text(f"{address} {key}\n")
    edit = f'address = "{address}", ssh = {{ known_hosts = "other" }}'
    unlucky, lucky, said = apply(edit=lambda t: t.replace(f'address = "{address}"', edit))
    assert unlucky["status"] == "unreachable"
    assert "ssh-keygen -R" in said
    assert lucky["status"] == "changed"


def test_a_sudo_that_asks_for_a_password(twin, apply):
    twin.hosts["unlucky"].read("echo 'ops ALL=(ALL) PASSWD: ALL' >/etc/sudoers.d/zz-test")
    unlucky, lucky, said = apply(user="ops")
    assert unlucky["status"] == "failed"
    assert "sudo asks for a password" in said
    assert "NOPASSWD" in said
    assert lucky["status"] == "changed"


def test_a_user_who_is_not_root(apply):
    _, _, said = apply(
        user="ops", command="plan", edit=lambda text: text.replace("sudo = true", "sudo = false")
    )
    assert "not as root" in said
    assert "sudo = true" in said


@pytest.mark.parametrize("directory", ["/etc/docker", "/var/lib/regfleet"])
def test_a_full_disk(twin, apply, directory):
    host = twin.hosts["unlucky"]
    host.read(
        f"mkdir -p {directory}; mount -t tmpfs -o size=16k tmpfs {directory};"
        f"dd if=/dev/zero of={directory}/fill bs=1k count=99 2>/dev/null || :"
    )
    unlucky, lucky, said = apply()
    assert unlucky["status"] in ("failed", "rolled-back")
    assert "df -h" in said or "make room" in said
    assert lucky["status"] == "changed"
    left = host.read(f"find {directory} -type f -not -name fill -not -name lock")
    assert left == ""
    assert "mirror.example.com" not in host.read("docker info")


def test_a_read_only_directory(twin, apply):
    host = twin.hosts["unlucky"]
    host.read("mount -t tmpfs -o ro tmpfs /etc/docker")
    unlucky, lucky, said = apply()
    assert unlucky["status"] in ("failed", "rolled-back")
    assert "Read-only file system" in said
    assert lucky["status"] == "changed"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"debug": true,}', "line 1, column 15: a comma too many"),
        ('{\n  "debug": true\n  "x": 1\n}', "line 2, column 16: a comma is missing"),
        ("# hello\n{}", "line 1, column 1"),
        ("[]", "where an object belongs"),
        ('{"registry-mirrors": "https://a.example"}', "not a list of strings"),
    ],
)
def test_a_daemon_json_that_is_not_json(twin, apply, content, words):
    host = twin.hosts["unlucky"]
    host.run("cat >/etc/docker/daemon.json", stdin=content)
    before = _tree(host)
    unlucky, lucky, said = apply()
    assert unlucky["status"] == "failed"
    assert "/etc/docker/daemon.json" in said
    assert words in said
    assert _tree(host) == before
    assert lucky["status"] == "changed"


def test_a_flag_that_conflicts_with_daemon_json(twin, apply):
    host = twin.hosts["unlucky"]
    host.read(
        "echo 'DOCKER_OPTS=\"--registry-mirror=https://other.example\"' >>/etc/default/docker;"
        "systemctl restart docker"
    )
    unlucky, lucky, said = apply()
    assert unlucky["status"] == "failed"
    assert "--registry-mirror=https://other.example" in said
    assert "/etc/default/docker" in said
    assert lucky["status"] == "changed"
    assert host.read("systemctl is-active docker") == "active"


def test_an_engine_that_refuses_the_new_configuration(twin, apply):
    host = twin.hosts["unlucky"]
    before = _tree(host)
    # /proc cannot be written by anybody: the engine fails to start with its data there.
    only = BODY.replace("$unlucky, $lucky", "$lucky") + (
        '[client.odd]\nhosts = [$unlucky]\ndaemon = { "data-root" = "/proc/nowhere" }\n'
    )
    unlucky, lucky, said = apply(only)
    assert unlucky["status"] == "rolled-back"
    assert "the engine said" in said
    assert _tree(host) == before
    assert host.read("docker info -f '{{.DockerRootDir}}'") == "/var/lib/docker"
    assert lucky["status"] == "changed"


REGISTRY = (
    BODY
    + """
[registry.main]
hosts = [$unlucky]
endpoint = "unlucky:5000"
"""
)


def with_registry(image):
    return REGISTRY + image + "\n"


def test_a_port_that_is_taken(twin, apply):
    host = twin.hosts["unlucky"]
    host.read(
        "perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => 5000, Listen => 1);"
        f" sleep 600' >/dev/null 2>&1 & echo $! >/run/taker; {listens(5000)}"
    )
    try:
        unlucky, lucky, said = apply(with_registry('image_archive = "$registry_tar"'))
    finally:
        host.run("kill $(cat /run/taker)")
    assert unlucky["status"] == "failed"
    assert "port 5000, which the registry main is to have, is taken" in said
    assert "(perl) listens there" in said
    assert _tree(host) == ""
    assert host.read("docker ps -aq") == ""
    assert lucky["status"] == "changed"


def test_an_image_that_cannot_be_had(twin, apply):
    unlucky, lucky, said = apply(with_registry('image = "unlucky:1/no/such:image"'))
    assert unlucky["status"] == "rolled-back"
    assert "unlucky:1/no/such:image cannot be pulled" in said
    assert "image_archive" in said
    assert _tree(twin.hosts["unlucky"]) == ""
    assert lucky["status"] == "changed"


def test_an_archive_that_is_none(twin, apply, tmp_path):
    (tmp_path / "junk.tar").write_bytes(b"this is no archive" * 100)
    unlucky, lucky, said = apply(with_registry('image_archive = "junk.tar"'))
    assert unlucky["status"] == "failed"
    assert "junk.tar" in said
    assert _tree(twin.hosts["unlucky"]) == ""
    assert lucky["status"] == "changed"


def test_an_image_that_is_no_registry(twin, apply):
    unlucky, lucky, said = apply(
        with_registry('image = "busybox:latest"\nimage_archive = "$busybox_tar"')
    )
    assert unlucky["status"] == "rolled-back"
    assert "regfleet-main" in said
    assert _tree(twin.hosts["unlucky"]) == ""
    assert lucky["status"] == "changed"


def test_a_container_of_that_name_which_is_not_ours(twin, apply, seeds):
    host = twin.hosts["unlucky"]
    host.copy_in(seeds.busybox, "/root/busybox.tar")
    host.read(
        "docker load -q -i /root/busybox.tar; docker run -d --name regfleet-main busybox sleep 9"
    )
    unlucky, lucky, said = apply(with_registry('image_archive = "$registry_tar"'))
    assert unlucky["status"] == "failed"
    assert "belongs to somebody else" in said
    assert host.read("docker ps -q -f name=regfleet-main") != ""
    assert lucky["status"] == "changed"
