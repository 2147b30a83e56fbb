"""Where dockerd's flags are set, which of them are in daemon.json's way, and how they move."""

import json

import pytest
from making import daemon_json, desired, engine, observed, systemctl_show

from regfleet.documents import sysconfig
from regfleet.documents.interface import path
from regfleet.engines import docker_facts, docker_start
from regfleet.engines.docker import Docker
from regfleet.errors import HostError
from regfleet.model.plan import ActivateDocker, EditFile
from regfleet.record import DAEMON_JSON, Owned, OwnedList, OwnedValue
from regfleet.report.resource_text import resource_text

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
OURS = daemon_json({"insecure-registries": ("ours:5000",)})


def seen(texts, flags=(), document=None, init="systemd", shown=None, **of_engine):
    text = None if document is None else json.dumps(document)
    state = of_engine.pop("state", "up")
    return observed(
        texts=texts,
        init=init,
        daemon_json=text,
        engine=engine(
            state,
            flags=("dockerd", *flags) if flags else (),
            start=systemctl_show(texts, **(shown or {})) if init == "systemd" else {},
            **of_engine,
        ),
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
    "Environment=": (
        {UNIT: PACKAGED, f"{DROP_INS}/a.conf": '[Service]\nEnvironment="DOCKER_OPTS=-D --mtu 9"\n'},
        [
            (*FD, UNIT),
            ("debug", "-D", f"DOCKER_OPTS in {DROP_INS}/a.conf"),
            ("mtu", "--mtu 9", f"DOCKER_OPTS in {DROP_INS}/a.conf"),
        ],
    ),
    "a file over Environment=": (
        {
            UNIT: PACKAGED.replace("[Service]", "[Service]\nEnvironment=DOCKER_OPTS=-D"),
            DEFAULT: "DOCKER_OPTS=--ipv6\n",
        },
        [(*FD, UNIT), ("ipv6", "--ipv6", f"DOCKER_OPTS in {DEFAULT}")],
    ),
    "braces": (
        {UNIT: "[Service]\nEnvironment=A=-D B=warn\nExecStart=/d/dockerd ${A} -l ${B} $C ${C}$$\n"},
        [("debug", "-D", f"A in {UNIT}"), ("log-level", "-l warn", UNIT)],
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


def test_old_systemd_shows_variables_without_quotes():
    """219, of CentOS 7, which names the property of the files otherwise, too."""
    text = (
        '[Service]\nEnvironment="A=-D --mtu 9" B=1\nEnvironmentFile=/etc/x\n'
        "ExecStart=/dockerd $A $C\n"
    )
    shown = systemctl_show({UNIT: text}) | {"Environment": ("A=-D --mtu 9 B=1",)}
    shown["EnvironmentFile"] = shown.pop("EnvironmentFiles")
    host = observed(texts={UNIT: text, "/etc/x": "C=--ipv6\n"}, engine=engine(start=shown))
    assert [flag.written for flag in docker_start.of(host).given] == ["-D", "--mtu 9", "--ipv6"]


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


def test_unit_files_that_systemd_has_not_read_are_refused():
    texts = {UNIT: PACKAGED}
    with pytest.raises(HostError) as caught:
        plan(texts, shown={"NeedDaemonReload": ["no", "yes"]})
    assert "systemctl daemon-reload" in caught.value.hint
    unchanged = json.loads(json.dumps({"insecure-registries": ["ours:5000"]}))
    live = {"insecure": frozenset({"ours:5000"}), "shown": {"NeedDaemonReload": ["yes"]}}
    assert not plan(texts, document=unchanged, want=daemon_json(), **live).changes


def test_others_are_not():
    texts = {UNIT: PACKAGED, DEFAULT: "DOCKER_OPTS=--dns=1.1.1.1\n"}
    assert plan(texts, flags=("--dns=1.1.1.1",)).configure


# ---- migrated ----


def moved(texts, **more):
    made = plan(texts, migrate=True, **more)
    files = {step.path: step.content for step in made.configure if isinstance(step, EditFile)}
    document = json.loads(files.pop(DAEMON_JSON))
    return made, files, document


def test_a_flag_moves_from_a_variable():
    text = "# options\nDOCKER_OPTS='-D --insecure-registry theirs:5000 --dns 1.1.1.1'\n"
    running = ("-H", "fd://", "-D", "--insecure-registry", "theirs:5000", "--dns", "1.1.1.1")
    made, files, document = moved({UNIT: PACKAGED, DEFAULT: text}, flags=running)
    assert files == {DEFAULT: "# options\nDOCKER_OPTS='-D --dns 1.1.1.1'\n"}
    assert document == {"insecure-registries": ["theirs:5000", "ours:5000"]}
    activation = made.configure[-1]
    assert isinstance(activation, ActivateDocker)
    assert activation.how == "restart"
    assert activation.flags == ("-H", "fd://", "-D", "--dns", "1.1.1.1")
    (owned,) = made.edits.values()
    assert owned.lists == {path("insecure-registries"): OwnedList(("ours:5000",), existed=True)}
    assert {resource_text(change.resource): change.activation for change in made.changes} == {
        "daemon.json insecure-registries": "restart",
        f"file {DEFAULT}": "restart",
    }
    (change,) = [each for each in made.changes if resource_text(each.resource) == f"file {DEFAULT}"]
    assert "--insecure-registry theirs:5000" in change.reason


def test_flags_move_from_a_drop_in():
    drop_in = (
        "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// \\\n"
        "  --registry-mirror https://a \\\n  --registry-mirror=https://b \\\n  --icc=false\n"
    )
    want = daemon_json({"registry-mirrors": ("https://ours",)}, {"icc": False})
    _, files, document = moved({UNIT: PACKAGED, f"{DROP_INS}/x.conf": drop_in}, want=want)
    assert files == {
        f"{DROP_INS}/x.conf": "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd://\n"
    }
    assert document == {
        "registry-mirrors": ["https://a", "https://b", "https://ours"],
        "icc": False,
    }


def test_flags_move_from_environment():
    drop_in = (
        '[Service]\nEnvironment=A=1 "DOCKER_OPTS=--insecure-registry=theirs:5000 '
        "--log-level=info \\\n"
        '  --insecure-registry more:1 \\\n  --dns 10.0.0.1" B=2\n'
    )
    _, files, document = moved({UNIT: PACKAGED, f"{DROP_INS}/x.conf": drop_in})
    assert files == {
        f"{DROP_INS}/x.conf": '[Service]\nEnvironment=A=1 "DOCKER_OPTS= --log-level=info \\\n'
        '  --dns 10.0.0.1" B=2\n'
    }
    assert document == {"insecure-registries": ["theirs:5000", "more:1", "ours:5000"]}


def test_quotes_inside_quotes_go_with_what_they_hold():
    drop_in = '[Service]\nEnvironment="DOCKER_OPTS=-D --label \\"a b\\" --ipv6"\n'
    texts = {UNIT: PACKAGED, f"{DROP_INS}/x.conf": drop_in}
    _, files, document = moved(texts, want=daemon_json({}, {"labels": ["ours"]}))
    assert document == {"labels": ["ours"]}
    assert files == {f"{DROP_INS}/x.conf": '[Service]\nEnvironment="DOCKER_OPTS=-D --ipv6"\n'}


def test_what_moved_stays_when_ours_goes():
    texts = {UNIT: PACKAGED, DEFAULT: "DOCKER_OPTS='--log-driver=journald --debug'\n"}
    want = daemon_json({}, {"log-driver": "local", "debug": True})
    made, _, document = moved(texts, want=want)
    assert document == {"log-driver": "local", "debug": True}
    (kept,) = made.edits.values()
    assert kept.created
    assert kept.values == {path("log-driver"): OwnedValue("local", "journald", existed=True)}
    after = seen({UNIT: PACKAGED}, document={"log-driver": "local", "debug": True})
    (back, _) = Docker().plan(desired(engine=None), after, Owned(edits=made.edits), ()).configure
    assert json.loads(back.content) == {"log-driver": "journald", "debug": True}


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
    made, files, _ = moved(texts, want=daemon_json({}, {key: ours}))
    assert made.edits[DAEMON_JSON].values[path(key)].before == said
    assert sysconfig.parse(files[DEFAULT]).get(path("DOCKER_OPTS")) == {}


STUCK = {
    "the package's unit": ({UNIT: PACKAGED}, {"hosts": ["x"]}, "the package's"),
    "the package's variable": (
        {UNIT: PACKAGED.replace("[Service]", "[Service]\nEnvironment=DOCKER_OPTS=--debug")},
        {"debug": True},
        "the package's",
    ),
    "specifiers": (
        {UNIT: PACKAGED, f"{DROP_INS}/x.conf": "[Service]\nEnvironment=DOCKER_OPTS=--label=%H\n"},
        {"labels": ["x"]},
        "not the ones that systemd reads",
    ),
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
    shown = {"Environment": ["DOCKER_OPTS=--label=me"]} if name == "specifiers" else {}
    with pytest.raises(HostError) as caught:
        plan(texts, daemon_json({}, values), migrate=True, flags=("-D",), shown=shown)
    assert said in caught.value.message
    assert "by hand" in caught.value.hint


def test_without_anything_in_the_way_nothing_moves():
    made = plan({UNIT: PACKAGED, DEFAULT: "DOCKER_OPTS=-D\n"}, migrate=True)
    assert [type(step) for step in made.configure] == [EditFile, ActivateDocker]
    assert made.configure[1].how == "reload"
    assert made.configure[1].flags is None
