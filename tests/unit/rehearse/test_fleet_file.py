"""A twin's fleet and its file are one: parse of render is identity."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from making import client, fleet, host, registry

from regfleet.fleet.clients import Client, Login, Mirror
from regfleet.fleet.load import load
from regfleet.fleet.machines import LOCAL, Host, Ssh
from regfleet.fleet.policies import ALL_AT_ONCE, Replication, Rollout, Smoke
from regfleet.fleet.registries import (
    S3,
    Backup,
    Gateway,
    Limits,
    Member,
    PasswordSource,
    Project,
    Proxy,
    Registry,
    Retention,
    Rule,
    Tls,
    User,
)
from regfleet.fleet.schedules import Schedule
from regfleet.rehearse.casting import cast
from regfleet.rehearse.fleet_file import render
from regfleet.rehearse.likeness import StandIns, likeness, settled

TWO = registry(
    "two",
    "two.example:5000",
    hosts=(host("reg2", user="root", sudo=False),),
    image="registry:3",
    image_archive=Path("/images/r.tar"),
    storage="/srv/two",
    shared=True,
    listen=("127.0.0.1", 5000),
    limits=Limits("2g", 512, "50m", 2),
    delete=False,
    tls=Tls("files", (), Path("/c.crt"), Path("/c.key"), Path("/ca.crt")),
    users=(
        User("ci", PasswordSource("generate")),
        User('o\'brien "x"', PasswordSource("env", "O_BRIEN")),
        User("f", PasswordSource("file", "/secrets/f")),
        User("c", PasswordSource("command", "pass show 'a b' | head -n 1")),
    ),
    smoke=False,
    admins=("ci",),
    projects=(
        Project("team-a/infra", public=True),
        Project("team-a", members=(Member('o\'brien "x"', "guest"), Member("f", "developer"))),
    ),
    gateway=Gateway("nginx:1.28", Path("/images/nginx.tar")),
)
PLAIN = registry(
    "plain-1",
    "plain.example",
    hosts=(host("reg2", user="root", sudo=False),),
    tls=Tls("none"),
    storage="",
    s3=S3("registry", "eu-central-1"),
    allow_plaintext_passwords=True,
    retention=Retention(
        (
            Rule(("dev/*", "a"), 3, 86400, ("v*",), keep_deployed=True),
            Rule(("x",), keep_tags=("1", "2")),
        ),
        7200,
    ),
)
BACKED_UP = registry(
    "kept",
    "kept.example:5003",
    hosts=(host("reg3"),),
    backup=Backup(
        "/mnt/b",
        mounted=True,
        keep=3,
        schedule=Schedule(86400, "02:30"),
        key=PasswordSource("env", "KEY"),
    ),
)
CACHE = registry("cache", "cache.example:5002", hosts=(host("web1"),), users=(), smoke=False,
                 proxy="https://up.example", serves_docker_hub=True,
                 storage="/srv/cache", image="registry:3", proxy_ttl="36h",
                 proxy_user=User("me", PasswordSource("env", "HUB")))  # fmt: skip
OUTSIDE = registry("out", "out.example", hosts=(), external=True, users=(), smoke=False,
                   storage="/var/lib/registry", tls=Tls("public"))  # fmt: skip
CORP = replace(OUTSIDE, name="corp", endpoint="corp.example:5000", tls=Tls("files", ca=Path("/x")))
LOGIN = Login("main", "ci", ("root", "jenkins"))
DAEMON = {"live-restore": True, "log-opts": {"max-size": "10m"}, "dns": ["192.0.2.1"], "mtu": 9000}
MAIN = registry(tls=Tls("fleet-ca", ("x.example",)))
READ_ONLY = replace(
    MAIN, name="main.readonly", endpoint="reg.example.com:5001", read_only_of="main", smoke=False,
    delete=False, users=(User("replica", PasswordSource("generate")),), image="registry:3",
)  # fmt: skip
WHOLE = fleet(
    [MAIN, READ_ONLY, TWO, PLAIN, BACKED_UP, CACHE, OUTSIDE, CORP],
    [
        client(logins=(LOGIN,), daemon=DAEMON, migrate_flags=True, vendor=True,
               registries=("main", "two", "plain-1", "out", "corp"),
               mirrors=(Mirror("https://cache.example:5002", "cache"), Mirror("https://mirror.example"))),
        client("rest", hosts=(Host(LOCAL, "localhost", Ssh(None, 22, None, True, "strict", None)),),
               engine="podman", install=False, registries=(),
               proxy=Proxy("http://p:1", "", ("x.example",), User("u", PasswordSource("env", "P")),
                           containers=True)),
        client("own", hosts=(host("own1"),), engine="docker-rootless", account="alice",
               registries=(), logins=(Login("main", "ci", ("alice",)),)),
    ],
    rollout=Rollout(2, 5, 3),
    smoke=Smoke("alpine:3", Path("/images/alpine.tar")),
    replications={
        "north": Replication("north", "main", ("two",), ("prod/*",), ("prod/x",), ("v*", "l"), 7200,
                             conflict="keep", parallel=3, run_on="source",
                             logins={"main": "ci", "two": "ci"}),
        "plain": Replication("plain", "plain-1", ("two",), repositories=("dev/*",),
                             run_on="controller", logins={"plain-1": "ci", "two": "ci"}),
        "away": Replication("away", "out", ("plain-1",)),
    },
)  # fmt: skip


def twin_of(whole, folder):
    made = likeness(whole, cast(whole), StandIns(), "caller")
    return settled(
        made.fleet,
        {part.name: f"10.0.0.{number}" for number, part in enumerate(made.parts, 2)},
        key=folder / "id_ed25519",
        known_hosts=folder / "known_hosts",
        upstreams={part.name: 5999 for part in made.parts},
    )


@pytest.mark.parametrize("whole", [WHOLE, fleet(rollout=ALL_AT_ONCE)], ids=["whole", "plain"])
def test_what_is_written_loads_as_the_twins_fleet(whole, tmp_path):
    twin = twin_of(whole, tmp_path)
    twin.path.write_text(render(twin), "utf-8")
    assert load(twin.path, files_needed=False) == twin


@pytest.mark.parametrize(
    ("kind", "examples"),
    [
        (Registry, [registry(), READ_ONLY, TWO, CACHE, PLAIN, BACKED_UP, OUTSIDE]),
        (Client, list(WHOLE.clients.values())),
    ],
)
def test_the_whole_fleet_above_says_something_of_everything(kind, examples):
    """A new field has to be in the file, too: give it another value in one of the examples."""
    for field in fields(kind):
        values = {repr(getattr(example, field.name)) for example in examples}
        assert len(values) > 1 or field.name in NO_OTHER_VALUE, field.name


# A throwaway host has nothing to adopt, and the stand-in of an upstream is beside its cache.
NO_OTHER_VALUE = {"runtime", "adopt", "http_proxy"}


def test_no_secret_is_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("O_BRIEN", "kanarienvogel")
    text = render(twin_of(WHOLE, tmp_path))
    assert "O_BRIEN" in text
    assert "kanarienvogel" not in text
    assert not re.search(r"password = \"(?!generate)", text)
    assert json.dumps(DAEMON["log-opts"]["max-size"]) in text
