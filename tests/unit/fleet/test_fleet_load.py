from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from regfleet.errors import EXIT_USAGE, FleetFileError, Mistake
from regfleet.fleet.clients import Login, Mirror
from regfleet.fleet.load import load
from regfleet.fleet.machines import Host, Ssh
from regfleet.fleet.model import Fleet
from regfleet.fleet.policies import ALL_AT_ONCE, Rollout, Smoke
from regfleet.fleet.registries import Gateway, Member, PasswordSource, Project, Tls, User
from regfleet.fleet.schema import defaults

Loads = Callable[[str], Fleet]

HEAD = 'version = 1\nname = "acme"\n'
WHOLE = """\
version = 1
name = "acme"

[ssh]
user = "ops"
port = 2022
key = "~/.ssh/id_ed25519"
sudo = true
host_key_checking = "accept-new"
known_hosts = "known_hosts"

[registry.main]
hosts = [{ name = "reg1", address = "192.0.2.1", ssh = { user = "root", port = 22 } }]
endpoint = "registry.example.com:5000"
runtime = "container"
image = "registry:3"
image_archive = "images/registry.tar"
storage = "/srv/registry"
delete = false
smoke = false
[registry.main.tls]
source = "files"
names = ["registry.internal"]
certificate = "tls/a.crt"
key = "tls/a.key"
ca = "tls/ca.crt"
[registry.main.users]
env = { password = { env = "P" } }
file = { password = { file = "secret" } }
command = { password = { command = "pass show x" } }
made = { password = "generate" }

[registry.plain]
hosts = ["reg[2:2].example.com"]
tls = { source = "none" }
users = { a = { password = "generate" } }
allow_plaintext_passwords = true

[registry.hub]
external = true
endpoint = "hub.example.com"
smoke = true
users = { me = { password = { env = "HUB" } } }

[client.build]
hosts = ["build[01:02]", "reg2.example.com"]
engine = "docker"
install = false
registries = ["main", "hub"]
mirrors = ["https://mirror.example.com", "main", "plain", "https://hub.example.com/cache"]
login = { main = "made", hub = { user = "me", for = ["ops", "root"] } }
daemon = { live-restore = true, log-opts = { max-size = "10m" } }

[rollout]
canary = 0
batch = 5
max_failures = 2

[smoke]
image = "hub.example.com/busybox:1"
image_archive = "images/busybox.tar"
"""
FILES = ("images/registry.tar", "images/busybox.tar", "tls/a.crt", "tls/a.key", "tls/ca.crt")


