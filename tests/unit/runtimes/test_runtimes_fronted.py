"""A registry behind a gateway: three services, what they read, what restarts and reloads them."""

import base64
import re
from dataclasses import replace

import pytest
import yaml
from making import NOW, desired, host, material, observed, registry

from regfleet.fleet.registries import Gateway, Limits, Member, Project, Tls
from regfleet.gateway import nginx, places
from regfleet.model.observed import ObservedPath
from regfleet.model.plan import InstallProgram
from regfleet.model.service import Image
from regfleet.pki import instances, tokens
from regfleet.runtimes import RUNTIMES
from regfleet.runtimes.package import NGINX
from regfleet.secret import Secret
from regfleet.services import KINDS
from regfleet.state import StateDirectory

HOME, FRONT = "/etc/regfleet/main", "/etc/regfleet/main.gateway"
PROJECTS = (Project("team-a", members=(Member("ci", "developer"),)),)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    state = StateDirectory(tmp_path_factory.mktemp("state"))
    return tokens.token_keys(state, "main", NOW, save=True)


@pytest.fixture
def wants(keys):
    def make(of_registry=None, **of_material):
        settings = {"projects": PROJECTS, "gateway": Gateway("nginx:stable")}
        made = registry(**{**settings, **(of_registry or {})})
        (instance,) = made.instances
        found = material(**{"tokens": keys, **of_material})
        image, gateway = Image(made.image), Image(made.gateway.image)
        return RUNTIMES[made.runtime].services(
            "acme", made, instance, found, image, gateway=gateway
        )

    return make


def test_three_services_the_gateway_last(wants):
    users, own, front = wants()
    assert [each.name for each in (users, own, front)] == [
        "regfleet-main.users", "regfleet-main", "regfleet-main.gateway",
    ]  # fmt: skip
    assert front.depends == (users.name, own.name)
    assert (own.where, users.where) == ("127.82.19.136:22500", "127.82.19.136:22501")
    assert front.where == "127.0.0.1:5000"
    assert (front.everywhere, own.everywhere, users.everywhere) == (True, False, False)
    assert (own.storage, users.storage, front.storage) == ("/var/lib/registry", "", "")
    assert [each.image.reference for each in (users, own, front)] == [
        "registry:2", "registry:2", "nginx:stable",
    ]  # fmt: skip
    assert front.probe.path.startswith("/auth/ready/")
    assert (front.probe.kind, own.probe.kind) == ("https", "http")


def test_files_and_modes(wants):
    services = wants()
    found = {file.path: (file.mode, file.secret) for each in services for file in each.files}
    assert found == {
        f"{HOME}/users.yml": (0o600, True),
        f"{HOME}/config.yml": (0o600, True),
        f"{HOME}/tokens.crt": (0o444, False),
        f"{HOME}/htpasswd": (0o600, True),
        f"{HOME}/roles.json": (0o600, False),
        f"{FRONT}/nginx.conf": (0o644, False),
        f"{FRONT}/gateway.js": (0o644, False),
        f"{FRONT}/rights.js": (0o644, False),
        f"{FRONT}/tokens.js": (0o644, False),
        f"{FRONT}/registry.crt": (0o444, False),
        f"{FRONT}/registry.key": (0o600, True),
        f"{FRONT}/policy.js": (0o600, True),
    }
    assert services[2].reloads == tuple(path for path in found if path.startswith(FRONT))


def config(service, name):
    (file,) = (file for file in service.files if file.path == f"{HOME}/{name}")
    return yaml.safe_load(file.content)


def test_the_registry_takes_tokens_alone_on_its_own_host_alone(wants):
    users, own, _ = wants()
    found = config(own, "config.yml")
    assert found["auth"] == {
        "token": {
            "realm": "https://reg.example.com:5000/auth/token",
            "service": "reg.example.com:5000",
            "issuer": "regfleet",
            "rootcertbundle": "/etc/regfleet/tokens.crt",
        }
    }
    assert found["http"]["addr"] == "127.82.19.136:22500"
    assert "tls" not in found["http"]
    assert "cache" not in found["storage"]
    checker = config(users, "users.yml")
    assert checker["http"]["addr"] == "127.82.19.136:22501"
    assert checker["auth"]["htpasswd"]["path"] == "/etc/regfleet/htpasswd"
    assert checker["storage"]["inmemory"] == {}
    assert checker["storage"]["maintenance"]["readonly"] == {"enabled": True}


