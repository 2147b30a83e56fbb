"""A registry as a container: files, their modes, and what makes it a new container."""

import json
from dataclasses import replace

import pytest
import yaml
from making import CANARY, material, registry

from regfleet import roles
from regfleet.fleet.registries import Limits, Member, Project, Tls
from regfleet.model.service import ContainerRun, Image
from regfleet.runtimes import RUNTIMES, files
from regfleet.runtimes.configuration import render
from regfleet.runtimes.container import CONFINED_NOW
from regfleet.runtimes.files import UNCACHED_NOW
from regfleet.secret import Secret

HOME = "/etc/regfleet/main"
PAIR = material().pair


def wants(of_registry=None, **of_material):
    made = registry(**(of_registry or {}))
    image = Image(made.image, made.image_archive, "2d711642b726b044" if made.image_archive else "")
    (instance,) = made.instances
    (service,) = RUNTIMES["container"].services(
        "acme", made, instance, material(**of_material), image
    )
    return service


def test_files_and_modes():
    assert {file.path: (file.mode, file.secret) for file in wants().files} == {
        f"{HOME}/config.yml": (0o600, True),
        f"{HOME}/registry.crt": (0o444, False),
        f"{HOME}/registry.key": (0o600, True),
        f"{HOME}/htpasswd": (0o600, True),
    }


@pytest.mark.parametrize(
    ("of_material", "missing"),
    [
        ({"pair": None}, {"registry.crt", "registry.key"}),
        ({"htpasswd": None}, {"htpasswd"}),
        ({"pair": None, "htpasswd": None}, {"registry.crt", "registry.key", "htpasswd"}),
    ],
)
def test_only_what_is_needed(of_material, missing):
    found = {file.path.rsplit("/", 1)[1] for file in wants(**of_material).files}
    assert found == {"config.yml", "registry.crt", "registry.key", "htpasswd"} - missing


def test_directories():
    assert {item.path: item.mode for item in wants().directories} == {
        "/etc/regfleet": 0o755,
        HOME: 0o700,
        "/var/lib/registry": 0o700,
    }


def test_the_container():
    container = wants()
    assert container.name == "regfleet-main"
    assert container.run.arguments == (
        "--publish=5000:5000",
        f"--volume={HOME}:/etc/regfleet:ro",
        "--volume=/var/lib/registry:/var/lib/registry",
        "--env=OTEL_TRACES_EXPORTER=none",
        "--entrypoint=registry",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--read-only",
        "--tmpfs=/tmp",
        "--userns=host",
        "--pids-limit=4096",
    )
    assert container.run.command == ("serve", "/etc/regfleet/config.yml")
    assert (container.port, container.probe.word) == (5000, "https:200,401:/v2/")
    assert (container.registry, container.fleet) == ("main", "acme")
    assert CANARY not in repr(container)


@pytest.mark.parametrize(
    ("endpoint", "tls", "port"),
    [
        ("reg.example.com", "fleet-ca", 443),
        ("reg.example.com", "none", 80),
        ("reg.example.com:5001", "none", 5001),
        ("[2001:db8::1]:5000", "fleet-ca", 5000),
    ],
)
def test_the_endpoints_port_is_published(endpoint, tls, port):
    made = wants({"endpoint": endpoint, "tls": Tls(tls)})
    assert made.run.arguments[0] == f"--publish={port}:5000"
    assert (made.port, made.probe.kind) == (port, "http" if tls == "none" else "https")


@pytest.mark.parametrize(
    ("listen", "published", "where"),
    [
        (("10.0.0.5", 5001), "10.0.0.5:5001", "10.0.0.5:5001"),
        (("::1", 5000), "[::1]:5000", "[::1]:5000"),
        (("0.0.0.0", 443), "0.0.0.0:443", "127.0.0.1:443"),  # noqa: S104 - nothing is bound
        (("::", 443), "[::]:443", "[::1]:443"),
    ],
)
def test_where_it_listens(listen, published, where):
    container = wants({"listen": listen})
    assert container.run.arguments[0] == f"--publish={published}:5000"
    assert container.where == where


def test_what_earlier_versions_ran_is_known():
    """They had a cache in memory; the arguments of the first ended before the rights were taken."""
    made = registry()
    text = render(made, material(), "/etc/regfleet", cached=True)
    container = wants()
    (config, *others) = container.files
    cached = (replace(config, content=text.encode()).digest, *container.inputs[1:])
    before = replace(container, inputs=cached)
    with_rights = ContainerRun(container.run.arguments[:5], container.run.command)
    assert container.earlier == {
        before.specification: UNCACHED_NOW,
        replace(before, run=with_rights).specification: CONFINED_NOW,
    }
    assert others
    assert '"blobdescriptor": "inmemory"' in text


