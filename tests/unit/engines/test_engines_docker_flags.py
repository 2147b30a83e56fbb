"""Where dockerd's flags are set, which of them are in daemon.json's way, and how they move."""

import json

import pytest
from making import desired, engine, observed

from regfleet.desired.model import DaemonSettings
from regfleet.documents import sysconfig
from regfleet.documents.interface import path
from regfleet.engines import docker_facts, docker_start
from regfleet.engines.docker import Docker
from regfleet.errors import HostError
from regfleet.plan.model import EditDaemon, EditFile
from regfleet.record import Owned, OwnedList, OwnedValue

UNIT = "/lib/systemd/system/docker.service"
DROP_INS = "/etc/systemd/system/docker.service.d"
SYSCONFIG = "/etc/sysconfig/docker"
DEFAULT = "/etc/default/docker"
PACKAGED = """\
[Service]
EnvironmentFile=-/etc/default/docker
ExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS
"""
CENTOS = """\
[Service]
EnvironmentFile=-/etc/sysconfig/docker
EnvironmentFile=-/etc/sysconfig/docker-network
ExecStart=/usr/bin/dockerd-current \\
          --exec-opt native.cgroupdriver=systemd \\
          $OPTIONS \\
          $DOCKER_NETWORK_OPTIONS
"""
OURS = DaemonSettings({"insecure-registries": ("ours:5000",)}, {})


def seen(texts, flags=(), document=None, init="systemd", **of_engine):
    text = None if document is None else json.dumps(document)
    state = of_engine.pop("state", "up")
    return observed(
        texts=texts,
        init=init,
        daemon_json=text,
        engine=engine(state, flags=("dockerd", *flags) if flags else (), **of_engine),
    )


def given(texts, **more):
    found = docker_start.of(seen(texts, **more)).given
    return [(flag.key, flag.written, flag.place) for flag in found]


# ---- where they are ----

FD = ("hosts", "-H fd://")
PLACES = {
    "the package's unit": ({UNIT: PACKAGED}, [(*FD, UNIT)]),
    "a variable": (
        {UNIT: PACKAGED, DEFAULT: 'DOCKER_OPTS="-D --dns=1.1.1.1"\n'},
        [
            (*FD, UNIT),
            ("debug", "-D", f"DOCKER_OPTS in {DEFAULT}"),
            ("dns", "--dns=1.1.1.1", f"DOCKER_OPTS in {DEFAULT}"),
        ],
    ),
    "another variable": ({UNIT: PACKAGED, DEFAULT: "OPTIONS=-D\n"}, [(*FD, UNIT)]),
    "a file that is not read": ({UNIT: PACKAGED, SYSCONFIG: "DOCKER_OPTS=-D\n"}, [(*FD, UNIT)]),
    "a drop-in": (
        {
            UNIT: PACKAGED,
            f"{DROP_INS}/b.conf": "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -l debug\n",
        },
        [("log-level", "-l debug", f"{DROP_INS}/b.conf")],
    ),
    "two drop-ins, by name": (
        {
            UNIT: PACKAGED,
            "/run/systemd/system/docker.service.d/20.conf": "[Service]\nExecStart=\n",
            f"{DROP_INS}/30.conf": "[Service]\nExecStart=/usr/sbin/dockerd --icc=false\n",
            f"{DROP_INS}/10.conf": "[Service]\nExecStart=/usr/sbin/dockerd -D\n",
        },
        [("icc", "--icc=false", f"{DROP_INS}/30.conf")],
    ),
    "a file that is read last": (
        {
            UNIT: PACKAGED,
            f"{DROP_INS}/a.conf": "[Service]\nEnvironmentFile=/etc/own\n",
            DEFAULT: "DOCKER_OPTS=-D\n",
            "/etc/own": "DOCKER_OPTS=--ipv6\n",
        },
        [(*FD, UNIT), ("ipv6", "--ipv6", "DOCKER_OPTS in /etc/own")],
    ),
    "CentOS": (
        {UNIT: CENTOS.replace("-current", ""), SYSCONFIG: "OPTIONS='--selinux-enabled'\n"},
        [
            ("exec-opts", "--exec-opt native.cgroupdriver=systemd", UNIT),
            ("selinux-enabled", "--selinux-enabled", f"OPTIONS in {SYSCONFIG}"),
        ],
    ),
    "a shell's": (
        {UNIT: "[Service]\nExecStart=/bin/sh -c '/usr/bin/dockerd -D $OPTIONS'\n"},
        [],
    ),
    "none": ({}, []),
}


