"""A pull-through cache with a login at its upstream, and with a CA to know it by."""

import base64
import json
from dataclasses import replace

import pytest
import yaml
from making import CANARY, material, observed, registry

from regfleet.fleet.registries import PasswordSource, User
from regfleet.model.desired import DesiredHost
from regfleet.model.service import Image
from regfleet.runtimes import RUNTIMES
from regfleet.secret import Secret
from regfleet.services import KINDS

URL = "https://up.example:5000"
PASSWORD = 'upstream "canary" \\ 7f31'
CACHE = {
    "proxy": URL,
    "proxy_user": User("me", PasswordSource("env", "UP")),
    "users": (),
}
TRUSTED = material(upstream_password=Secret(PASSWORD), upstream_ca=b"UPSTREAM CA\n", htpasswd=None)


def wants(runtime="container", of_material=TRUSTED, **changes):
    made = registry(**{**CACHE, **changes})
    (instance,) = made.instances
    image = Image("registry:2")
    return RUNTIMES[runtime].services("acme", made, instance, of_material, image)[0]


def file(service, name):
    return next(each for each in service.files if each.path == f"/etc/regfleet/main/{name}")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"username": "me", "password": PASSWORD}),
        ({"proxy_ttl": "36h"}, {"username": "me", "password": PASSWORD, "ttl": "36h"}),
        ({"proxy_user": None}, {}),
    ],
)
def test_the_configuration_has_the_login_and_nobody_is_shown_it(changes, expected):
    configuration = file(wants(**changes), "config.yml")
    assert (configuration.mode, configuration.secret) == (0o600, True)
    found = yaml.safe_load(configuration.content)
    assert found["proxy"] == {"remoteurl": URL, **expected}
    assert found["storage"]["delete"] == {"enabled": True}
    shown = json.loads(configuration.shown)
    assert shown["proxy"].get("password", "***") == "***"
    assert {**shown["proxy"], **expected} == found["proxy"]
    assert "canary" not in configuration.shown
    assert CANARY not in configuration.shown
    assert "canary" not in repr(wants(**changes))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_upstreams_ca_is_known_to_each_runtime(runtime):
    service = wants(runtime)
    ca = file(service, "upstream/ca.crt")
    assert (ca.content, ca.mode, ca.secret) == (b"UPSTREAM CA\n", 0o444, False)
    assert ca.digest in service.inputs  # read at start alone
    place = "/etc/regfleet/main" if runtime == "package" else "/etc/regfleet"
    line = f"SSL_CERT_DIR=/etc/ssl/certs:{place}/upstream"
    if runtime == "container":
        assert f"--env={line}" in service.run.arguments
    elif runtime == "compose":
        assert dict([line.split("=")]).items() <= service.run.definition["environment"].items()
    else:
        exported = f"export {line}"
        for init in ("systemd", "scripts", "openrc"):
            written = f"Environment={line}" if init == "systemd" else exported
            fitted = KINDS["unit"].fitted(service, DesiredHost("reg1", "acme"), observed(init=init))
            text = base64.b64decode(KINDS["unit"].words(fitted)[3]).decode()
            assert (f"--env={line}" if runtime == "podman" else written) in text


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_cache_without_such_a_ca_is_run_as_ever(runtime):
    service = wants(runtime, replace(TRUSTED, upstream_ca=None))
    assert "SSL_CERT_DIR" not in str(service.run)
    assert not [each for each in service.files if "upstream" in each.path]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    "other", [{"upstream_password": Secret("other")}, {"upstream_ca": b"OTHER\n"}]
)
def test_another_password_or_ca_means_a_restart(runtime, other):
    assert wants(runtime).specification != wants(runtime, replace(TRUSTED, **other)).specification
