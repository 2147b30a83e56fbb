"""Gateways before registries that regfleet does not run: TLS, users and roles for them.

The registry runs on a host that is in no fleet: once in plain HTTP without users, once with TLS by
a CA of its own and one user. Before the one stands nginx's image, before the other a package.
"""

import json
from datetime import datetime, timezone

import pytest

from regfleet import htpasswd
from regfleet.pki import pem
from regfleet.pki.authority import new_authority
from regfleet.rehearse.twin import HostSpec
from regfleet.secret import Secret

pytestmark = pytest.mark.long

BODY = """
[registry.old]
external = true
endpoint = "old.test:5000"
tls.source = "none"

[registry.main]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
admins = ["root"]
users.root.password = "generate"
users.ci.password = "generate"
users.bob.password = "generate"
projects.regfleet-smoke.members = { ci = "admin" }
projects.team.members = { ci = "developer", bob = "guest" }
projects.open.public = true

[registry.main.gateway]
hosts = [$lb1]
image_archive = "$nginx_tar"
before = ["old"]

[registry.safe]
external = true
endpoint = "old.test:5443"
tls = { source = "files", ca = "CA_FILE" }
users.front.password = { env = "FRONT" }

[registry.second]
endpoint = "second.test:5000"
runtime = "package"
users.ci.password = "generate"

[registry.second.gateway]
hosts = [$lb2]
before = ["safe"]
login = { safe = "front" }

[client.build]
hosts = [$client1]
registries = ["main", "second"]
login = { main = "ci", second = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
PASSWORD = "canary-front-2b7e"
CONFIG = """\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}, delete: {enabled: true}}
http: {addr: ":5000", tls: {certificate: /c/own.crt, key: /c/own.key}}
auth: {htpasswd: {realm: safe, path: /c/htpasswd}}
"""
RUN = "docker run -d --name NAME -p PORT:5000 -v /c:/c -v /srv/NAME:/var/lib/registry"
SERVE = " --entrypoint registry registry:2 serve /c/NAME.yml"
KEPT = "ls /srv/old/docker/registry/v2/repositories"
PLAIN = """\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}, delete: {enabled: true}}
http: {addr: ":5000"}
"""


@pytest.fixture(scope="module")
def authority():
    """Of the registry that is not ours."""
    return new_authority("theirs", datetime.now(timezone.utc))


@pytest.fixture(scope="module")
def twin(boot_for_module, seeds, authority):
    """With the registries that are not ours."""
    twin = boot_for_module(
        HostSpec("old", aliases=("old.test",)),
        HostSpec("lb1", aliases=("registry.test",)),
        HostSpec("lb2", variant="bare", aliases=("second.test",)),
        HostSpec("client1"),
    )
    old, client = twin.hosts["old"], twin.hosts["client1"]
    certificate, key = authority.issue("old.test", ["old.test"], datetime.now(timezone.utc))
    old.copy_in(seeds.registry, "/root/registry.tar")
    old.read("docker load -q -i /root/registry.tar")
    for name, text in (
        ("own.crt", pem.certificates_to_pem(certificate).decode()),
        ("own.key", pem.key_to_pem(key)),
        ("safe.yml", CONFIG),
        ("old.yml", PLAIN),
        ("htpasswd", htpasswd.update("", {"front": Secret(PASSWORD)}, lambda _: 5)),
    ):
        assert old.run(f"mkdir -p /c && cat >/c/{name}", text).returncode == 0
    for name, port in (("old", "5000"), ("safe", "5443")):
        old.read((RUN + SERVE).replace("NAME", name).replace("PORT", port))
    client.copy_in(seeds.busybox, "/root/busybox.tar")
    client.read("docker load -q -i /root/busybox.tar")
    return twin


@pytest.fixture(scope="module")
def state(tmp_path_factory, authority):
    """With the CA of the other registry beside it."""
    state = tmp_path_factory.mktemp("fleet") / "state"
    (state.parent / "theirs.pem").write_bytes(authority.certificate_pem)
    return state


@pytest.fixture
def run(twin, regfleet, write_fleet, state):
    def of(command, *more, edit=lambda text: text, password=PASSWORD):
        fleet = write_fleet(twin, edit(BODY).replace("CA_FILE", str(state.parent / "theirs.pem")))
        return regfleet(command, fleet, "--state-dir", state, *more, FRONT=password)

    return of


def applied(run, **how):
    done = run("apply", "--yes", "--json", **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_fleet_gets_tls_users_and_roles(twin, run):
    found = applied(run)
    smoke = found["hosts"]["client1"]["smoke"]
    assert set(smoke.values()) == {"passed"}, smoke
    checks = [each for name in ("lb1", "lb2") for each in found["hosts"][name]["smoke"].items()]
    assert {verdict for _, verdict in checks} <= {"passed", "skipped"}, checks
    assert "nothing to do on 3 hosts" in run("apply", "--yes").stdout
    files = twin.hosts["lb2"].read("stat -c '%a %U' /etc/regfleet/second.gateway/ways.conf")
    assert files.strip() == "600 root"


def test_roles_hold_with_docker(twin, run, state):
    client = twin.hosts["client1"]
    app, other = "registry.test:5000/team/app:1", "second.test:5000/any/app:1"
    for name in (app, other):
        client.read(f"docker tag busybox {name} && docker push -q {name} && docker rmi {name}")
        client.read(f"docker pull -q {name}")
    assert twin.hosts["old"].read(KEPT)
    password = (state / "passwords/main/bob").read_text().strip()
    login = "docker --config /root/bob login -u bob --password-stdin registry.test:5000"
    assert client.run(login, password).returncode == 0
    client.read(f"docker --config /root/bob pull -q {app}")
    said = client.run(f"docker --config /root/bob push {app} 2>&1").stdout
    assert "denied: bob may only pull in team/app" in said
    refused = client.run(f"docker --config /root/nobody pull {app} 2>&1")
    assert refused.returncode != 0
    applied(run, edit=lambda text: text.replace('bob = "guest"', 'bob = "developer"'))
    client.read(f"docker --config /root/bob push -q {app}")


def test_what_is_wrong_is_told(twin, run):
    old = twin.hosts["old"]
    status = json.loads(run("status", "--json").stdout)["registries"]
    assert (status["main"]["health"], status["main"]["served_by"]) == ("healthy", "old"), status
    assert status["second"]["health"] == "healthy", status
    old.read("docker stop old")
    changed = htpasswd.update("", {"front": Secret("another")}, lambda _: 5)
    assert old.run("cat >/c/htpasswd", changed).returncode == 0
    old.read("docker restart safe")
    try:
        done = run("doctor")
        assert done.returncode == 1
        assert "the gateway of main reaches no registry behind it" in done.stdout, done.stdout
        assert "a registry behind the gateway of second refuses the gateway's login" in done.stdout
    finally:
        old.read("docker start old")
    done = run("apply", "--yes", "--json", password="another")
    assert done.returncode == 0, done.stdout + done.stderr
    hosts = json.loads(done.stdout)["hosts"]
    assert "file /etc/regfleet/second.gateway/ways.conf" in {
        each["resource"] for each in hosts["lb2"]["changes"]
    }


@pytest.mark.soak
def test_a_registry_that_wants_tokens_of_its_own_is_told_and_the_other_stays(twin, run):
    old = twin.hosts["old"]
    token = (
        "{realm: 'https://auth.test/token', service: old, issuer: a, rootcertbundle: /c/own.crt}"
    )
    assert old.run("cat >/c/tokens.yml", f"{PLAIN}auth: {{token: {token}}}\n").returncode == 0
    old.read((RUN + SERVE).replace("NAME", "tokens").replace("PORT", "5001"))
    try:
        done = run(
            "apply", "--yes", "--json", password="another",
            edit=lambda text: text.replace("old.test:5000", "old.test:5001"),
        )  # fmt: skip
        lb1 = json.loads(done.stdout)["hosts"]["lb1"]
        assert lb1["status"] == "rolled-back", lb1
        assert "wants tokens of another service, and no gateway gets those" in lb1["error"], lb1
    finally:
        old.read("docker rm -f tokens")
    assert run("plan", "--detailed-exitcode", password="another").returncode == 0
    assert twin.hosts["client1"].read("docker pull -q registry.test:5000/team/app:1")


def test_nothing_is_left_but_what_was_there(twin, run):
    done = run("destroy", "--yes", "--delete-data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert twin.hosts["lb1"].read("docker ps -aq; docker images -q; ls -d /etc/regfleet || :") == ""
    assert (
        twin.hosts["lb2"].read("systemctl list-units 'regfleet*' -q; ls -d /etc/regfleet || :")
        == ""
    )
    assert twin.hosts["old"].read("docker ps -q | wc -l").strip() == "2"
    assert "team" in twin.hosts["old"].read(KEPT)
