"""Pull-through caches that log in to their upstream: every runtime (Compose and the package in the
soak), and registries 2 and 3.

A registry of version 2 logs in only where a token server gives tokens. The upstream of these is a
real registry with `auth.token`, by a CA of its own, and a token server that checks a password.
Version 3 logs in with htpasswd, too: `REGFLEET_REGISTRY_3` names its program or image, as
`docker save` writes it.
"""

import base64
import json
import subprocess
import textwrap
import time
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

import registry_3
from regfleet.rehearse.twin import HostSpec
from workers import SOAK

pytestmark = pytest.mark.long

USER, PASSWORD = "puller", "canary-upstream-7f31"
WRONG = "canary-wrong-55aa"
HEAD = """
[registry.theirs]
external = true
endpoint = "$UP:5443"
smoke = false
tls = {{ source = "files", ca = "{ca}" }}

[client.docker]
hosts = [$up]
registries = ["theirs", {names}]

[smoke]
image_archive = "$busybox_tar"
"""
CACHE = """
[registry.{name}]
hosts = [${host}]
endpoint = "{host}.test:{port}"
runtime = "{name}"
{image}
storage = "/srv/{name}"
proxy = {{ url = "https://$UP:5443", user = "puller", password = {{ env = "UP" }} }}
"""
CACHES = {
    "container": ("up", 5001),
    "compose": ("up", 5002),
    "podman": ("bare", 5003),
    "package": ("bare", 5004),
}
if not SOAK:
    del CACHES["compose"], CACHES["package"]
REGISTRY = """
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: ":5000", tls: {certificate: /c/own.crt, key: /c/own.key}}
auth:
  token:
    realm: http://UP:5080/cgi-bin/token
    service: up
    issuer: them
    rootcertbundle: /c/token.crt
"""


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def certificates(directory, address):
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(directory, "req", "-x509", *key, "-keyout", "own-ca.key", "-out", "own-ca.crt",
            "-days", "90", "-subj", "/CN=A company's CA")  # fmt: skip
    openssl(directory, "req", "-x509", *key, "-keyout", "own.key", "-out", "own.crt", "-days", "30",
            "-subj", "/CN=registry", "-CA", "own-ca.crt", "-CAkey", "own-ca.key",
            "-addext", "basicConstraints=CA:FALSE",
            "-addext", f"subjectAltName=IP:{address}")  # fmt: skip