@pytest.mark.parametrize(
    ("of_registry", "restarted", "reloaded"),
    [
        ({"projects": (Project("team-a", public=True),)}, (), True),
        ({"admins": ("ci",)}, (), True),
        ({"delete": False}, ("regfleet-main",), True),
        ({"limits": Limits(pids=9)},
         ("regfleet-main.users", "regfleet-main", "regfleet-main.gateway"), False),
        ({"limits": Limits(memory="1g")}, ("regfleet-main",), False),
        ({"gateway": Gateway("nginx:1.28")}, ("regfleet-main.gateway",), False),
    ],
)  # fmt: skip
def test_what_a_change_of_the_declaration_restarts(wants, of_registry, restarted, reloaded):
    before, after = wants(), wants(of_registry)
    found = [
        old.name
        for old, new in zip(before, after, strict=True)
        if old.specification != new.specification
    ]
    assert tuple(found) == restarted
    assert (before[2].probe != after[2].probe) == reloaded


@pytest.mark.parametrize("what", ["htpasswd", "pair"])
def test_passwords_and_certificates_are_taken_up_at_once(wants, what):
    changes = {
        "htpasswd": "ci:$2y$05$another\n",
        "pair": replace(material().pair, key_pem=Secret("another")),
    }
    before, after = wants(), wants(**{what: changes[what]})
    assert [each.specification for each in before] == [each.specification for each in after]
    assert before[2].probe != after[2].probe


def test_a_new_key_of_tokens_restarts_the_registry(wants, tmp_path):
    other = tokens.token_keys(StateDirectory(tmp_path / "s"), "main", NOW, save=False)
    before, after = wants(), wants(tokens=other)
    changed = [
        old.specification != new.specification for old, new in zip(before, after, strict=True)
    ]
    assert changed == [False, True, False]


def test_without_tls(wants):
    users, own, front = wants({"tls": Tls("none")}, pair=None)
    assert front.probe.kind == "http"
    realm = config(own, "config.yml")["auth"]["token"]["realm"]
    assert realm == "http://reg.example.com:5000/auth/token"
    (conf,) = (file for file in front.files if file.path.endswith("nginx.conf"))
    assert b"ssl" not in conf.content.replace(b"ssl_", b"").replace(b"tls", b"")
    assert {file.path.rpartition("/")[2] for file in users.files} == {"users.yml"}


def test_how_they_are_confined(wants):
    for service in wants():
        words = KINDS["container"].words(service)
        for word in ("--network=host", "--cap-drop=ALL", "--read-only", "--userns=host",
                     "--security-opt=no-new-privileges", "--pids-limit=4096"):  # fmt: skip
            assert word in words, (service.name, word)
        added = {word for word in words if word.startswith("--cap-add")}
        expected = {"CHOWN", "SETGID", "SETUID"} if service.name.endswith("gateway") else set()
        assert added == {f"--cap-add={each}" for each in expected}


def test_podman_runs_the_same_confined(wants):
    for service in wants({"runtime": "podman", "listen": ("10.0.0.5", 443)}):
        fitted = KINDS["unit"].fitted(service, desired(), observed())
        text = base64.b64decode(KINDS["unit"].words(fitted)[3]).decode()
        for word in ("--network=host", "--cap-drop=ALL", "--read-only", "--userns=host",
                     "--security-opt=no-new-privileges"):  # fmt: skip
            assert f" {word} " in text, (service.name, word)
        front = service.name.endswith("gateway")
        rights = ("CHOWN", "SETGID", "SETUID", "NET_BIND_SERVICE") if front else ()
        assert set(re.findall("--cap-add=([A-Z_]+)", text)) == set(rights)
        # nginx hides its environment: what it is known by is among its arguments.
        assert (f"env REGFLEET_SERVICE={service.name};" in text) == front
        assert f"--env=REGFLEET_SERVICE={service.name}" in text