@pytest.mark.parametrize("name", PLACES)
def test_where_flags_are_set(name):
    texts, expected = PLACES[name]
    assert given(texts) == expected


def test_scripts_read_the_default_file():
    texts = {DEFAULT: "DOCKER_OPTS='-D'\n", UNIT: PACKAGED}
    assert given(texts, init="scripts") == [("debug", "-D", f"DOCKER_OPTS in {DEFAULT}")]


KEYS = {
    "--insecure-registry=a": "insecure-registries",
    "--exec-opt": "exec-opts",
    "--authorization-plugin=x": "authorization-plugins",
    "--default-ulimit": "default-ulimits",
    "-b": "bridge",
    "-H": "hosts",
    "--bip=1": "bip",
}


@pytest.mark.parametrize("flag", KEYS)
def test_the_key_of_a_flag(flag):
    assert docker_facts.key_of(flag) == KEYS[flag]


# ---- refused ----


def plan(texts, want=OURS, owned=None, migrate=False, **more):
    host = desired(daemon=want, migrate_flags=migrate)
    return Docker().plan(host, seen(texts, **more), owned or Owned(), ())


def test_a_flag_in_the_way_is_refused_with_its_file():
    texts = {UNIT: PACKAGED, DEFAULT: "DOCKER_OPTS='--insecure-registry theirs:5000'\n"}
    with pytest.raises(HostError) as caught:
        plan(texts)
    assert "`--insecure-registry theirs:5000`" in caught.value.message
    assert f"(DOCKER_OPTS in {DEFAULT})" in caught.value.message
    assert "migrate_flags = true" in caught.value.hint


def test_a_flag_that_waits_for_the_next_start_is_in_the_way_too():
    texts = {UNIT: PACKAGED, DEFAULT: "DOCKER_OPTS=--insecure-registry=a\n"}
    with pytest.raises(HostError, match="--insecure-registry=a"):
        plan(texts, flags=("-H", "fd://"))
    with pytest.raises(HostError, match="--insecure-registry=a"):
        plan(texts, state="down")


def test_others_are_not():
    texts = {UNIT: PACKAGED, DEFAULT: "DOCKER_OPTS=--dns=1.1.1.1\n"}
    assert plan(texts, flags=("--dns=1.1.1.1",)).configure


# ---- migrated ----


def moved(texts, **more):
    made = plan(texts, migrate=True, **more)
    files = {step.path: step.content for step in made.configure if isinstance(step, EditFile)}
    (edit,) = [step for step in made.configure if isinstance(step, EditDaemon)]
    return made, files, edit


def test_a_flag_moves_from_a_variable():
    text = "# options\nDOCKER_OPTS='-D --insecure-registry theirs:5000 --dns 1.1.1.1'\n"
    running = ("-H", "fd://", "-D", "--insecure-registry", "theirs:5000", "--dns", "1.1.1.1")
    made, files, edit = moved({UNIT: PACKAGED, DEFAULT: text}, flags=running)
    assert files == {DEFAULT: "# options\nDOCKER_OPTS='-D --dns 1.1.1.1'\n"}
    assert json.loads(edit.active) == {"insecure-registries": ["theirs:5000", "ours:5000"]}
    assert edit.activation == "restart"
    assert edit.flags == ("-H", "fd://", "-D", "--dns", "1.1.1.1")
    assert made.lists == {"insecure-registries": OwnedList(("ours:5000",), existed=True)}
    assert {change.resource: change.activation for change in made.changes} == {
        "daemon.json insecure-registries": "restart",
        f"file {DEFAULT}": "restart",
    }
    (change,) = [each for each in made.changes if each.resource == f"file {DEFAULT}"]
    assert "--insecure-registry theirs:5000" in change.reason
    assert not made.edits


