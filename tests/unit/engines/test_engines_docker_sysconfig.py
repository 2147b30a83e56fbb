"""Docker whose flags stand in /etc/sysconfig/docker: theirs and ours, and what makes them count."""

import json

import pytest
from making import daemon_json, desired, engine, observed, systemctl_show

from regfleet.documents.interface import path
from regfleet.engines import ENGINES
from regfleet.engines.docker_sysconfig import FILE
from regfleet.engines.interface import ClientNeeds, Trust
from regfleet.errors import HostError
from regfleet.fleet.clients import Mirror
from regfleet.model.desired import WantedSettings
from regfleet.model.plan import ActivateDocker, EditFile, InstallEngine, RemovePath, StartEngine
from regfleet.record import DAEMON_JSON, Owned, OwnedEdit, OwnedList
from regfleet.report.resource_text import resource_text

SYSCONFIG = ENGINES["docker-sysconfig"]
INSECURE = path("OPTIONS", "--insecure-registry")
MIRROR = path("OPTIONS", "--registry-mirror")
UNIT = "/usr/lib/systemd/system/docker.service"
READS = f"[Service]\nEnvironmentFile=-{FILE}\nExecStart=/usr/bin/dockerd -H fd:// $OPTIONS\n"
THEIRS = "# theirs\nOPTIONS='--selinux-enabled --insecure-registry old:5000'\nOTHER=1\n"
OURS = "# theirs\nOPTIONS='--selinux-enabled --insecure-registry old:5000 {}'\nOTHER=1\n"
FLAGS = ("dockerd", "-H", "fd://", "--selinux-enabled", "--insecure-registry", "old:5000")
WANT = WantedSettings(
    {INSECURE: ("ours:5000",), MIRROR: ("https://m",)},
    {},
    {INSECURE: "client.a.registries", MIRROR: "client.a.mirrors"},
)
WRITTEN = (
    "# theirs\nOPTIONS='--selinux-enabled --insecure-registry old:5000 "
    "--insecure-registry ours:5000 --registry-mirror https://m'\nOTHER=1\n"
)
OWNED = OwnedEdit(
    created=False,
    lists={
        INSECURE: OwnedList(("ours:5000",), existed=True),
        MIRROR: OwnedList(("https://m",), existed=False),
    },
)


def host(text=THEIRS, unit=READS, more=None, document=None, state="up", **of_engine):
    texts = {UNIT: unit} if unit else {}
    texts |= {FILE: text} if text is not None else {}
    texts |= more or {}
    found = {"flags": FLAGS, "insecure": frozenset({"old:5000"}), "start": systemctl_show(texts)}
    return observed(
        texts=texts,
        daemon_json=None if document is None else json.dumps(document),
        engine=engine(state, **{**found, **of_engine}),
    )


def plan(seen, want=WANT, owned=None, daemon=None, **changes):
    changes = {"engine": "docker-sysconfig", "engines": ("docker-sysconfig",), **changes}
    wanted = desired(edits={FILE: want} if want.lists else {}, daemon=daemon, **changes)
    return SYSCONFIG.plan(wanted, seen, owned or Owned(), ())


def steps(made, kind):
    return [step for step in made.configure if isinstance(step, kind)]


# ---- what it wants ----


def test_lists_become_flags_and_keys_stay_keys():
    needs = ClientNeeds(
        (Trust("p:5000", None, plain=True, reason="r"), Trust("t", b"CA", plain=False, reason="r")),
        (Mirror("https://m"),),
        {"live-restore": True},
        "client.a",
    )
    wants = SYSCONFIG.wants(needs)
    assert wants.edits[FILE].lists == {INSECURE: ("p:5000",), MIRROR: ("https://m",)}
    assert "reload does not do" in wants.edits[FILE].reasons[MIRROR]
    assert wants.edits[DAEMON_JSON].lists == {}
    assert wants.edits[DAEMON_JSON].values == {path("live-restore"): True}
    assert [file.path for file in wants.files] == ["/etc/docker/certs.d/t/ca.crt"]
    assert SYSCONFIG.wants(ClientNeeds()).edits == {}


# ---- merged ----


def test_ours_goes_beside_theirs_and_dockerd_is_restarted():
    made = plan(host())
    (edit,) = steps(made, EditFile)
    assert (edit.path, edit.content, edit.foreign) == (FILE, WRITTEN, True)
    (activation,) = steps(made, ActivateDocker)
    assert (activation.meanwhile, activation.how) == ("", "restart")
    assert set(activation.expect) == {
        "insecure old:5000",
        "insecure ours:5000",
        "mirror https://m/",
    }
    assert activation.flags == (
        "-H",
        "fd://",
        "--selinux-enabled",
        "--insecure-registry=old:5000",
        "--insecure-registry=ours:5000",
        "--registry-mirror=https://m",
    )
    assert made.edits == {DAEMON_JSON: OwnedEdit(), FILE: OWNED}
    ((resource, change),) = [
        (resource_text(each.resource), each.activation) for each in made.changes
    ]
    assert (resource, change) == (f"file {FILE}", "restart")


def test_a_second_run_finds_nothing():
    live = {"insecure": frozenset({"old:5000", "ours:5000"}), "mirrors": ("https://m/",)}
    made = plan(host(WRITTEN, **live), owned=Owned(edits={FILE: OWNED}))
    assert (made.changes, made.configure) == ((), ())
    assert made.edits == {DAEMON_JSON: OwnedEdit(), FILE: OWNED}


