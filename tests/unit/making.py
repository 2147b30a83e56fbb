"""Small values of the fleet's model, of hosts as they should be and as they were seen."""

import os
from datetime import datetime, timezone
from pathlib import Path

from regfleet import archives
from regfleet.documents import unit
from regfleet.documents.interface import path
from regfleet.fleet.clients import Client, Login
from regfleet.fleet.machines import Host, Ssh
from regfleet.fleet.model import Fleet
from regfleet.fleet.policies import Rollout, Smoke
from regfleet.fleet.registries import PasswordSource, Registry, Tls, User
from regfleet.look.parse import parse
from regfleet.materials import Materials, RegistryMaterial
from regfleet.model.desired import DesiredHost, LoginEntry, WantedSettings
from regfleet.model.observed import ObservedEngine, ObservedHost, ObservedService
from regfleet.model.service import ContainerRun, Image, Service, registry_probe
from regfleet.pki.certificates import ServerPair
from regfleet.record import DAEMON_JSON, Owned, OwnedEdit
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
    given = [each.image_archive for each in for_fleet.registries.values()]
    paths = [path for path in (*given, for_fleet.smoke.image_archive) if path]
    return Materials(found, SALT, {path: archives.digest(path) for path in paths})


def login(account="root", endpoint="reg.example.com:5000", user="ci", password=CANARY):
    registry, reason = "main", "client.build.login: main"
    at_home = ("docker", ".docker/config.json")
    return LoginEntry(account, endpoint, user, Secret(password), registry, reason, *at_home)


def container(name="regfleet-main", *, tls=True, **changes):
    """A service that Docker runs; what `ContainerRun` has may be among the changes."""
    run = {
        "arguments": ("--publish=5000:5000",),
        "command": ("serve", "/etc/regfleet/config.yml"),
        "log_options": (),
    }
    run = {key: changes.pop(key, value) for key, value in run.items()}
    settings = {
        "run": ContainerRun(**run),
        "probe": registry_probe(tls=tls),
        "image": Image("registry:2"),
        "storage": "/var/lib/registry",
        "inputs": ("aa",),
        "port": 5000,
        "everywhere": True,
        "registry": "main",
        "fleet": "acme",
        "reason": "registry.main",
    }
    return Service(name, **{**settings, **changes})


def seen_container(name, running, image, specification, fleet, ports=None):  # noqa: PLR0917
    """A container as the look finds it."""
    return ObservedService(name, "container", running, specification, fleet, image, ports)


def daemon_json(lists=None, values=None, reasons=None):
    """What is wanted in daemon.json, by the names of its keys."""
    parts = (lists or {}, values or {}, reasons or {})
    return WantedSettings(*({path(key): each for key, each in part.items()} for part in parts))


def owned_daemon_json(lists=None, values=None, created=False):
    """A fleet that owns something in daemon.json, by the names of its keys."""
    parts = (lists or {}, values or {})
    edit = OwnedEdit(created, *({path(key): each for key, each in part.items()} for part in parts))
    return Owned(edits={DAEMON_JSON: edit})


def desired(**changes):
    """A host that has to have something; `daemon` is what is wanted in daemon.json."""
    if daemon := changes.pop("daemon", None):
        changes["edits"] = {**changes.get("edits", {}), DAEMON_JSON: daemon}
    return DesiredHost(**{"name": "web1", "fleet": "acme", "engine": "docker", **changes})


def engine(state="up", **changes):
    return ObservedEngine(state, **{"version": "26.1.5", **changes})


def systemctl_show(texts, **more):
    """What systemd says of docker.service with these files (tests/fleet/test_docker_flags.py asks
    a real one), as `ObservedEngine.start` has it."""
    files = [path for path in texts if path.endswith("/docker.service")]
    files += sorted((path for path in texts if "service.d/" in path), key=os.path.basename)
    command, read, assigned = "", [], {}

    def quoted(value):
        return value.replace("\\", "\\\\").replace('"', '\\"')

    for file in files:
        for setting in unit.settings(texts[file]):
            words = [word.text for word in setting.words]
            if setting.name == "ExecStart":
                command = " ".join(words)
            elif setting.name == "EnvironmentFile":
                read = [*read, *words] if words else []
            elif setting.name == "Environment":
                assigned = dict(word.partition("=")[::2] for word in words) and {
                    **assigned,
                    **dict(word.partition("=")[::2] for word in words),
                }
    shown = {
        "FragmentPath": files[:1],
        "DropInPaths": [" ".join(files[1:])],
        "ExecStart": [f"{{ path=x ; argv[]={command} ; ignore_errors=no ; pid=0 }}"]
        if command
        else [],
        "EnvironmentFiles": [
            f"{file.removeprefix('-')} (ignore_errors={'yes' if file[0] == '-' else 'no'})"
            for file in read
        ],
        "Environment": [" ".join(f'"{name}={quoted(value)}"' for name, value in assigned.items())],
        "NeedDaemonReload": ["no"],
        **more,
    }
    return {name: tuple(filter(None, values)) for name, values in shown.items() if any(values)}


def observed(**changes):
    """A host that was looked at; `daemon_json` and `original` are that file's texts."""
    for texts, name in (("texts", "daemon_json"), ("originals", "original")):
        if (text := changes.pop(name, None)) is not None:
            config = changes.get("engine", engine()).config
            changes[texts] = {**changes.get(texts, {}), config: text}
    settings = {
        "uid": 0,
        "clock": 0,
        "os": "debian",
        "os_version": "13",
        "init": "systemd",
        "packages": "apt-get",
        "paths": {},
        "record": None,
        "owned": {},
        "engine": engine(),
        "services": {},
        "images": {},
        "logins": {},
    }
    return ObservedHost(**{**settings, **changes})


MARK = "look-1"


def parse_look(host, lines):
    """A host from a look's lines: framed, but for those that the shell says last."""
    last = [line for line in lines if line.startswith("@exit")]
    return parse(host, [f"@begin {MARK}", *lines, f"@end {MARK}", *last], MARK)


def with_login(registry_name="main", user="ci", accounts=("root",)):
    return (Login(registry_name, user, accounts),)