def test_flags_move_from_a_drop_in():
    drop_in = (
        "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// \\\n"
        "  --registry-mirror https://a \\\n  --registry-mirror=https://b \\\n  --icc=false\n"
    )
    want = DaemonSettings({"registry-mirrors": ("https://ours",)}, {"icc": False})
    _, files, edit = moved({UNIT: PACKAGED, f"{DROP_INS}/x.conf": drop_in}, want=want)
    assert files == {
        f"{DROP_INS}/x.conf": "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd://\n"
    }
    assert json.loads(edit.active) == {
        "registry-mirrors": ["https://a", "https://b", "https://ours"],
        "icc": False,
    }


def test_what_moved_stays_when_ours_goes():
    texts = {UNIT: PACKAGED, DEFAULT: "DOCKER_OPTS='--log-driver=journald --debug'\n"}
    want = DaemonSettings({}, {"log-driver": "local", "debug": True})
    made, _, edit = moved(texts, want=want)
    assert json.loads(edit.active) == {"log-driver": "local", "debug": True}
    assert made.values == {"log-driver": OwnedValue("local", "journald", existed=True)}
    owned = Owned(daemon_created=True, lists=made.lists, values=made.values)
    after = seen({UNIT: PACKAGED}, document={"log-driver": "local", "debug": True})
    (back,) = Docker().plan(desired(engine=None), after, owned, ()).configure
    assert json.loads(back.final) == {"log-driver": "journald", "debug": True}


VALUES = {
    "--debug": ("debug", False, True),
    "--debug=false": ("debug", True, False),
    "--mtu 1400": ("mtu", 9000, 1400),
    "--log-opt max-size=1m --log-opt a=b=c": ("log-opts", {}, {"max-size": "1m", "a": "b=c"}),
    "--label 'a b=c'": ("labels", ["x"], ["a b=c"]),
    "--data-root /srv": ("data-root", "/d", "/srv"),
    "-g /one --data-root=/two": ("data-root", "/d", "/two"),
}


@pytest.mark.parametrize("flags", VALUES)
def test_a_value_is_said_as_daemon_json_says_it(flags):
    key, ours, said = VALUES[flags]
    texts = {UNIT: PACKAGED, DEFAULT: f'DOCKER_OPTS="{flags}"\n'}
    made, files, _ = moved(texts, want=DaemonSettings({}, {key: ours}))
    assert made.values[key].before == said
    assert sysconfig.parse(files[DEFAULT]).get(path("DOCKER_OPTS")) == {}


STUCK = {
    "the package's unit": ({UNIT: PACKAGED}, {"hosts": ["x"]}, "the package's"),
    "started by hand": ({}, {"debug": True}, "no unit, drop-in or file"),
    "no such key": (
        {UNIT: PACKAGED, DEFAULT: "DOCKER_OPTS=--default-ulimit=nofile=1\n"},
        {"default-ulimits": {}},
        "no such key",
    ),
    "no number": (
        {UNIT: PACKAGED, DEFAULT: "DOCKER_OPTS=--mtu=many\n"},
        {"mtu": 1},
        "its value is no number",
    ),
}


@pytest.mark.parametrize("name", STUCK)
def test_what_cannot_move_is_refused(name):
    texts, values, said = STUCK[name]
    with pytest.raises(HostError) as caught:
        plan(texts, DaemonSettings({}, values), migrate=True, flags=("-D",))
    assert said in caught.value.message
    assert "by hand" in caught.value.hint


def test_without_anything_in_the_way_nothing_moves():
    made = plan({UNIT: PACKAGED, DEFAULT: "DOCKER_OPTS=-D\n"}, migrate=True)
    assert [type(step) for step in made.configure] == [EditDaemon]
    assert made.configure[0].activation == "reload"
    assert made.configure[0].flags is None