def test_a_daemon_that_does_not_have_it_is_restarted():
    made = plan(host(WRITTEN), owned=Owned(edits={FILE: OWNED}))
    ((action, activation),) = [(each.action, each.activation) for each in made.changes]
    assert (action, activation) == ("run", "restart")
    assert steps(made, ActivateDocker)[0].how == "restart"
    assert not steps(made, EditFile)


def test_ours_goes_again():
    owned = Owned(edits={FILE: OWNED})
    live = {"insecure": frozenset({"old:5000", "ours:5000"}), "mirrors": ("https://m/",)}
    made = plan(host(WRITTEN, **live), WantedSettings(), owned, engine=None)
    (edit,) = steps(made, EditFile)
    assert edit.content == THEIRS
    (activation,) = steps(made, ActivateDocker)
    assert set(activation.refuse) == {"insecure ours:5000", "mirror https://m/"}
    assert activation.expect == ("insecure old:5000",)
    assert not made.edits[FILE]


def test_a_file_that_we_made_goes_again():
    made = plan(host(None))
    (edit,) = steps(made, EditFile)
    assert edit.content.startswith("OPTIONS='--insecure-registry ours:5000")
    assert made.edits[FILE].created
    owned = Owned(edits=made.edits)
    back = plan(host(edit.content), WantedSettings(), owned, engine=None)
    assert steps(back, RemovePath) == [RemovePath(FILE)]
    assert steps(back, ActivateDocker)[0].how == "restart"


def test_one_restart_for_both_files():
    daemon = daemon_json({}, {"live-restore": True}, {"live-restore": "client.a.daemon"})
    made = plan(host(), daemon=daemon)
    (activation,) = steps(made, ActivateDocker)
    assert activation.how == "restart"
    written = {step.path: step.content for step in steps(made, EditFile)}
    assert json.loads(written[DAEMON_JSON]) == {"live-restore": True}
    assert written[FILE] == WRITTEN
    assert "insecure ours:5000" in activation.expect
    assert {change.activation for change in made.changes} == {"restart"}


def test_keys_alone_are_reloaded():
    daemon = daemon_json({}, {"live-restore": True}, {"live-restore": "client.a.daemon"})
    made = plan(host(), WantedSettings(), daemon=daemon)
    assert {change.activation for change in made.changes} == {"reload"}


def test_one_that_is_down_is_started():
    made = plan(host(state="down", flags=(), insecure=frozenset()))
    assert steps(made, StartEngine)
    assert steps(made, ActivateDocker)[0].how == "none"
    assert "insecure ours:5000" in steps(made, ActivateDocker)[0].expect


# ---- refused ----

UNREAD = {
    "no EnvironmentFile": ("[Service]\nExecStart=/usr/bin/dockerd $OPTIONS\n", None, "no Environ"),
    "another file": (
        "[Service]\nEnvironmentFile=-/etc/default/docker\nExecStart=/usr/bin/dockerd $OPTIONS\n",
        None,
        "/etc/default/docker",
    ),
    "another variable": (READS.replace("$OPTIONS", "$DOCKER_OPTS"), None, "no $OPTIONS"),
    "one word": (READS.replace("$OPTIONS", "${OPTIONS}"), None, "no $OPTIONS"),
    "a drop-in": (
        READS,
        {"/etc/systemd/system/docker.service.d/a.conf": "[Service]\nExecStart=\nExecStart=/d x\n"},
        "a.conf has no $OPTIONS",
    ),
    "set again behind it": (
        READS,
        {
            "/etc/systemd/system/docker.service.d/a.conf": "[Service]\nEnvironmentFile=/etc/more\n",
            "/etc/more": "OPTIONS=-D\n",
        },
        "/etc/more is read behind it",
    ),
    "no unit": ("", None, "no unit"),
    "no command any more": (
        READS,
        {"/etc/systemd/system/docker.service.d/a.conf": "[Service]\nExecStart=\n"},
        "no unit docker.service with an ExecStart",
    ),
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_unit_that_does_not_read_the_file_is_refused(name):
    unit, more, said = UNREAD[name]
    with pytest.raises(HostError) as caught:
        plan(host(unit=unit, more=more))
    assert said in caught.value.message
    assert f"`EnvironmentFile=-{FILE}`" in caught.value.hint
    assert "$OPTIONS`" in caught.value.hint


USED = [
    READS,
    READS.replace("-/etc", "/etc"),
    f"[Service]\nEnvironmentFile=-{FILE}\nExecStart=/bin/sh -c '/usr/bin/dockerd $OPTIONS 2>&1'\n",
]


@pytest.mark.parametrize("unit", USED)
def test_a_unit_that_reads_it_is_taken(unit):
    assert plan(host(unit=unit)).configure


def test_a_key_beside_the_flag_is_refused():
    with pytest.raises(HostError) as caught:
        plan(host(document={"registry-mirrors": []}))
    assert '"registry-mirrors"' in caught.value.message


def test_a_flag_beside_a_key_of_ours_is_refused():
    daemon = daemon_json({}, {"selinux-enabled": True})
    with pytest.raises(HostError, match="--selinux-enabled"):
        plan(host(), daemon=daemon)


def test_what_cannot_be_edited_is_refused():
    with pytest.raises(HostError) as caught:
        plan(host('OPTIONS="--label $HOME"\n'))
    assert "line 1" in caught.value.message
    assert "OPTIONS='--flag" in caught.value.hint


def test_without_an_engine_it_is_installed_first_where_its_package_reads_the_file():
    seen = observed(engine=engine("missing"), packages="dnf")
    made = plan(seen, install=True)
    assert made.apart
    assert made.install == (InstallEngine("dnf", ("moby-engine",), "docker"),)
    with pytest.raises(HostError, match="no package manager"):
        plan(observed(engine=engine("missing")), install=True)