def encoded(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def token(directory):
    """A token for `library/tool`, and beside it the certificate that its signature is known by.

    Distribution's "Token Authentication Implementation".
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=9))
        .sign(key, hashes.SHA256())
    )
    (directory / "token.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    der = certificate.public_bytes(serialization.Encoding.DER)
    header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
    start = int(time.time()) - 60
    claims = {
        "iss": "them", "sub": USER, "aud": "up", "jti": "1",
        "nbf": start, "iat": start, "exp": start + 86400,
        "access": [
            {"type": "repository", "name": "library/tool", "actions": ["pull", "push"]},
        ],
    }  # fmt: skip
    signed = f"{encoded(header)}.{encoded(claims)}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("up", aliases=("up.test",)),
        HostSpec("bare", "trixie", "bare", aliases=("bare.test",)),
    )


@pytest.fixture(scope="module")
def own(twin, seeds, tmp_path_factory):
    """The upstream and its token server on the host `up`; gives the file of its CA."""
    directory = tmp_path_factory.mktemp("upstream")
    host = twin.hosts["up"]
    certificates(directory, host.address)
    (directory / "token").write_text(
        "#!/bin/sh\necho 'Content-Type: application/json'\necho\n"
        f"echo '{json.dumps({'token': token(directory), 'expires_in': 86000})}'\n"
    )
    (directory / "httpd.conf").write_text(f"/cgi-bin:{USER}:{PASSWORD}\n")
    (directory / "config.yml").write_text(REGISTRY.replace("UP", host.address))
    host.read("mkdir -p /root/c /root/www/cgi-bin")
    for name in ("own.crt", "own.key", "token.crt", "config.yml", "httpd.conf"):
        host.copy_in(directory / name, f"/root/c/{name}")
    host.copy_in(directory / "token", "/root/www/cgi-bin/token")
    for archive in (seeds.registry, seeds.busybox):
        host.copy_in(archive, "/root/image.tar")
        host.read("docker load -q -i /root/image.tar; rm /root/image.tar")
    host.read("chmod 755 /root/www/cgi-bin/token")
    host.read(
        "docker run -d --name them -p 5443:5000 -v /root/c:/c --entrypoint registry registry:2"
        " serve /c/config.yml"
    )
    host.read(
        "docker run -d --name tokens -p 5080:80 -v /root/www:/www -v /root/c:/c busybox"
        " httpd -f -p 80 -h /www -c /c/httpd.conf"
    )
    return directory / "own-ca.crt"


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, own, write_fleet, state, regfleet):
    """`run("apply", ["podman"], password, ...)` with caches of these runtimes."""

    def command(name, kinds, password, *options):
        body = HEAD.format(ca=own, names=", ".join(f'"{kind}"' for kind in kinds))
        for kind in kinds:
            host, port = CACHES[kind]
            image = "" if kind == "package" else 'image_archive = "$registry_tar"'
            body += CACHE.format(name=kind, host=host, port=port, image=image)
        path = write_fleet(twin, body.replace("$UP", twin.hosts["up"].address))
        return regfleet(name, path, "--state-dir", state, *options, UP=password)

    return command


def push(host, tag):
    """A tag that no cache has seen."""
    theirs = f"{host.address}:5443"
    image = f"{theirs}/library/tool:{tag}"
    host.read(
        f"echo {PASSWORD} | docker login -u {USER} --password-stdin {theirs} &&"
        f" docker tag busybox {image} && docker push -q {image} &&"
        f" docker rmi {image} && docker logout {theirs}"
    )


def test_a_cache_of_each_runtime_logs_in_to_its_upstream(twin, run):
    up = twin.hosts["up"]
    done = run("apply", list(CACHES), PASSWORD, "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    push(up, 1)
    for kind, (host, port) in CACHES.items():
        image = f"{host}.test:{port}/library/tool:1"
        assert "Downloaded newer image" in up.read(f"docker pull {image}; docker rmi {image}"), kind
        config = json.loads(twin.hosts[host].read(f"cat /etc/regfleet/{kind}/config.yml"))
        assert config["storage"]["delete"] == {"enabled": True}
    again = run("apply", list(CACHES), PASSWORD, "--yes")
    assert "nothing to do on 2 hosts" in again.stdout, again.stdout + again.stderr


def test_the_password_is_in_the_configuration_alone(twin, run):
    for name in ("up", "bare"):
        host = twin.hosts[name]
        holders = host.read(f"grep -rl {PASSWORD} /etc /var/lib/regfleet 2>/dev/null || :").split()
        kinds = [kind for kind, (where, _) in CACHES.items() if where == name]
        allowed = {f"/etc/regfleet/{kind}/config.yml" for kind in kinds}
        outside = {each for each in holders if each not in allowed and "/generations/" not in each}
        assert not outside
        assert allowed <= set(holders)
        for path in holders:
            assert host.read(f"stat -c %a {path}") == "600", path
        arguments = "for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$each; done"
        assert (
            host.read(f"{arguments} 2>/dev/null | grep -c '{PASSWORD[:-1]}[{PASSWORD[-1]}]' || :")
            == "0"
        )
    planned = run("plan", list(CACHES), WRONG, "--diff")
    assert planned.returncode == 0, planned.stderr
    assert "/etc/regfleet/podman/config.yml" in planned.stdout
    assert PASSWORD not in planned.stdout + planned.stderr
    assert WRONG not in planned.stdout + planned.stderr


def test_it_is_this_login_that_the_upstream_lets_in(twin, run):
    """With another password the same cache gets nothing that it does not have."""
    up = twin.hosts["up"]
    done = run("apply", ["container"], WRONG, "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    push(up, 2)
    host, port = CACHES["container"]
    refused = up.run(f"docker pull {host}.test:{port}/library/tool:2")
    assert refused.returncode != 0, refused.stdout
    done = run("apply", ["container"], PASSWORD, "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    up.read(f"docker pull {host}.test:{port}/library/tool:2")


def test_without_the_ca_the_cache_does_not_start_and_all_is_as_before(twin, run, own):
    """An upstream whose CA the cache does not know: it ends at once, and apply says so."""
    other = own.with_name("other")
    other.mkdir(exist_ok=True)
    certificates(other, twin.hosts["up"].address)
    kept = own.read_bytes()
    own.write_bytes((other / "own-ca.crt").read_bytes())
    try:
        done = run("apply", ["container"], PASSWORD, "--yes", "--no-smoke")
    finally:
        own.write_bytes(kept)
    assert done.returncode == 1, done.stdout
    assert "x509" in done.stdout + done.stderr
    host, port = CACHES["container"]
    twin.hosts["up"].read(f"docker pull {host}.test:{port}/library/tool:2")


VERSION_3 = """
[registry.up]
hosts = [$up]
endpoint = "$UP:5100"
image_archive = "$registry_tar"
storage = "/srv/up"
users = {{ puller = {{ password = {{ env = "UP" }} }} }}

[registry.cache]
hosts = [$bare]
endpoint = "bare.test:5101"
runtime = "podman"
image = "registry:3"
image_archive = "{archive}"
storage = "/srv/cache3"
proxy = {{ url = "https://$UP:5100", user = "puller", password = {{ env = "UP" }}, ttl = "1h" }}

[client.docker]
hosts = [$up]
registries = ["up", "cache"]
login = {{ up = "puller" }}

[smoke]
image_archive = "$busybox_tar"
"""


def test_version_3_logs_in_to_a_registry_of_the_fleet_with_htpasswd(
    twin, run, write_fleet, regfleet, tmp_path
):
    archive = registry_3.image(tmp_path)
    assert run("destroy", list(CACHES), PASSWORD, "--yes", "--delete-data").returncode == 0
    up = twin.hosts["up"]
    body = VERSION_3.format(archive=archive).replace("$UP", up.address)
    fleet = write_fleet(twin, textwrap.dedent(body))
    done = regfleet("apply", fleet, "--yes", "--state-dir", tmp_path / "s", UP=PASSWORD)
    assert done.returncode == 0, done.stdout + done.stderr
    theirs = f"{up.address}:5100/tool:1"
    up.read(f"docker tag busybox {theirs}; docker push -q {theirs}")
    image = "bare.test:5101/tool:1"
    assert "Downloaded newer image" in up.read(f"docker pull {image}; docker rmi {image}")
    config = json.loads(twin.hosts["bare"].read("cat /etc/regfleet/cache/config.yml"))
    assert config["proxy"]["ttl"] == "1h"
    # The registry's own list of what expires: within the hour, not in its seven days.
    expiring = 'grep -o \'"ExpiryData":"[^"]*\' /srv/cache3/scheduler-state.json | cut -d\'"\' -f4'
    for _ in range(15):
        times = twin.hosts["bare"].run(expiring).stdout.split()
        if times:
            break
        time.sleep(1)
    assert times
    for text in times:
        left = datetime.fromisoformat(text[:19] + "+00:00") - datetime.now(timezone.utc)
        assert left < timedelta(hours=2), text
    again = regfleet("apply", fleet, "--yes", "--state-dir", tmp_path / "s", UP=PASSWORD)
    assert "nothing to do on 2 hosts" in again.stdout