@pytest.mark.parametrize("init", ["scripts", "openrc"])
def test_scripts_know_nginx_by_its_arguments(wants, init):
    front = wants({"runtime": "podman"})[2]
    fitted = KINDS["unit"].fitted(front, desired(), observed(init=init))
    text = base64.b64decode(KINDS["unit"].words(fitted)[3]).decode()
    assert '"/proc/$pid/cmdline"' in text
    assert "environ" not in text


def test_a_port_of_the_system_takes_a_right(wants):
    front = wants({"listen": ("10.0.0.5", 443)})[2]
    assert "--cap-add=NET_BIND_SERVICE" in front.run.arguments
    assert front.everywhere is False
    (conf,) = (file for file in front.files if file.path.endswith("nginx.conf"))
    assert b"listen 10.0.0.5:443 ssl;" in conf.content
    assert b"[::]" not in conf.content


def test_a_host_without_ipv6(wants):
    front = wants()[2]
    (conf,) = (file for file in front.files if file.path.endswith("nginx.conf"))
    (other,) = (file for file in front.without_ipv6.files if file.path.endswith("nginx.conf"))
    assert b"listen [::]:5000 ssl;" in conf.content
    assert b"[::]" not in other.content
    assert front.probe != front.without_ipv6.probe
    assert [file.path for file in front.files] == [file.path for file in front.without_ipv6.files]
    assert wants({"listen": ("10.0.0.5", 5000)})[2].without_ipv6 is None


def test_places_are_apart():
    """Of two ports, and of one port at two addresses."""
    found = [
        places.behind(5000),
        places.behind(5001),
        places.behind(443),
        places.behind(65535),
        places.behind(5000, "10.0.0.5"),
        places.behind(5000, "10.0.0.6"),
    ]
    assert len({each.address for each in found}) == len(found)
    assert places.behind(5000).inner == "127.82.19.136:22502"
    assert places.behind(65535).address == "127.82.255.255"


@pytest.mark.parametrize("runtime", ["container", "podman", "package"])
def test_a_gateway_elsewhere_has_users_and_roles_and_the_registry_has_images(
    tmp_path, wants, keys, runtime
):
    del wants
    pair = instances.instance_pair(StateDirectory(tmp_path), "main", NOW, save=True)
    gateway = Gateway("nginx:stable", hosts=(host("lb1"), host("lb2")))
    made = registry(projects=PROJECTS, gateway=gateway, runtime=runtime)
    found = material(tokens=keys, instances=pair)

    def on(name):
        image, front = Image(made.image), Image(gateway.image)
        return RUNTIMES[runtime].services(
            "acme", made, made.part_on(name), found, image, gateway=front
        )

    (own,) = on("reg1")
    assert (own.where, own.everywhere, own.probe.kind) == ("127.0.0.1:22510", True, "https")
    assert config(own, "config.yml")["http"]["addr"] == ":22510"
    paths = {file.path for file in own.files}
    assert paths == {f"{HOME}/{name}" for name in (
        "config.yml", "tokens.crt", "instance.crt", "instance.key",
    )}  # fmt: skip
    users, front = on("lb2")
    assert front.depends == (users.name,)
    assert {file.path for file in users.files} == {
        f"{HOME}/users.yml", f"{HOME}/htpasswd", f"{HOME}/roles.json",
    }  # fmt: skip
    assert {each.path for each in users.directories} == {"/etc/regfleet", HOME}
    secrets = {config(users, "users.yml")["http"]["secret"],
               config(own, "config.yml")["http"]["secret"]}  # fmt: skip
    assert len(secrets) == 2
    (text,) = (file.content for file in front.files if file.path.endswith("nginx.conf"))
    assert b"server reg1:22510 max_fails=0;" in text
    assert {each.path for each in front.files if each.secret} == {
        f"{FRONT}/registry.key", f"{FRONT}/policy.js",
    }  # fmt: skip


