"""Client by client behind a gateway: Docker 26.1 and 28.5 (both stores), Podman, Skopeo, ctr, CRI.

Docker 20.10 is in test_gateway.py. Each logs in rightly and wrongly, pushes, pulls, is refused with
the reason in its own words, and pulls a public project without a login. In the soak all do so
once more at a gateway alone before a registry (`gateway.before`), which decides itself; Docker 28.5
with its older store, and ctr 1.7, do so in the soak alone.
"""

import json

import pytest

from regfleet.errors import RegfleetError
from regfleet.rehearse.twin import HostSpec
from workers import SOAK

pytestmark = pytest.mark.long

ENDPOINT = "registry.test:5000"
BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
admins = ["root"]

[registry.main.users]
root = { password = "generate" }
alice = { password = "generate" }
bob = { password = "generate" }
ci = { password = "generate" }

[registry.main.gateway]
image_archive = "$nginx_tar"

[registry.main.projects.team-a]
members = { alice = "developer", bob = "guest" }

[registry.main.projects.open]
public = true
members = { alice = "developer" }

[registry.main.projects.regfleet-smoke]
members = { ci = "admin" }

[client.docker]
hosts = [DOCKERS]
registries = ["main"]
login = { main = "ci" }

[client.podman]
hosts = [$pod]
engine = "podman"
registries = ["main"]
login = { main = "ci" }

