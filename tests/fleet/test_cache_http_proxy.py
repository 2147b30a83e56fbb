"""Pull-through caches that reach their upstream by an HTTP proxy alone, with each runtime (Compose
and a unit of the package's in the soak).

`outside.test` is a registry that only the host `px` can name, where the proxies are: a cache that
has an image of it has asked one of them.
"""

import json

import pytest

import stranger
import tinyproxy
from regfleet.rehearse.twin import HostSpec
from workers import SOAK

pytestmark = pytest.mark.long

USER, PASSWORD = "cache", "canary-7f31"
CANARY = "canary"
HEAD = """
[registry.outside]
external = true
endpoint = "outside.test:5443"
smoke = false
tls = {{ source = "files", ca = "{ca}" }}

[client.docker]
hosts = [$px]
registries = [{names}]

[smoke]
image_archive = "$busybox_tar"
"""
CACHE = """
[registry.{name}]
hosts = [${host}]
endpoint = "{host}.test:{port}"
runtime = "{runtime}"
{image}
storage = "/srv/{name}"
proxy = "https://outside.test:5443"
http_proxy = {{ {by} }}
"""
LOGIN = 'https = "http://PX:3129", user = "cache", password = { env = "PROXY" }'
PLAIN = 'https = "http://PX:3128"'
# A shell, as the official images of the registry have one.
DOCKERFILE = "FROM registry:2\nCOPY --from=busybox:latest /usr/bin/busybox /usr/bin/sh\n"
CACHES = {  # its host, its port, its runtime
    "container": ("px", 5001, "container"),
    "compose": ("px", 5002, "compose"),
    "podman": ("bare", 5003, "podman"),
    "package": ("bare", 5004, "package"),
    "script": ("script", 5005, "package"),
    "plain": ("bare", 5006, "podman"),
}
if not SOAK:
    del CACHES["compose"], CACHES["package"]


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("px", aliases=("px.test",)),
        HostSpec("bare", "trixie", "bare", aliases=("bare.test",)),
        HostSpec("script", variant="sysv", aliases=("script.test",)),
    )


@pytest.fixture(scope="module")
def ca(twin, seeds, tmp_path_factory):
    """The registry that only `px` can name, and two proxies there; gives the file of its CA."""
    host = twin.hosts["px"]
    tinyproxy.install(host)
    file = stranger.serve(host, seeds, tmp_path_factory.mktemp("out"), "outside.test", 5443)
    tinyproxy.serve(host, 3128)
    tinyproxy.serve(host, 3129, f"{USER} {PASSWORD}")
    return file


@pytest.fixture(scope="module")
def archive(twin, ca, tmp_path_factory):
    """The registry's image, with a shell."""
    del ca  # which brings registry:2 and busybox
    host, path = twin.hosts["px"], tmp_path_factory.mktemp("image") / "registry.tar"
    built = host.run(
        "docker build -q -t registry:2 - && docker save -o /root/r.tar registry:2",
        stdin=DOCKERFILE,
    )
    assert built.returncode == 0, built.stderr
    host.copy_out("/root/r.tar", path)
    host.read("docker tag registry:2 kept; docker rmi registry:2; rm /root/r.tar")
    return path


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def fleet(twin, ca, archive, write_fleet):
    """`fleet(names, image)`: the path of a fleet file with these caches."""

    def write(only, image):
        body = HEAD.format(ca=ca, names=", ".join(f'"{each}"' for each in only))
        for name in only:
            host, port, runtime = CACHES[name]
            given = "" if runtime == "package" else f"image_archive = {image or repr(str(archive))}"
            by = PLAIN if name == "plain" else LOGIN
            body += CACHE.format(
                name=name, host=host, port=port, runtime=runtime, image=given, by=by
            )
        return write_fleet(twin, body.replace("PX:", f"{twin.hosts['px'].address}:"))

    return write


@pytest.fixture
def run(fleet, state, regfleet):
    """`run("apply", "--yes", only=["podman"], password=..., image=...)`."""

    def command(name, *options, only=CACHES, password=PASSWORD, image=""):
        path = fleet(only, image)
        return regfleet(name, path, "--state-dir", state, *options, PROXY=password)

    return command


