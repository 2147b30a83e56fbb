"""A registry as a container: files, their modes, and what makes it a new container."""

import json
from dataclasses import replace

import pytest
from making import CANARY, material, registry

from regfleet.fleet.model import Tls
from regfleet.runtimes import RUNTIMES
from regfleet.runtimes.configuration import render
from regfleet.secret import Secret

HOME = "/etc/regfleet/main"
PAIR = material().pair


def wants(of_registry=None, **of_material):
    made = registry(**(of_registry or {}))
    return RUNTIMES["container"]("acme", made, material(**of_material))


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
    (container,) = wants().containers
    assert container.name == "regfleet-main"
    assert container.arguments == (
        "--publish=5000:5000",
        f"--volume={HOME}:/etc/regfleet:ro",
        "--volume=/var/lib/registry:/var/lib/registry",
        "--env=OTEL_TRACES_EXPORTER=none",
        "--entrypoint=registry",
    )
    assert container.command == ("serve", "/etc/regfleet/config.yml")
    assert (container.port, container.tls) == (5000, True)
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
    made = RUNTIMES["container"]("acme", registry("main", endpoint, tls=Tls(tls)), material())
    assert made.containers[0].arguments[0] == f"--publish={port}:5000"
    assert (made.containers[0].port, made.containers[0].tls) == (port, tls != "none")


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
    ],
)
def test_a_new_container_only_for_what_is_read_at_start(of_registry, of_material, new):
    before, after = wants().containers[0], wants(of_registry, **of_material).containers[0]
    assert (before.specification != after.specification) is new


def test_an_archive_is_told_by_its_digest(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"x")
    image = wants({"image_archive": tmp_path / "a.tar"}).containers[0].image
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
            "cache": {"blobdescriptor": "inmemory"},
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


def test_what_is_not_there_is_not_configured():
    found = configuration({"delete": False}, pair=None, htpasswd=None)
    assert "tls" not in found["http"]
    assert "auth" not in found
    assert found["storage"]["delete"] == {"enabled": False}


def test_users_without_tls_are_not_forgotten():
    assert "auth" in configuration(pair=None)
