"""A registry from a compose file: the file, and what of it makes a new container."""

from dataclasses import replace

import pytest
import yaml
from making import CANARY, desired, material, observed, registry

from regfleet.fleet.registries import Limits, Tls
from regfleet.model.service import Image
from regfleet.runtimes import RUNTIMES
from regfleet.secret import Secret
from regfleet.services import KINDS

HOME = "/etc/regfleet/main"
PAIR = material().pair


def wants(of_registry=None, **of_material):
    made = registry(runtime="compose", **(of_registry or {}))
    image = Image(made.image, made.image_archive)
    (instance,) = made.instances
    (service,) = RUNTIMES["compose"].services(
        "acme", made, instance, material(**of_material), image
    )
    return service


def text(service):
    (file,) = (file for file in service.files if file.path == service.made_from)
    return file.content.decode()


def definition(service):
    found = yaml.safe_load(text(service))
    assert list(found) == ["services"]
    assert list(found["services"]) == ["registry"]
    return found["services"]["registry"]


def test_files_and_modes():
    assert {file.path: (file.mode, file.secret) for file in wants().files} == {
        f"{HOME}/config.yml": (0o600, True),
        f"{HOME}/registry.crt": (0o444, False),
        f"{HOME}/registry.key": (0o600, True),
        f"{HOME}/htpasswd": (0o600, True),
        f"{HOME}/.env": (0o600, False),
        f"{HOME}/compose.yaml": (0o600, False),
    }


def test_the_whole_file():
    service = wants()
    assert definition(service) == {
        "image": "registry:2",
        "container_name": "regfleet-main",
        "restart": "always",
        "network_mode": "bridge",
        "ports": ["5000:5000"],
        "volumes": [f"{HOME}:/etc/regfleet:ro", "/var/lib/registry:/var/lib/registry"],
        "environment": {"OTEL_TRACES_EXPORTER": "none"},
        "entrypoint": ["registry"],
        "command": ["serve", "/etc/regfleet/config.yml"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "read_only": True,
        "tmpfs": ["/tmp"],
        "userns_mode": "host",
        "pids_limit": 4096,
        "labels": {
            "regfleet.fleet": "acme",
            "regfleet.registry": "main",
            "regfleet.specification": service.specification,
        },
    }


def test_it_says_what_it_is_and_how_to_go_on():
    head = text(wants()).partition("services:")[0]
    assert f"docker compose -f {HOME}/compose.yaml up -d" in head
    assert all(line.startswith("#") for line in head.splitlines())
    files = {file.path: file.content for file in wants().files}
    assert b"\nCOMPOSE_PROJECT_NAME=regfleet-main\n" in files[f"{HOME}/.env"]


def test_no_secret_is_in_it():
    service = wants()
    assert CANARY not in text(service)
    assert CANARY not in repr(service)


def test_a_dollar_is_no_variable():
    assert definition(wants({"storage": "/srv/a$HOME"}))["volumes"][1] == (
        "/srv/a$$HOME:/var/lib/registry"
    )


@pytest.mark.parametrize(
    ("listen", "published"),
    [
        (("10.0.0.5", 5001), "10.0.0.5:5001:5000"),
        (("::1", 5000), "[::1]:5000:5000"),
    ],
)
def test_where_it_listens(listen, published):
    assert definition(wants({"listen": listen}))["ports"] == [published]


def test_as_little_is_kept_from_it_as_from_a_container():
    """Both runtimes take the same rights away; each in its own words."""
    made = registry()
    (instance,) = made.instances
    (container,) = RUNTIMES["container"].services(
        "acme", made, instance, material(), Image("registry:2")
    )
    said = definition(wants())
    for argument in container.run.arguments:
        name, _, value = argument.removeprefix("--").partition("=")
        key = {
            "cap-drop": "cap_drop",
            "security-opt": "security_opt",
            "read-only": "read_only",
            "tmpfs": "tmpfs",
            "userns": "userns_mode",
            "pids-limit": "pids_limit",
            "publish": "ports",
            "volume": "volumes",
            "entrypoint": "entrypoint",
            "env": "environment",
        }[name]
        found = said[key]
        if key == "environment":
            assert value in {f"{name}={each}" for name, each in found.items()}
        elif isinstance(found, list):
            assert value in found
        else:
            assert found is True or str(found) == value


@pytest.mark.parametrize(
    ("of_registry", "of_material", "new"),
    [
        ({}, {"htpasswd": "other\n"}, False),  # read again when it changes
        ({}, {"pair": replace(PAIR, certificate_pem=b"renewed")}, True),
        ({}, {"http_secret": Secret("other")}, True),
        ({"delete": False}, {}, True),
        ({"image": "registry:3"}, {}, True),
        ({"storage": "/data"}, {}, True),
        ({"listen": ("10.0.0.5", 5000)}, {}, True),
        ({"limits": Limits("1g")}, {}, True),
        ({"tls": Tls("fleet-ca")}, {}, False),
    ],
)
def test_a_new_container_only_for_what_is_read_at_start(of_registry, of_material, new):
    before, after = wants(), wants(of_registry, **of_material)
    assert (before.specification != after.specification) is new
    assert (text(before) != text(after)) is new


def test_the_file_is_of_the_service_as_the_host_has_to_run_it():
    service = wants({"limits": Limits("512m", log_size="5m", log_files=2)})
    fitted = KINDS["compose"].fitted(service, desired(services=(service,)), observed())
    said = definition(fitted)
    assert said["mem_limit"] == "512m"
    assert said["logging"] == {"options": {"max-size": "5m", "max-file": "2"}}
    assert said["labels"]["regfleet.specification"] == fitted.specification
    assert fitted.specification != service.specification
    assert [file.path for file in fitted.files] == [file.path for file in service.files]