def test_compose_has_a_file_and_a_project_for_each(wants):
    """What they are kept from, and from what they are made, is what Docker's containers have."""
    dockers = wants()
    services = wants({"runtime": "compose"})
    homes = [HOME + ".users", HOME, FRONT]
    assert [each.made_from for each in services] == [f"{home}/compose.yaml" for home in homes]
    for service, other, home in zip(services, dockers, homes, strict=True):
        assert (service.name, service.depends, service.where) == (
            other.name, other.depends, other.where,
        )  # fmt: skip
        assert {file.path for file in service.files} == {
            *(file.path for file in other.files), f"{home}/compose.yaml", f"{home}/.env",
        }  # fmt: skip
        assert home in {each.path for each in service.directories} | {HOME}
        found = {file.path: file.content for file in service.files}
        (definition,) = yaml.safe_load(found[f"{home}/compose.yaml"])["services"].values()
        words = other.run.arguments
        for key, option in (("cap_drop", "cap-drop"), ("cap_add", "cap-add"),
                            ("security_opt", "security-opt"), ("tmpfs", "tmpfs")):  # fmt: skip
            said = {word.partition("=")[2] for word in words if word.startswith(f"--{option}=")}
            assert said == set(definition.get(key, ())), (service.name, key)
        assert definition["network_mode"] == "host"
        assert definition["read_only"] is True
        assert definition["command"] == list(other.run.command)
        assert f"--entrypoint={definition['entrypoint'][0]}" in words
    front = services[2]
    assert [file.path for file in front.without_ipv6.files] == [file.path for file in front.files]
    assert front.without_ipv6.specification == front.specification
    projects = [file.content.split()[-1] for each in services for file in each.files
                if file.path.endswith("/.env")]  # fmt: skip
    assert projects == [
        b"COMPOSE_PROJECT_NAME=regfleet_main_users",
        b"COMPOSE_PROJECT_NAME=regfleet-main",
        b"COMPOSE_PROJECT_NAME=regfleet_main_gateway",
    ]


@pytest.mark.parametrize("init", ["systemd", "scripts", "openrc"])
def test_packages_are_run_by_units_of_their_own(wants, init):
    services = wants({"runtime": "package", "listen": ("10.0.0.5", 443)})
    texts = {}
    for service in services:
        assert service.image is None
        fitted = KINDS["unit"].fitted(service, desired(), observed(init=init))
        _, unit, path, text = KINDS["unit"].words(fitted)
        texts[service.name] = base64.b64decode(text).decode()
        own = "/etc/systemd/system/{}.service" if init == "systemd" else "/etc/init.d/{}"
        if unit == "docker-registry" and init == "systemd":
            own = "/etc/systemd/system/docker-registry.service.d/regfleet.conf"
        assert path == own.format(service.name)
    users, own, front = texts.values()
    assert "GOMAXPROCS=1" in users.replace("'", "")
    assert "/usr/bin/docker-registry serve /etc/regfleet/main/users.yml" in users
    assert "/usr/bin/docker-registry serve /etc/regfleet/main/config.yml" in own
    # nginx hides its environment: what it is known by is among its arguments.
    assert "env REGFLEET_SERVICE=regfleet-main.gateway;" in front
    rights = {
        "systemd": "CapabilityBoundingSet=CAP_CHOWN CAP_SETGID CAP_SETUID CAP_NET_BIND_SERVICE\n",
    }.get(init, "--bounding-set=-all,+chown,+setgid,+setuid,+net_bind_service")
    assert rights in front
    temporary = "/run/regfleet-main.gateway"
    assert ("RuntimeDirectory=regfleet-main.gateway" if init == "systemd" else temporary) in front
    (conf,) = (file for file in services[2].files if file.path.endswith("nginx.conf"))
    assert f"pid {temporary}/nginx.pid;".encode() in conf.content
    assert b"user www-data;" in conf.content
    # systemd 257 would keep nginx from giving its workers that user.
    assert ("User=root" in own) == (init == "systemd")
    assert "User=" not in users + front


def test_packages_bring_nginx_beside_one_that_is_there(wants):
    front = wants({"runtime": "package"})[2]
    program, module = ObservedPath(NGINX, False, 0o755, (0, 0), "a"), nginx.MODULE
    there = {NGINX: program, module: replace(program, path=module)}

    def fits(paths):
        host = observed(packages="apt-get", paths=paths)
        return KINDS["unit"].needs(front, desired(), host)

    assert fits(there) is None
    for lacking in there:
        _, step = fits({path: found for path, found in there.items() if path != lacking})
        assert step == InstallProgram(
            "apt-get", ("nginx", "libnginx-mod-http-js"), "nginx", beside=True
        )
    assert {NGINX, module} <= set(KINDS["unit"].paths(front))