def pulled(twin, name, tag):
    """Pull an image that only the upstream has, by a cache."""
    host, port, _ = CACHES[name]
    image = f"{host}.test:{port}/tool:{tag}"
    return twin.hosts["px"].run(f"docker pull {image}; code=$?; docker rmi {image}; exit $code")


def test_a_cache_of_each_runtime_reaches_its_upstream_by_the_proxy(twin, run):
    px = twin.hosts["px"]
    stranger.push(px, "127.0.0.1:5443/tool:1")
    done = run("apply", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert CANARY not in done.stdout + done.stderr
    for name in CACHES:
        got = pulled(twin, name, 1)
        assert "Downloaded newer image" in got.stdout, (name, got.stdout, got.stderr)
    # Each has one connection at least, which it keeps.
    for port, caches in ((3128, 1), (3129, len(CACHES) - 1)):
        assert tinyproxy.asked(px, port).count("CONNECT outside.test:5443") >= caches
    again = run("apply", "--yes")
    assert "nothing to do on 3 hosts" in again.stdout, again.stdout + again.stderr


def test_the_password_is_for_root_alone(twin, run):
    for host in twin.hosts.values():
        names = [name for name, (where, _, _) in CACHES.items() if where == host.name]
        allowed = {f"/etc/regfleet/{name}/proxy.env" for name in names if name != "plain"}
        places = "/etc /var/lib/regfleet /run/systemd /var/lib/docker/containers"
        holders = set(host.read(f"grep -rlI {CANARY} {places} 2>/dev/null || :").split())
        holders -= {each for each in holders if each.startswith("/etc/tinyproxy")}
        assert allowed <= holders
        assert not {each for each in holders - allowed if "/generations/" not in each}
        for path in holders:
            assert host.read(f"stat -c %a {path}") == "600", path
        told = host.run(
            "for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$each; done;"
            "systemctl show docker-registry 'regfleet-*'; docker inspect $(docker ps -aq);"
            "podman inspect $(podman ps -aq)"
        ).stdout
        assert "registry" in told
        assert CANARY not in told, host.name
    for options in (("--diff",), ("--json", "--diff")):
        planned = run("plan", *options, password="canary-other")
        assert planned.returncode == 0, planned.stderr
        assert "/etc/regfleet/podman/proxy.env" in planned.stdout
        assert CANARY not in planned.stdout + planned.stderr


def test_another_password_means_a_restart_and_it_is_this_one_that_the_proxy_takes(twin, run):
    stranger.push(twin.hosts["px"], "127.0.0.1:5443/tool:2")
    some = ["container", "script"]
    done = run("apply", "--yes", "--no-smoke", password="canary-wrong", only=some)
    # The registry asks its upstream at its start: without it, it ends, and all is as before.
    assert done.returncode == 1, done.stdout
    hosts = json.loads(run("status", "--json", only=some).stdout)["hosts"]
    assert set(hosts) == {"px", "script"}
    assert CANARY not in done.stdout + done.stderr
    for name in some:
        got = pulled(twin, name, 2)
        assert "Downloaded newer image" in got.stdout, (name, got.stdout, got.stderr)


def test_the_doctor_tells_of_a_proxy_that_is_gone(twin, run):
    tinyproxy.stop(twin.hosts["px"], 3129)
    try:
        said = " ".join(run("doctor").stdout.split())
    finally:
        tinyproxy.start(twin.hosts["px"], 3129)
    address = twin.hosts["px"].address
    assert f"the HTTP proxy {address}:3129 cannot be reached there" in said, said
    assert "[registry.script.http_proxy]" in said
    assert f"{address}:3128" not in said
    assert CANARY not in said


def test_an_image_without_a_shell_is_refused_and_all_is_as_before(twin, run):
    done = run("apply", "--yes", "--no-smoke", only=["container"], image='"$registry_tar"')
    assert done.returncode == 1, done.stdout
    assert "/bin/sh" in done.stdout + done.stderr, done.stdout + done.stderr
    stranger.push(twin.hosts["px"], "127.0.0.1:5443/tool:3")
    got = pulled(twin, "container", 3)
    assert "Downloaded newer image" in got.stdout, got.stdout + got.stderr
