"""A registry that reaches its upstream by an HTTP proxy: its process is told, and nobody else."""

import base64
import os
import subprocess
from dataclasses import replace

import pytest
from making import fleet, host, material, observed, registry

from regfleet import materials
from regfleet.fleet.registries import S3, PasswordSource, Proxy, User
from regfleet.model.desired import DesiredHost
from regfleet.model.service import Image
from regfleet.runtimes import RUNTIMES
from regfleet.secret import Secret
from regfleet.services import KINDS, compose

URL = "http://proxy.lan:3128"
PASSWORD = "p:a/s@'s$%ü"
WHOLE = "http://b%40d:p%3Aa%2Fs%40%27s%24%25%C3%BC@proxy.lan:3128"
DIRECT = "more.lan,localhost,127.0.0.1,::1,reg.example.com,reg1"
PLAIN = Proxy(https=URL, no_proxy=("more.lan",))
LOGIN = replace(PLAIN, user=User("b@d", PasswordSource("env", "P")))


def service(runtime, by=LOGIN, password=PASSWORD, **changes):
    changes = {"proxy": "https://up.example", "users": (), **changes}
    made = registry(runtime=runtime, http_proxy=by, **changes)
    told = materials.registrys_proxy(fleet([made]), made, Secret(password) if password else None)
    known = material(http_proxy=told, htpasswd=None)
    return RUNTIMES[runtime].services("acme", made, made.instances[0], known, Image("registry:2"))[
        0
    ]


def written(made, init="systemd"):
    """All that a host and its engine are told of how it is run."""
    if made.kind == "unit":
        fitted = KINDS["unit"].fitted(made, DesiredHost("reg1", "acme"), observed(init=init))
        return base64.b64decode(KINDS["unit"].words(fitted)[3]).decode()
    if made.kind == "compose":
        return compose.render(made)
    return "\n".join(KINDS["container"].words(made))


def kept(made):
    return next((each for each in made.files if each.path.endswith("/proxy.env")), None)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_password_is_in_a_file_of_roots_alone(runtime):
    made = service(runtime)
    file = kept(made)
    assert (file.mode, file.secret) == (0o600, True)
    assert f"HTTPS_PROXY={WHOLE}" in file.content.decode()
    assert "b%40d" not in file.shown
    assert "proxy.lan:3128" in file.shown
    for init in ("systemd", "scripts", "openrc"):
        assert "p%3A" not in written(made, init)
        assert "proxy.env" in written(made, init)
    assert file.digest in made.inputs
    assert service(runtime, password="other").specification != made.specification


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_without_a_password_its_environment_says_it(runtime):
    made = service(runtime, PLAIN, "")
    assert kept(made) is None
    for init in ("systemd", "scripts", "openrc"):
        text = written(made, init)
        assert URL in text
        assert DIRECT in text
        assert "/bin/sh -c" not in text
    assert service(runtime, None).specification != made.specification


def test_what_a_shell_makes_of_the_file(tmp_path):
    """As the container's shell and the scripts of services read it, and hand it on."""
    (tmp_path / "proxy.env").write_bytes(kept(service("podman")).content)
    command = f'set -a; . {tmp_path}/proxy.env; exec "$@"'
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", "env"], capture_output=True, text=True, check=True, env={}
    )
    told = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert told["HTTPS_PROXY"] == WHOLE
    assert told["NO_PROXY"] == DIRECT
    assert "HTTP_PROXY" not in told


@pytest.mark.parametrize("runtime", ["container", "podman"])
def test_the_images_shell_becomes_the_registry(runtime, tmp_path):
    """The words behind the image, run here with a stand-in for the program."""
    run = service(runtime).run
    assert "--entrypoint=/bin/sh" in run.arguments
    (tmp_path / "proxy.env").write_bytes(kept(service(runtime)).content)
    program = tmp_path / "registry"
    program.write_text('#!/bin/sh\necho "$$ $HTTPS_PROXY $*"\n')
    program.chmod(0o755)
    flag, script, *words = run.command
    started = subprocess.Popen(
        ["/bin/sh", flag, script.replace("/etc/regfleet", str(tmp_path)), *words],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": f"{tmp_path}:{os.defpath}"},
    )
    said, _ = started.communicate()
    # The same process: signals reach the registry.
    assert said == f"{started.pid} {WHOLE} serve /etc/regfleet/config.yml\n"


def test_a_bucket_with_the_machines_role_asks_for_its_keys_directly():
    bucket = {"proxy": None, "storage": "", "s3": S3("images", "eu-central-1")}
    assert "169.254.169.254,169.254.170.2" in written(service("container", PLAIN, "", **bucket))
    keys = (PasswordSource("env", "A"), PasswordSource("env", "S"))
    bucket["s3"] = replace(bucket["s3"], keys=keys)
    assert "169.254" not in written(service("container", PLAIN, "", **bucket))


def test_all_hosts_of_the_fleets_registries_are_reached_directly():
    made = registry(hosts=(host("reg1"), host("reg2")))
    found = materials.registrys_proxy(fleet([made, registry("b", "b.lan", hosts=(host("b1"),))]),
                                      replace(made, http_proxy=PLAIN), None)  # fmt: skip
    assert found.no_proxy == f"{DIRECT},reg2,b.lan,b1"