@pytest.mark.parametrize("runtime", ["compose", "package", "podman"])
def test_every_runtime_knows_its_earlier_configuration(runtime):
    made = registry(runtime=runtime)
    (instance,) = made.instances
    (service,) = RUNTIMES[runtime].services(
        "acme", made, instance, material(), Image(made.image, None, "")
    )
    assert list(service.earlier.values()) == [UNCACHED_NOW]
    assert service.specification not in service.earlier


@pytest.mark.parametrize(
    ("of_registry", "of_material", "new"),
    [
        ({}, {"htpasswd": "other\n"}, False),  # read again when it changes
        ({}, {"pair": None}, True),
        ({}, {"pair": replace(PAIR, certificate_pem=b"renewed")}, True),
        ({}, {"pair": replace(PAIR, key_pem=Secret("renewed"))}, True),
        ({}, {"pair": replace(PAIR, reason="renewed")}, False),
        ({}, {"http_secret": Secret("other")}, True),
        ({"delete": False}, {}, True),
        ({"image": "registry:3"}, {}, True),
        ({"storage": "/data"}, {}, True),
        ({"listen": ("10.0.0.5", 5000)}, {}, True),
        ({"limits": Limits("1g")}, {}, True),
    ],
)
def test_a_new_container_only_for_what_is_read_at_start(of_registry, of_material, new):
    before, after = wants(), wants(of_registry, **of_material)
    assert (before.specification != after.specification) is new


def test_an_archive_is_told_by_its_digest(tmp_path):
    image = wants({"image_archive": tmp_path / "a.tar"}).image
    assert image.archive == tmp_path / "a.tar"
    assert image.archive_digest.startswith("2d711642b726b044")


# ---- the configuration ----


def configuration(of_registry=None, **of_material):
    made = registry(**(of_registry or {}))
    return json.loads(render(made, material(**of_material), "/inside"))


def test_the_whole_configuration():
    assert configuration() == {
        "version": "0.1",
        "log": {"level": "info", "fields": {"registry": "main"}},
        "storage": {
            "filesystem": {"rootdirectory": "/var/lib/registry"},
            "delete": {"enabled": True},
        },
        "http": {
            "addr": ":5000",
            "secret": CANARY,
            "headers": {"X-Content-Type-Options": ["nosniff"]},
            "tls": {
                "certificate": "/inside/registry.crt",
                "key": "/inside/registry.key",
                "minimumtls": "tls1.2",
            },
        },
        "auth": {"htpasswd": {"realm": "reg.example.com:5000", "path": "/inside/htpasswd"}},
    }


@pytest.mark.parametrize("odd", ["caf\u00e9", "\U0001f433", "a\x7fb", "a\u2028b"])
def test_whatever_an_upstream_is_called_the_configuration_is_yaml(odd):
    """A registry reads YAML, whose escapes are not all of JSON's."""
    url = f"https://up.example/{odd}"
    text = render(registry(proxy=url), material(), "/inside")
    assert yaml.safe_load(text)["proxy"]["remoteurl"] == url


def test_what_is_not_there_is_not_configured():
    found = configuration({"delete": False}, pair=None, htpasswd=None)
    assert "tls" not in found["http"]
    assert "auth" not in found
    assert found["storage"]["delete"] == {"enabled": False}


def test_users_without_tls_are_not_forgotten():
    assert "auth" in configuration(pair=None)


@pytest.mark.parametrize("secret", [CANARY, 'a"b', 'x", "y', "back\\slash"])
def test_the_configuration_is_shown_without_its_secret(secret):
    file = next(each for each in wants(http_secret=Secret(secret)).files if "config" in each.path)
    assert json.loads(file.content)["http"]["secret"] == secret
    shown = json.loads(file.shown)
    assert shown["http"].pop("secret") == "***"
    expected = json.loads(file.content)
    del expected["http"]["secret"]
    assert shown == expected
    assert secret not in file.shown


def test_the_roles_are_kept_beside_the_configuration_and_hold_no_secret():
    held = registry(projects=(Project("a", members=(Member("ci", "guest"),)),), admins=("root",))
    found = files.needs(held, material(), files.Places())
    (kept,) = [file for file in found.files if file.roles]
    assert (kept.path, kept.mode) == ("/etc/regfleet/main/roles.json", 0o600)
    assert roles.parse(kept.content.decode()) == roles.Roles(
        frozenset({"root"}), {"a": {"ci": "guest"}}
    )
    assert CANARY.encode() not in kept.content
    assert kept.digest not in found.read_at_start
    assert not any(file.roles for file in files.needs(registry(), material(), files.Places()).files)
