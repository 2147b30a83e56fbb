"""Small values of the fleet's model, of hosts as they should be and as they were seen."""

from datetime import datetime, timezone
from pathlib import Path

from regfleet.desired.model import Container, DesiredHost, Image, LoginEntry
from regfleet.fleet.model import (
    Client,
    Fleet,
    Host,
    Login,
    PasswordSource,
    Registry,
    Rollout,
    Smoke,
    Ssh,
    Tls,
    User,
)
from regfleet.look.observed import ObservedEngine, ObservedHost
from regfleet.materials import Materials, RegistryMaterial
from regfleet.pki.certificates import ServerPair
from regfleet.secret import Secret

CANARY = "kanarienvogel-8d1f"  # a password that must not show up anywhere
SALT = "5a17"
SSH = Ssh("ops", 22, None, True, "strict", None)
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def host(name="web1", **ssh):
    settings = {
        "user": "ops",
        "port": 22,
        "key": None,
        "sudo": True,
        "host_key_checking": "strict",
        "known_hosts": None,
    }
    return Host(name, name, Ssh(**{**settings, **ssh}))


def registry(name="main", endpoint="reg.example.com:5000", **changes):
    settings = {
        "hosts": (host("reg1"),),
        "external": False,
        "runtime": "container",
        "image": "registry:2",
        "image_archive": None,
        "storage": "/var/lib/registry",
        "delete": True,
        "tls": Tls("fleet-ca"),
        "users": (User("ci", PasswordSource("generate")),),
        "allow_plaintext_passwords": False,
        "smoke": True,
    }
    return Registry(name, endpoint, **{**settings, **changes})


def client(name="build", **changes):
    settings = {
        "hosts": (host("web1"), host("web2")),
        "engine": "docker",
        "install": True,
        "registries": ("main",),
        "mirrors": (),
        "logins": (),
        "daemon": {},
    }
    return Client(name, **{**settings, **changes})


def fleet(registries=None, clients=None, **changes):
    registries = [registry()] if registries is None else registries
    clients = [client()] if clients is None else clients
    settings = {
        "name": "acme",
        "path": Path("/srv/fleets/acme.toml"),
        "rollout": Rollout(1, "20%", 0),
        "smoke": Smoke("busybox:latest", None),
    }
    return Fleet(
        registries={each.name: each for each in registries},
        clients={each.name: each for each in clients},
        **{**settings, **changes},
    )


def material(**changes):
    pair = ServerPair(b"CERT\n", Secret(CANARY), b"CA\n", NOW, NOW, ("reg.example.com",))
    settings = {
        "pair": pair,
        "ca": b"CA\n",
        "htpasswd": "ci:$2y$05$x\n",
        "http_secret": Secret(CANARY),
        "passwords": {"ci": Secret(CANARY)},
    }
    return RegistryMaterial(**{**settings, **changes})


def materials(for_fleet, **by_name):
    found = {name: by_name.get(name, material()) for name in for_fleet.registries}
    return Materials(found, SALT)


def login(account="root", endpoint="reg.example.com:5000", user="ci", password=CANARY):
    return LoginEntry(account, endpoint, user, Secret(password), "main", "client.build.login: main")


def container(name="regfleet-main", **changes):
    settings = {
        "image": Image("registry:2"),
        "arguments": ("--publish=5000:5000",),
        "command": ("serve", "/etc/regfleet/config.yml"),
        "storage": "/var/lib/registry",
        "inputs": ("aa",),
        "port": 5000,
        "tls": True,
        "registry": "main",
        "fleet": "acme",
        "reason": "registry.main",
    }
    return Container(name, **{**settings, **changes})


def desired(**changes):
    return DesiredHost(**{"name": "web1", "fleet": "acme", "engine": "docker", **changes})


def engine(state="up", **changes):
    return ObservedEngine(state, **{"version": "26.1.5", **changes})


def observed(**changes):
    settings = {
        "uid": 0,
        "clock": 0,
        "os": "debian",
        "os_version": "13",
        "init": "systemd",
        "packages": "apt-get",
        "paths": {},
        "daemon_json": None,
        "record": None,
        "owned": {},
        "engine": engine(),
        "containers": {},
        "images": {},
        "logins": {},
    }
    return ObservedHost(**{**settings, **changes})


def with_login(registry_name="main", user="ci", accounts=("root",)):
    return (Login(registry_name, user, accounts),)