@pytest.fixture
def whole(tmp_path: Path, fleet_of: Loads, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("HOME", "/home/me")
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return fleet_of(WHOLE)


def test_hosts_and_ssh(whole: Fleet, tmp_path: Path) -> None:
    fleet_wide = Ssh(
        user="ops",
        port=2022,
        key=Path("/home/me/.ssh/id_ed25519"),
        sudo=True,
        host_key_checking="accept-new",
        known_hosts=tmp_path / "known_hosts",
    )
    own = Ssh("root", 22, fleet_wide.key, True, "accept-new", fleet_wide.known_hosts)
    assert whole.hosts() == {
        "reg1": Host("reg1", "192.0.2.1", own),
        "reg2.example.com": Host("reg2.example.com", "reg2.example.com", fleet_wide),
        "build01": Host("build01", "build01", fleet_wide),
        "build02": Host("build02", "build02", fleet_wide),
    }
    assert whole.groups() == {
        "registry_main": ("reg1",),
        "registry_plain": ("reg2.example.com",),
        "client_build": ("build01", "build02", "reg2.example.com"),
        "registries": ("reg1", "reg2.example.com"),
        "clients": ("build01", "build02", "reg2.example.com"),
    }


def test_registries(whole: Fleet, tmp_path: Path) -> None:
    main, plain, hub = whole.registries.values()
    assert (main.name, plain.name, hub.name) == ("main", "plain", "hub")
    assert main.endpoint == "registry.example.com:5000"
    assert (main.image, main.storage, main.delete) == ("registry:3", "/srv/registry", False)
    assert main.image_archive == tmp_path / "images/registry.tar"
    assert main.tls == Tls(
        source="files",
        names=("registry.internal",),
        certificate=tmp_path / "tls/a.crt",
        key=tmp_path / "tls/a.key",
        ca=tmp_path / "tls/ca.crt",
    )
    assert main.users == (
        User("env", PasswordSource("env", "P")),
        User("file", PasswordSource("file", str(tmp_path / "secret"))),
        User("command", PasswordSource("command", "pass show x")),
        User("made", PasswordSource("generate")),
    )
    assert (plain.endpoint, plain.tls) == ("reg2.example.com:5000", Tls("none"))
    assert plain.allow_plaintext_passwords
    assert (hub.external, hub.hosts, hub.tls) == (True, (), Tls("public"))
    assert [each.smoke for each in (main, plain, hub)] == [False, True, True]


def test_clients(whole: Fleet) -> None:
    (build,) = whole.clients.values()
    assert (build.name, build.engine, build.install) == ("build", "docker", False)
    assert build.registries == ("main", "hub")
    assert build.mirrors == (
        Mirror("https://mirror.example.com"),
        Mirror("https://registry.example.com:5000", "main"),
        Mirror("http://reg2.example.com:5000", "plain"),
        Mirror("https://hub.example.com/cache", "hub"),
    )
    assert build.mirrored == {"main", "plain", "hub"}
    assert build.uses == {"main", "plain", "hub"}
    assert build.logins == (Login("main", "made"), Login("hub", "me", ("ops", "root")))
    assert build.daemon == {"live-restore": True, "log-opts": {"max-size": "10m"}}


ROLES = """\
admins = ["root"]
users.root.password = "generate"
users."al ice".password = "generate"
[registry.main.projects."team-a/infra"]
public = true
[registry.main.projects.team-a]
members = { "al ice" = "developer" }
"""


def test_projects_and_their_gateway(fleet_of: Loads) -> None:
    main = fleet_of(f'{HEAD}[registry.main]\nhosts = ["reg1"]\n{ROLES}').registries["main"]
    assert main.admins == ("root",)
    assert main.projects == (
        Project("team-a/infra", public=True),
        Project("team-a", members=(Member("al ice", "developer"),)),
    )
    assert main.gateway == Gateway("nginx:stable")


def test_an_included_file_may_declare_projects(fleet_of: Loads, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/nginx.tar").touch()
    gateway = '[registry.main.gateway]\nimage = "nginx:1.28"\nimage_archive = "nginx.tar"\n'
    (tmp_path / "sub/r.toml").write_text(f'[registry.main]\nhosts = ["reg1"]\n{ROLES}{gateway}')
    main = fleet_of(f'{HEAD}include = ["sub/*.toml"]\n').registries["main"]
    assert len(main.projects) == 2
    assert main.gateway == Gateway("nginx:1.28", tmp_path / "sub/nginx.tar")


@pytest.mark.parametrize(
    ("table", "rollout"),
    [
        ("", ALL_AT_ONCE),
        ("[rollout]", Rollout(canary=1, batch="20%", max_failures=0)),
        ("[rollout]\nbatch = 3", Rollout(canary=1, batch=3, max_failures=0)),
    ],
)
def test_rollout(fleet_of: Loads, table: str, rollout: Rollout) -> None:
    assert fleet_of(f'{HEAD}[client.all]\nhosts = ["a"]\n{table}\n').rollout == rollout


def test_the_rest(whole: Fleet, tmp_path: Path) -> None:
    assert (whole.name, whole.path) == ("acme", tmp_path / "fleet.toml")
    assert whole.rollout == Rollout(canary=0, batch=5, max_failures=2)
    assert whole.smoke == Smoke("hub.example.com/busybox:1", tmp_path / "images/busybox.tar")


def test_defaults(fleet_of: Loads) -> None:
    fleet = fleet_of(
        HEAD + '[registry.main]\nhosts = ["reg1"]\n[registry.hub]\nexternal = true\n'
        'endpoint = "hub.example.com"\n[client.all]\nhosts = ["a"]\n'
    )
    ssh = Ssh(None, None, None, True, None, None)
    main, hub = fleet.registries.values()
    assert main.hosts == (Host("reg1", "reg1", ssh),)
    assert (main.endpoint, main.external, main.runtime) == ("reg1:5000", False, "container")
    assert (main.image, main.image_archive) == ("registry:2", None)
    assert (main.storage, main.delete) == ("/var/lib/registry", True)
    assert (main.tls, main.users) == (Tls("fleet-ca"), ())
    assert (main.allow_plaintext_passwords, main.smoke) == (False, True)
    assert (main.admins, main.projects, main.gateway) == ((), (), None)
    assert hub.smoke is False
    client = fleet.clients["all"]
    assert (client.engine, client.install) == ("docker", True)
    assert (client.registries, client.mirrors, client.logins, client.daemon) == ((), (), (), {})
    assert fleet.rollout == ALL_AT_ONCE
    client.daemon["x"] = 1  # type: ignore[index]  # the schema's own table is not given away
    assert defaults("client")["daemon"] == {}
    assert fleet.smoke == Smoke("busybox:latest", None)


@pytest.mark.parametrize(
    ("fleet_wide", "own", "sudo"),
    [
        ("", "", True),
        ('user = "root"', "", False),
        ('user = "root"\nsudo = true', "", True),
        ('user = "ops"', 'user = "root"', False),
        ('user = "root"', 'user = "ops"', True),
        ("sudo = false", 'user = "ops"', False),
        ('user = "root"', "sudo = true", True),
    ],
)
def test_sudo_is_not_for_root(fleet_of: Loads, fleet_wide: str, own: str, sudo: bool) -> None:
    host = f'{{ name = "a", ssh = {{ {own} }} }}'
    fleet = fleet_of(f"{HEAD}[ssh]\n{fleet_wide}\n[client.all]\nhosts = [{host}]\n")
    assert fleet.hosts()["a"].ssh.sudo is sudo


@pytest.mark.parametrize(
    ("fleet_wide", "uid", "sudo"),
    [("", 0, False), ("", 1000, True), ("sudo = false", 1000, False), ("sudo = true", 0, True)],
)
def test_this_machine(
    fleet_of: Loads, monkeypatch: pytest.MonkeyPatch, fleet_wide: str, uid: int, sudo: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    fleet = fleet_of(
        f'{HEAD}[ssh]\nuser = "root"\nport = 2222\n{fleet_wide}\n'
        '[registry.main]\nhosts = ["@local"]\nendpoint = "localhost:5000"\n'
        '[client.all]\nhosts = ["@local", "b"]\n'
    )
    local = fleet.hosts()["@local"]
    assert local.is_local
    assert (local.address, local.ssh.user, local.ssh.port) == ("localhost", None, None)
    assert local.ssh.sudo is sudo
    assert fleet.hosts()["b"].ssh.user == "root"


@pytest.mark.parametrize(
    ("item", "endpoint"),
    [
        ('"Reg1.Example.com"', "reg1.example.com:5000"),
        ('"2001:db8::1"', "[2001:db8::1]:5000"),
        ('{ name = "reg1", address = "192.0.2.1" }', "192.0.2.1:5000"),
        ('{ name = "reg_1", address = "2001:DB8::1" }', "[2001:db8::1]:5000"),
    ],
)
def test_the_endpoint_where_none_is_written(fleet_of: Loads, item: str, endpoint: str) -> None:
    fleet = fleet_of(f"{HEAD}[registry.main]\nhosts = [{item}]\n")
    assert fleet.registries["main"].endpoint == endpoint


@pytest.mark.parametrize(
    "text",
    [
        # one host, two registries, each with its port and its storage; and a client too
        """
        [registry.a]
        hosts = ["r"]
        [registry.b]
        hosts = ["r"]
        endpoint = "r:5001"
        storage = "/b"
        [client.c]
        hosts = ["r"]
        """,
        # one port on two hosts
        """
        [registry.a]
        hosts = ["r1"]
        [registry.b]
        hosts = ["r2"]
        """,
        # two machines behind one address
        """
        [client.a]
        hosts = [
          { name = "a", address = "192.0.2.1", ssh = { port = 1 } },
          { name = "b", address = "192.0.2.1", ssh = { port = 2 } },
        ]
        """,
        # two clients that agree, or complete each other, on one host
        """
        [registry.m]
        hosts = ["r"]
        [registry.m.users]
        u = { password = "generate" }
        v = { password = "generate" }
        [client.a]
        hosts = ["w"]
        registries = ["m"]
        login = { m = "u" }
        daemon = { x = 1, y = [1] }
        [client.b]
        hosts = ["w"]
        engine = "docker"
        mirrors = ["m"]
        login = { m = { user = "v", for = ["ops"] } }
        daemon = { y = [1], z = 2 }
        """,
        # settings that differ, on different hosts
        """
        [client.a]
        hosts = ["w1"]
        install = true
        [client.b]
        hosts = ["w2"]
        install = false
        """,
        # the same said of a host in two ways
        """
        [ssh]
        port = 22
        [client.a]
        hosts = ["w"]
        [client.b]
        hosts = [{ name = "w", address = "w", ssh = { port = 22 } }]
        """,
        # external registries with a CA of their own, and without TLS
        """
        [registry.a]
        external = true
        endpoint = "a.b"
        tls = { source = "files", ca = "fleet.toml" }
        [registry.b]
        external = true
        endpoint = "b.c"
        tls = { source = "none" }
        """,
        # no registry at all
        """
        [registry]
        [client.a]
        hosts = ["w"]
        """,
    ],
)
def test_what_is_allowed(fleet_of: Loads, text: str) -> None:
    assert fleet_of(HEAD + text).name == "acme"


def test_all_mistakes_at_once(mistakes_of: Callable[[str], tuple[Mistake, ...]]) -> None:
    text = (
        "version = 1\n"  # 1
        "[ssh]\n"  # 2
        "port = 0\n"  # 3
        "[registry.main]\n"  # 4
        'hosts = ["reg 1"]\n'  # 5
        'runtime = "docker"\n'  # 6
        "[registry.main.users]\n"  # 7
        "ci = { password = 3 }\n"  # 8
        "[registry.broken]\n"  # 9
        "hosts = 3\n"  # 10
        'storage = "x"\n'  # 11
        "[client.build]\n"  # 12
        'hosts = ["a", "a", "-"]\n'  # 13
        'registries = ["main", "broken", "mian"]\n'  # 14
        'mirrors = ["https://u@m", "broken", "other"]\n'  # 15
        'login = { main = "ci", broken = "x" }\n'  # 16
    )
    assert [(each.line, each.path) for each in mistakes_of(text)] == [
        (0, "name"),
        (3, "ssh.port"),
        (5, "registry.main.hosts[0]"),
        (6, "registry.main.runtime"),
        (8, "registry.main.users.ci.password"),
        (10, "registry.broken.hosts"),
        (11, "registry.broken.storage"),
        (13, "client.build.hosts[1]"),
        (13, "client.build.hosts[2]"),
        (14, "client.build.registries[2]"),
        (15, "client.build.mirrors[0]"),
        (15, "client.build.mirrors[2]"),
        (16, "client.build.login.broken"),
    ]


def test_references_to_what_is_broken_are_not_mistakes_too(
    mistakes_of: Callable[[str], tuple[Mistake, ...]],
) -> None:
    tail = '[client.a]\nhosts = ["w"]\nregistries = ["m"]\nmirrors = ["m"]\nlogin = { m = "u" }\n'
    for broken in ("registry = 3\n", "registry.m = 3\n", "registry.m.users = 3\n"):
        mistakes = {each.path for each in mistakes_of(f"{HEAD}{broken}{tail}")}
        assert mistakes <= {"registry", "registry.m", "registry.m.users", "registry.m.hosts"}, (
            broken
        )


def test_the_error_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fleet.toml").write_text(HEAD + '[client.a]\nhosts = ["w"]\nmirrors = ["x"]\nengin = 1\n')
    with pytest.raises(FleetFileError) as caught:
        load(Path("fleet.toml"))
    assert caught.value.exit_code == EXIT_USAGE
    assert str(caught.value) == (
        "fleet.toml: 2 mistakes\n"
        '  line 5: client.a.mirrors[0]: no registry "x" is declared\n'
        "      a mirror's URL begins with https:// or http://\n"
        "  line 6: client.a.engin: is not a known key\n"
        "      did you mean engine?"
    )


def test_a_relative_path_makes_an_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fleet.toml").write_text(HEAD + '[ssh]\nkey = "k"\n[client.a]\nhosts = ["w"]\n')
    fleet = load(Path("fleet.toml"))
    assert fleet.path == tmp_path / "fleet.toml"
    assert fleet.hosts()["w"].ssh.key == tmp_path / "k"


def test_more_hosts_than_are_taken(mistakes_of: Callable[[str], tuple[Mistake, ...]]) -> None:
    (mistake,) = mistakes_of(HEAD + '[client.a]\nhosts = ["a[1:60000]", "b[1:60000]"]\n')
    assert mistake.message == "declares more than 100000 hosts"


def test_nothing_kept_beside_it_has_a_broken_file_pass(tmp_path: Path) -> None:
    """A proof that a text was valid was kept there once, and anybody could write one."""
    file = tmp_path / "fleet.toml"
    file.write_text(HEAD + "[registry.main]\nhostz = []\n")
    ours = [Path(name) for name in ("schema/fleet.schema.json", "src/regfleet/fleet/formats.py")]
    root = Path(__file__).resolve().parents[3]
    parts = [hashlib.sha256((root / each).read_bytes()).digest() for each in ours]
    digest = hashlib.sha256(b"".join(parts) + file.read_bytes()).hexdigest()
    proof = tmp_path / ".regfleet/acme/validated"
    proof.parent.mkdir(parents=True)
    proof.write_text(digest)
    with pytest.raises(FleetFileError, match="hostz"):
        load(file)