[client.containerd]
hosts = [CONTAINERDS]
engine = "containerd"
registries = ["main"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
STORE = """
[client.store]
hosts = [$store]
registries = ["main"]
login = { main = "ci" }
daemon = { features = { "containerd-snapshotter" = true } }
"""
OWN = """
[registry.main]
hosts = [$reg1]
"""
ALONE = """
[registry.old]
hosts = [$reg1]
endpoint = "registry.test:5001"
image_archive = "$registry_tar"
tls.source = "none"

[registry.main]
"""
BEFORE = """
[registry.main.gateway]
hosts = [$reg1]
before = ["old"]
"""
WAYS = ("behind", *(("alone",) if SOAK else ()))
CONTAINERDS = ("ctr16", "ctr17", "ctr21")  # by the version that their Debian has
DENIED = "bob may only pull in team-a/app"


@pytest.fixture(scope="module")
def sid(images):
    """Why there are no sid hosts; empty where there are."""
    try:
        images.host("sid", "docker")
    except RegfleetError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def twin(boot_for_module, seeds, sid):
    specs = [HostSpec("reg1", aliases=("registry.test",)), HostSpec("middle", "trixie")]
    specs += [HostSpec("pod", "trixie", "bare"), HostSpec("ctr16", variant="bare")]
    if SOAK:
        specs += [HostSpec("ctr17", "trixie", "bare")]
    if not sid:
        specs += [HostSpec("store", "sid"), HostSpec("ctr21", "sid", "bare")]
    if SOAK and not sid:
        specs += [HostSpec("new", "sid")]
    twin = boot_for_module(*specs)
    for name in twin.hosts:
        twin.hosts[name].copy_in(seeds.busybox, "/root/busybox.tar")
    return twin


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module", params=WAYS, autouse=True)
def way(request, twin):
    """How the gateway stands to the registry; the registry's host is a new one for each."""
    yield request.param
    twin.hosts["reg1"].read(
        "docker rm -f $(docker ps -aq); rm -rf /etc/regfleet /var/lib/regfleet /var/lib/registry"
    )


@pytest.fixture
def applied(twin, way, write_fleet, state, regfleet):
    body = BODY
    if way == "alone":
        assert OWN in body
        body = body.replace(OWN, ALONE).replace("\n[registry.main.gateway]\n", BEFORE)
    for group, names in {"DOCKERS": ("middle", "new"), "CONTAINERDS": CONTAINERDS}.items():
        body = body.replace(group, ", ".join(f"${name}" for name in names if name in twin.hosts))
    fleet = write_fleet(twin, body + (STORE if "store" in twin.hosts else ""))
    done = regfleet("apply", fleet, "--yes", "--json", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module", autouse=True)
def _said(sid):
    yield
    if sid:
        pytest.skip(f"sid was left out: {sid}")


@pytest.fixture
def word(state):
    return lambda user: (state / "passwords" / "main" / user).read_text().strip()


def says(host, script, expect=0, stdin=""):
    done = host.run(f"{script} 2>&1", stdin=stdin)
    assert done.returncode == expect, f"{script}: {done.stdout}"
    return done.stdout


def test_each_client_is_smoke_tested(twin, applied, proven):
    del twin
    for name, host in applied["hosts"].items():
        if name != "reg1":
            assert set(host["smoke"].values()) == {"passed"}, (name, host["smoke"])
    proven("gateway", "all clients", "", "smoke test with a login of the fleet's")


@pytest.mark.parametrize("name", ["middle", pytest.param("new", marks=pytest.mark.soak), "store"])
def test_docker(twin, applied, word, name, proven):
    del applied
    if name not in twin.hosts:
        pytest.skip("no sid host")
    host = twin.hosts[name]
    host.read("docker load -q -i /root/busybox.tar")
    app, public = f"{ENDPOINT}/team-a/app:{name}", f"{ENDPOINT}/open/app:{name}"
    host.read(f"docker tag busybox {app}; docker tag busybox {public}")
    login = f"docker --config /root/{{0}} login -u {{0}} --password-stdin {ENDPOINT}"
    for user in ("alice", "bob"):
        assert "Login Succeeded" in says(host, login.format(user), stdin=word(user))
    wrong = login.replace("/root/{0}", "/root/wrong").format("bob")
    assert "incorrect username or password" in says(host, wrong, 1, "no")
    for image in (app, public):
        says(host, f"docker --config /root/alice push {image}")
    # Another tag: clients with containerd send nothing where the same image is there already.
    host.read(f"docker tag busybox {app}-evil")
    assert DENIED in says(host, f"docker --config /root/bob push {app}-evil", 1)
    host.read(f"docker rmi {app} {public}")
    says(host, f"docker --config /root/bob pull {app}")
    says(host, f"docker --config /root/nobody pull {public}")
    host.read(f"docker rmi {app}")
    says(host, f"docker --config /root/nobody pull {app}", 1)
    host.run("mkdir -p /root/build; cat >/root/build/Dockerfile", stdin=f"FROM {public}\nENV a=b\n")
    says(host, f"docker --config /root/alice build -t {ENDPOINT}/team-a/built:1 /root/build")
    says(host, f"docker --config /root/alice push {ENDPOINT}/team-a/built:1")
    version = host.read("docker version -f '{{.Server.Version}}'")
    proven("gateway", f"docker {version}", host.spec.suite, "login, push, pull, denied, build")


def test_podman_and_skopeo(twin, applied, word, proven):
    del applied
    host = twin.hosts["pod"]
    app, public = f"{ENDPOINT}/team-a/app:pod", f"{ENDPOINT}/open/app:pod"
    host.read("podman load -q -i /root/busybox.tar")
    found = host.read("podman images -q | head -n 1")
    for image in (app, public):
        host.read(f"podman tag {found} {image}")
    login = f"podman login --authfile /root/{{0}}.json -u {{0}} --password-stdin {ENDPOINT}"
    for user in ("alice", "bob"):
        assert "Login Succeeded" in says(host, login.format(user), stdin=word(user))
    wrong = login.replace("/root/{0}", "/root/wrong").format("bob")
    assert "invalid username/password" in says(host, wrong, 125, "no")
    for image in (app, public):
        says(host, f"podman push --authfile /root/alice.json {image}")
    assert DENIED in says(host, f"podman push --authfile /root/bob.json {app}", 125)
    host.read(f"podman rmi -f {app} {public}")
    says(host, f"podman pull -q --authfile /root/bob.json {app}")
    host.read("echo '{}' >/root/nobody.json")
    says(host, f"podman pull -q --authfile /root/nobody.json {public}")
    host.read(f"podman rmi -f {app}")
    assert "denied" in says(host, f"podman pull -q --authfile /root/nobody.json {app}", 125)
    proven("gateway", host.read("podman --version"), "trixie", "login, push, pull, denied")
    if host.run(
        "apt-get -qq update && apt-get -qq install --no-install-recommends skopeo"
    ).returncode:
        pytest.skip("skopeo cannot be installed")
    assert "app" in says(host, f"skopeo inspect --authfile /root/bob.json docker://{app}")
    copy = "skopeo copy -q --src-authfile {} --dest-authfile {} docker://{} docker://{}"
    there = f"{ENDPOINT}/team-a/copied:1"
    says(host, copy.format("/root/bob.json", "/root/alice.json", app, there))
    assert DENIED.replace("app", "copied") in says(
        host, copy.format("/root/bob.json", "/root/bob.json", app, there.replace(":1", ":2")), 1
    )
    says(host, f"skopeo list-tags --authfile /root/nobody.json docker://{ENDPOINT}/open/app")
    says(host, f"skopeo delete --authfile /root/alice.json docker://{there}", 1)
    proven("gateway", host.read("skopeo --version"), "trixie", "inspect, copy, denied, tags")


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize("name", ["ctr16", pytest.param("ctr17", marks=pytest.mark.soak), "ctr21"])
def test_ctr_and_cri(twin, word, cri_pull, name, proven):
    if name not in twin.hosts:
        pytest.skip("no sid host")
    host = twin.hosts[name]
    app, public = f"{ENDPOINT}/team-a/app:{name}", f"{ENDPOINT}/open/app:{name}"
    host.read("ctr images import /root/busybox.tar")
    there = host.read("ctr images ls -q | grep -m1 busybox")
    for image in (app, public):
        host.read(f"ctr images tag --force {there} {image}")

    def ctr(what, user, image, expect=0):
        who = f"--user {user}:{word(user)}" if user else ""
        trust = "--hosts-dir /root/certs.d"
        return says(host, f"ctr images {what} {trust} {who} {image}", expect)

    # As regfleet's, without the login that it has there.
    host.read(
        "mkdir -p /root/certs.d && cp -r /etc/containerd/certs.d/* /root/certs.d/ && "
        "sed -i '/header/,$d' /root/certs.d/*/hosts.toml"
    )
    for image in (app, public):
        ctr("push", "alice", image)
    host.read(f"ctr images tag --force {there} {app}-evil")
    refused = ctr("push", "bob", f"{app}-evil", 1)
    assert "403 Forbidden" in refused or DENIED in refused
    for image, user in ((app, "bob"), (public, "")):
        host.read(f"ctr images rm {image}")
        ctr("pull", user, image)
    ctr("pull", "", app, 1)
    # With the login of hosts.toml, which containerd sends to the registry alone.
    own = f"{ENDPOINT}/regfleet-smoke/app:{name}"
    host.read(f"ctr images tag --force {there} {own}")
    says(host, f"ctr images push --hosts-dir /etc/containerd/certs.d {own}")
    host.read(f"ctr images rm {own}")
    says(host, f"ctr images pull --hosts-dir /etc/containerd/certs.d {own}")
    # As the kubelet pulls, into a namespace of its own and with the same login.
    assert "grpc-status: 0" in cri_pull(name, own)
    assert "grpc-status: 0" not in cri_pull(name, app)
    version = host.read("ctr --version")
    proven("gateway", version, host.spec.suite, "push, pull, denied, hosts.toml, CRI")
