"""Registries of other kinds: the user's own certificate, no TLS, no users, external, a mirror."""

import json
import subprocess

import pytest

BODY = """
[registry.own]
hosts = [$both]
endpoint = "own.test:5443"
image_archive = "$registry_tar"
storage = "/srv/own"
[registry.own.tls]
source = "files"
certificate = "own.crt"
key = "own.key"
ca = "own-ca.crt"
[registry.own.users]
ci = { password = "generate" }

[registry.bare]
hosts = [$both]
endpoint = "both:80"
image_archive = "$registry_tar"
storage = "/srv/bare"
tls = { source = "none" }
users.ci = { password = { command = "echo from-a-vault; echo noise" } }
allow_plaintext_passwords = true

[registry.upstream]
hosts = [$both]
endpoint = "both:5001"
image_archive = "$registry_tar"
storage = "/srv/upstream"
tls = { source = "none" }

[registry.cache]
hosts = [$both]
endpoint = "both:5002"
image_archive = "$registry_tar"
storage = "/srv/cache"
proxy = "http://UPSTREAM:5001"
serves_docker_hub = true

[registry.theirs]
external = true
endpoint = "own.test:5444"
smoke = false
tls = { source = "none" }

[client.both]
hosts = [$both]
registries = ["own", "bare", "upstream"]
login = { bare = "ci", own = "ci" }

[client.one]
hosts = [$one]
registries = ["own", "bare", "upstream", "theirs"]
mirrors = ["cache"]

[smoke]
image_archive = "$busybox_tar"
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("both=own.test", "one")


@pytest.fixture
def fleet(twin, write_fleet, tmp_path):
    path = write_fleet(twin, BODY.replace("UPSTREAM", twin.hosts["both"].address))
    _certificate(tmp_path)
    return path


def _certificate(directory):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "own-ca.key", "-out", "own-ca.crt", "-days", "90",
            "-subj", "/CN=A company's CA")  # fmt: skip
    openssl("req", "-x509", *key, "-keyout", "own.key", "-out", "own.crt", "-days", "30",
            "-subj", "/CN=registry", "-CA", "own-ca.crt", "-CAkey", "own-ca.key",
            "-addext", "basicConstraints=CA:FALSE",
            "-addext", "subjectAltName=DNS:own.test")  # fmt: skip


def _certificate_for_another_name(directory):
    text = (directory / "fleet.toml").read_text()
    (directory / "fleet.toml").write_text(text.replace("own.test:5443", "other.test:5443"))


def test_all_of_them_at_once(twin, fleet, regfleet):
    done = regfleet("apply", fleet, "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    hosts = json.loads(done.stdout)["hosts"]
    both, one = hosts["both"]["smoke"], hosts["one"]["smoke"]
    # A host that is registry and client too is touched once, and proves both.
    assert both["own/push"] == both["own/run"] == both["bare/pull"] == "passed"
    assert both["own/untrusted-ca-refused"] == "passed"
    # Without TLS nothing about TLS is tried, without users nobody is refused.
    assert {check for check in both if check.startswith("bare/") and "refused" in check} == {
        "bare/anonymous-refused",
        "bare/wrong-password-refused",
    }
    assert not any("password" in check for check in both if check.startswith("cache/"))
    # A pull-through cache takes no pushes.
    assert both["cache/push-refused"] == "passed"
    # `one` declares no login: it is let in nowhere, and nobody else's password is sent there.
    closed = ("push", "remove", "pull", "digest", "run")
    assert {one[f"{name}/{check}"] for name in ("own", "bare") for check in closed} == {"skipped"}
    assert one["upstream/run"] == "passed"  # anybody may
    said = " ".join(regfleet("smoke", fleet).stdout.split())
    assert "declares no login to own, and the registry wants one; declares no login to bare" in said
    assert twin.hosts["one"].run("ls /root/.docker").stdout == ""
    assert one["theirs/push"] == "skipped"
    mirrors = twin.hosts["one"].read("docker info -f '{{json .RegistryConfig.Mirrors}}'")
    assert mirrors == '["https://both:5002/"]'
    # The mirror's CA is trusted, though it is none of the client's registries.
    twin.hosts["one"].read("test -f /etc/docker/certs.d/both:5002/ca.crt")
    again = regfleet("apply", fleet, "--yes")
    assert "nothing to do on 2 hosts" in again.stdout


def test_the_mirror_serves_what_its_upstream_has(twin, fleet, seeds):
    del fleet
    both, one = twin.hosts["both"], twin.hosts["one"]
    both.copy_in(seeds.busybox, "/root/busybox.tar")
    both.read("docker load -q -i /root/busybox.tar; rm /root/busybox.tar")
    both.read(
        "docker tag busybox both:5001/library/tool:1; docker push -q both:5001/library/tool:1"
    )
    both.read("docker rmi busybox both:5001/library/tool:1")
    assert "Downloaded newer image" in one.read("docker pull tool:1; docker rmi -f tool:1")


def test_an_image_is_pulled_where_there_is_no_archive(twin, fleet, regfleet, seeds):
    both = twin.hosts["both"]
    both.copy_in(seeds.registry, "/root/registry.tar")
    both.read("docker load -q -i /root/registry.tar; rm /root/registry.tar")
    both.read("docker tag registry:2 127.0.0.1:5001/pulled:1")
    both.read("docker push -q 127.0.0.1:5001/pulled:1; docker rmi 127.0.0.1:5001/pulled:1")
    fleet.write_text(
        fleet.read_text()
        + '[registry.more]\nhosts = ["both"]\nendpoint = "both:5003"\nstorage = "/srv/more"\n'
        'image = "127.0.0.1:5001/pulled:1"\n'
    )
    address = f'hosts = [{{ name = "both", address = "{both.address}" }}]'
    fleet.write_text(fleet.read_text().replace('hosts = ["both"]', address))
    done = regfleet("apply", fleet, "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    changes = json.loads(done.stdout)["hosts"]["both"]["changes"]
    assert "image 127.0.0.1:5001/pulled:1" in [change["resource"] for change in changes]
    assert "regfleet-more" in both.read("docker ps --format '{{.Names}}'")


def test_new_names_mean_a_new_certificate_and_a_new_container(twin, fleet, regfleet):
    regfleet("apply", fleet, "--yes", "--no-smoke")
    text = fleet.read_text()
    names = 'storage = "/srv/cache"\ntls = { names = ["cache.internal", "10.1.2.3"] }'
    fleet.write_text(text.replace('storage = "/srv/cache"', names))
    planned = regfleet("plan", fleet)
    assert "names change: +cache.internal +10.1.2.3" in planned.stdout
    done = regfleet("apply", fleet, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    changes = json.loads(done.stdout)["hosts"]["both"]["changes"]
    assert [change["resource"] for change in changes] == [
        "file /etc/regfleet/cache/registry.crt",
        "file /etc/regfleet/cache/registry.key",
        "container regfleet-cache",
    ]
    served = twin.hosts["one"].read(
        "openssl s_client -connect both:5002 </dev/null 2>/dev/null"
        " | openssl x509 -noout -ext subjectAltName"
    )
    assert "cache.internal" in served
    assert "10.1.2.3" in served
    assert "nothing to do" in regfleet("apply", fleet, "--yes").stdout


def test_a_removed_user_is_proven_to_be_out(fleet, regfleet):
    text = fleet.read_text()
    more = '[registry.own.users]\nold = { password = "generate" }'
    fleet.write_text(text.replace("[registry.own.users]", more))
    assert regfleet("apply", fleet, "--yes", "--no-smoke").returncode == 0
    fleet.write_text(text)
    done = regfleet("apply", fleet, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hosts"]["both"]["smoke"]["own/removed-user-refused"] == "passed"


def test_the_served_certificate_is_the_users_and_old_tls_is_refused(twin, fleet):
    del fleet
    shown = twin.hosts["one"].read(
        "openssl s_client -connect own.test:5443 -showcerts </dev/null 2>/dev/null"
        " | openssl x509 -noout -issuer"
    )
    assert "A company's CA" in shown
    old = twin.hosts["one"].run(
        "openssl s_client -tls1_1 -cipher ALL:@SECLEVEL=0 -connect own.test:5443 </dev/null"
    )
    assert old.returncode != 0


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: (path / "own.key").write_bytes(b"junk"), "own.key"),
        (lambda path: (path / "own.crt").unlink(), "registry.own.tls.certificate"),
        (_certificate_for_another_name, "other.test"),
    ],
)
def test_a_pair_that_cannot_serve_is_refused_before_anything(fleet, regfleet, spoil, words):
    spoil(fleet.parent)
    done = regfleet("apply", fleet, "--yes")
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "looking at" not in done.stderr


def test_destroy_with_the_data(twin, fleet, regfleet):
    done = regfleet("destroy", fleet, "--yes", "--delete-data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert twin.hosts["both"].read("ls /srv; docker ps -aq; docker images -q") == ""
    assert twin.hosts["one"].run("ls /etc/docker/daemon.json /etc/docker/certs.d").stdout == ""
