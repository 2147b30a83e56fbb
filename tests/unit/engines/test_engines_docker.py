"""Docker: what a client wants of it, and the least that makes a change take effect."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import daemon_json, desired, engine, observed, owned_daemon_json

from regfleet.engines import ENGINES, docker_facts
from regfleet.engines.docker import Docker
from regfleet.engines.interface import ClientNeeds, Trust
from regfleet.errors import HostError
from regfleet.fleet.clients import Mirror
from regfleet.model.desired import DesiredHost, WantedSettings
from regfleet.model.files import Directory
from regfleet.model.plan import ActivateDocker, EditFile, InstallEngine, RemovePath, StartEngine
from regfleet.record import DAEMON_JSON, Owned, OwnedList, OwnedValue
from regfleet.report.resource_text import resource_text

INSECURE = "insecure-registries"
MIRRORS = "registry-mirrors"
MIRROR = "https://m.example"
PLAIN = "reg.example:5000"


def settings(mirrors=(), insecure=(), **values):
    lists = {INSECURE: tuple(insecure), MIRRORS: tuple(mirrors)}
    return daemon_json({key: each for key, each in lists.items() if each}, values)


def plan(want, document=None, owned=None, others=(), text=None, **of_engine):
    content = text if document is None else json.dumps(document, indent=2) + "\n"
    host = desired(daemon=want, install=True) if isinstance(want, WantedSettings) else want
    state = of_engine.pop("state", "up")
    seen = observed(daemon_json=content, engine=engine(state, **of_engine))
    return Docker().plan(host, seen, owned if owned is not None else Owned(), others)


def edit(made):
    """What is done to daemon.json: what dockerd reads, what stays (None for no file), and so on."""
    (step,) = [step for step in made.configure if isinstance(step, ActivateDocker)]
    texts = [each.content for each in made.configure if isinstance(each, EditFile)]
    texts += [None for each in made.configure if each == RemovePath(step.path)]
    (final,) = texts or ["unchanged"]
    return SimpleNamespace(
        active=step.meanwhile or final, final=final, undo=step.undo,
        expect=step.expect, refuse=step.refuse,
    )  # fmt: skip


# ---- what a client wants ----


def test_it_is_in_the_table_of_engines():
    assert ENGINES["docker"].name == "docker"


def test_no_needs_no_files():
    wants = Docker().wants(ClientNeeds(reason="client.a"))
    assert wants.directories == (Directory("/etc/docker", 0o755, "client.a"),)
    assert wants.files == ()
    assert wants.edits == {}


def test_needs_become_files_and_settings():
    needs = ClientNeeds(
        trusts=(
            Trust("a.example:5000", b"CA a", plain=False, reason="ra"),
            Trust("public.example", None, plain=False, reason="rp"),
            Trust(PLAIN, None, plain=True, reason="rb"),
            Trust("c.example", b"CA c", plain=False, reason="rc"),
        ),
        mirrors=(Mirror(MIRROR),),
        daemon={"live-restore": True},
        reason="client.build",
    )
    wants = Docker().wants(needs)
    assert [(item.path, item.mode) for item in wants.directories] == [
        ("/etc/docker", 0o755),
        ("/etc/docker/certs.d", 0o755),
        ("/etc/docker/certs.d/a.example:5000", 0o755),
        ("/etc/docker/certs.d/c.example", 0o755),
    ]
    assert [(file.path, file.content, file.mode, file.secret) for file in wants.files] == [
        ("/etc/docker/certs.d/a.example:5000/ca.crt", b"CA a", 0o444, False),
        ("/etc/docker/certs.d/c.example/ca.crt", b"CA c", 0o444, False),
    ]
    assert wants.edits == {
        DAEMON_JSON: daemon_json(
            {INSECURE: (PLAIN,), MIRRORS: (MIRROR,)},
            {"live-restore": True},
            {
                "live-restore": "client.build.daemon",
                INSECURE: "client.build.registries",
                MIRRORS: "client.build.mirrors",
            },
        )
    }


# ---- activation ----

ACTIVATION = [
    # settings, document, engine's state, activation
    (settings(mirrors=[MIRROR]), {}, "up", "reload"),
    (settings(insecure=[PLAIN]), {}, "up", "reload"),
    *[
        (settings(**{key: True}), {}, "up", "reload")
        for key in sorted(docker_facts.RELOADABLE - {INSECURE, MIRRORS})
    ],
    *[
        (settings(**{key: "x"}), {}, "up", "restart")
        for key in ("data-root", "log-driver", "storage-driver", "userland-proxy", "no-such-key")
    ],
    (settings(mirrors=[MIRROR], **{"data-root": "/x"}), {}, "up", "restart"),
    (settings(features={"buildkit": True}), {}, "up", "reload"),
    (settings(features={"containerd-snapshotter": True}), {}, "up", "restart"),
    (settings(mirrors=[MIRROR]), {}, "down", "none"),
    (settings(**{"data-root": "/x"}), {}, "down", "none"),
    (settings(mirrors=[MIRROR]), {}, "missing", "reload"),
    (settings(**{"data-root": "/x"}), {}, "missing", "restart"),
    (settings(mirrors=[MIRROR]), {MIRRORS: ["https://x"]}, "up", "reload"),
]


@pytest.mark.parametrize(("want", "document", "state", "activation"), ACTIVATION)
def test_the_least_that_works(want, document, state, activation):
    made = plan(want, document, state=state)
    found = {
        c.activation for c in made.changes if resource_text(c.resource).startswith("daemon.json")
    }
    assert found == {activation}


REMOVED = [
    # owned value of a key, what was there before it, activation, active text holds
    ("debug", (None, False), "reload", False),
    ("live-restore", (None, False), "reload", False),
    ("max-concurrent-downloads", (None, False), "reload", 3),
    ("shutdown-timeout", (None, False), "reload", 15),
    ("features", (None, False), "restart", None),
    ("default-runtime", (None, False), "restart", None),
    ("log-driver", (None, False), "restart", None),
    ("debug", (7, True), "reload", 7),
    ("log-driver", ("local", True), "restart", "local"),
]


@pytest.mark.parametrize(("key", "before", "activation", "active"), REMOVED)
def test_a_value_that_goes(key, before, activation, active):
    owned = owned_daemon_json(values={key: OwnedValue("ours", *before)})
    made = plan(settings(), {"dns": [], key: "ours"}, owned)
    assert {change.activation for change in made.changes} == {activation}
    step = edit(made)
    assert json.loads(step.active).get(key) == active
    assert json.loads(step.final) == {"dns": [], **({key: before[0]} if before[1] else {})}


@pytest.mark.parametrize("key", [INSECURE, MIRRORS])
def test_a_list_that_goes_is_explicitly_empty_until_the_daemon_has_it(key):
    owned = owned_daemon_json({key: OwnedList(("e",), existed=False)})
    step = edit(plan(settings(), {"dns": [], key: ["e"]}, owned))
    assert json.loads(step.active) == {"dns": [], key: []}
    assert json.loads(step.final) == {"dns": []}


def test_a_file_that_was_ours_alone_goes():
    owned = owned_daemon_json({MIRRORS: OwnedList((MIRROR,), existed=False)}, created=True)
    made = plan(settings(), {MIRRORS: [MIRROR]}, owned)
    assert edit(made).final is None
    assert json.loads(edit(made).active) == {MIRRORS: []}
    assert not made.edits[DAEMON_JSON]


@pytest.mark.parametrize("state", ["down", "missing"])
def test_an_engine_that_does_not_run_needs_no_explicit_empties(state):
    owned = owned_daemon_json({MIRRORS: OwnedList((MIRROR,), existed=False)})
    step = edit(
        plan(DesiredHost("web1", "acme"), {"dns": [], MIRRORS: [MIRROR]}, owned, state=state)
    )
    assert json.loads(step.active) == json.loads(step.final) == {"dns": []}


@given(st.dictionaries(st.sampled_from(sorted(docker_facts.RELOADABLE)), st.just("ours")))
def test_whatever_goes_with_a_reload_has_an_explicit_value_meanwhile(values):
    owned = owned_daemon_json(
        values={key: OwnedValue(value, None, False) for key, value in values.items()}
    )
    made = plan(settings(), dict(values), owned)
    if any(change.activation == "reload" for change in made.changes):
        assert set(json.loads(edit(made).active)) == set(values)


# ---- the engine itself ----


def test_a_missing_engine_is_installed_first():
    made = plan(settings(mirrors=[MIRROR]), state="missing")
    assert made.install == (InstallEngine("apt-get", ("docker.io", "docker-cli?"), "docker"),)
    assert [(c.action, resource_text(c.resource)) for c in made.changes] == [
        ("create", "package docker.io"),
        ("create", "daemon.json registry-mirrors"),
    ]


@pytest.mark.parametrize("manager", docker_facts.PACKAGES)
def test_every_package_manager(manager):
    seen = observed(packages=manager, engine=engine("missing"))
    (step,) = Docker().plan(desired(install=True), seen, Owned(), ()).install
    assert (step.manager, step.packages) == (manager, docker_facts.PACKAGES[manager])


@pytest.mark.parametrize(("want", "starts"), [(desired(), True), (DesiredHost("w", "f"), False)])
def test_an_engine_that_is_down_is_started_where_it_is_wanted(want, starts):
    made = plan(want, state="down")
    assert made.configure == ((StartEngine(),) if starts else ())
    assert [resource_text(c.resource) for c in made.changes] == (
        ["service docker"] if starts else []
    )


@pytest.mark.parametrize("state", ["up", "down", "missing"])
def test_where_nothing_is_wanted_and_nothing_owned_nothing_happens(state):
    made = plan(DesiredHost("web1", "acme"), {"dns": []}, state=state)
    assert (made.changes, made.install, made.configure) == ((), (), ())


# ---- flags ----

FLAGS = [
    # flags of the daemon, settings, the flag that is named or None
    (("dockerd", "--insecure-registry=x"), settings(insecure=[PLAIN]), "--insecure-registry=x"),
    (("dockerd", "--insecure-registry", "x"), settings(insecure=[PLAIN]), "--insecure-registry"),
    (("dockerd", "--registry-mirror=x"), settings(mirrors=[MIRROR]), "--registry-mirror=x"),
    (("dockerd", "--registry-mirror=x"), settings(insecure=[PLAIN]), None),
    (("dockerd", "-D"), settings(debug=True), "-D"),
    (("dockerd", "--debug"), settings(debug=True), "--debug"),
    (("dockerd", "--live-restore=true"), settings(**{"live-restore": True}), "--live-restore=true"),
    (("dockerd", "-H", "fd://"), settings(hosts=["x"]), "-H"),
    (("dockerd", "-g", "/x"), settings(**{"data-root": "/y"}), "-g"),
    (("dockerd", "--log-opt", "a=b"), settings(**{"log-opts": {"a": "c"}}), "--log-opt"),
    (("dockerd", "-H", "fd://"), settings(mirrors=[MIRROR]), None),
    ((), settings(debug=True), None),
    (("dockerd",), settings(debug=True), None),
]


@pytest.mark.parametrize(("flags", "want", "named"), FLAGS)
def test_a_flag_that_says_the_same_is_refused(flags, want, named):
    if named is None:
        assert plan(want, flags=flags).configure
        return
    with pytest.raises(HostError) as caught:
        plan(want, flags=flags)
    assert f"`{named}`" in caught.value.message
    assert "systemctl cat" in caught.value.hint


def test_a_key_that_goes_may_be_a_flag():
    owned = owned_daemon_json(values={"debug": OwnedValue(True, None, existed=False)})
    assert plan(settings(), {"debug": True}, owned, flags=("dockerd", "-D")).configure


# ---- versions ----

VERSIONS = [
    # mirror, version, refused
    ("https://m.example/v2/cache", "20.10.24+dfsg1", True),
    ("https://m.example/v2/cache", "24.0.7", True),
    ("https://m.example/v2/cache", "24.0.8", False),
    ("https://m.example/v2/cache", "26.1.5+dfsg1", False),
    ("https://m.example/v2/cache", "", False),
    ("https://m.example/v2/cache", "dev", False),
    ("https://m.example/", "20.10.24", False),
    ("https://m.example", "20.10.24", False),
]


@pytest.mark.parametrize(("mirror", "version", "refused"), VERSIONS)
def test_a_mirror_with_a_path_is_refused_for_engines_that_would(mirror, version, refused):
    if not refused:
        plan(settings(mirrors=[mirror]), version=version)
        return
    with pytest.raises(HostError, match="has a path"):
        plan(settings(mirrors=[mirror]), version=version)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20.10.24+dfsg1", (20, 10, 24)),
        ("28.5", (28, 5)),
        ("23.0.0-rc.1", (23, 0, 0)),
        ("", ()),
        ("dev", ()),
    ],
)
def test_versions(text, expected):
    assert docker_facts.version_of(text) == expected


@pytest.mark.parametrize(
    ("version", "want", "may"),
    [
        ("20.10.24", settings(mirrors=[MIRROR], insecure=[PLAIN]), True),
        ("23.0.6", settings(mirrors=[MIRROR], insecure=[PLAIN]), True),
        ("23.0.7", settings(mirrors=[MIRROR], insecure=[PLAIN]), False),
        ("", settings(mirrors=[MIRROR], insecure=[PLAIN]), True),
        ("20.10.24", settings(mirrors=[MIRROR]), False),
        ("20.10.24", settings(insecure=[PLAIN]), False),
    ],
)
def test_where_a_reload_may_drop_registries_a_restart_may_follow(version, want, may):
    assert plan(want, version=version).may_restart is may


# ---- the live daemon ----

OURS = owned_daemon_json(
    lists={MIRRORS: OwnedList((MIRROR,), False), INSECURE: OwnedList((PLAIN,), False)},
    values={"debug": OwnedValue(True, None, existed=False)},
)
FILE = {MIRRORS: [MIRROR], INSECURE: [PLAIN], "debug": True}
WANT = settings(mirrors=[MIRROR], insecure=[PLAIN], debug=True)
LIVE = {
    "mirrors": (f"{MIRROR}/",),
    "insecure": frozenset({PLAIN, "127.0.0.0/8"}),
    "values": {"debug": True},
}
STALE = [
    # what the live daemon shows otherwise, the keys that it has to be told again
    ({}, []),
    ({"mirrors": ()}, [MIRRORS]),
    ({"mirrors": (MIRROR,)}, [MIRRORS]),
    ({"insecure": frozenset()}, [INSECURE]),
    ({"values": {"debug": False}}, ["debug"]),
    ({"values": {}}, []),
    ({"mirrors": (), "insecure": frozenset()}, [INSECURE, MIRRORS]),
    ({"mirrors": (f"{MIRROR}/", "https://more/")}, []),
]


@pytest.mark.parametrize(("otherwise", "keys"), STALE)
def test_a_daemon_that_has_not_taken_up_its_file_is_told_again(otherwise, keys):
    made = plan(WANT, FILE, OURS, **{**LIVE, **otherwise})
    assert [(c.action, resource_text(c.resource)) for c in made.changes] == [
        ("run", f"daemon.json {key}") for key in keys
    ]
    if keys:
        assert edit(made).final == "unchanged"


def test_a_daemon_that_does_not_run_is_not_stale():
    made = plan(WANT, FILE, OURS, state="down")
    assert [resource_text(c.resource) for c in made.changes] == ["service docker"]


def test_what_has_to_be_shown_and_what_must_not():
    document = {INSECURE: ["old.example", "foreign", "10.0.0.0/8"], MIRRORS: ["https://old/"]}
    owned = owned_daemon_json(
        lists={
            INSECURE: OwnedList(("old.example",), existed=True),
            MIRRORS: OwnedList(("https://old/",), existed=False),
        }
    )
    step = edit(
        plan(
            settings(mirrors=[MIRROR], insecure=[PLAIN], debug=True, **{"log-level": "warn"}),
            document,
            owned,
            insecure=frozenset({"old.example", "foreign"}),
            values={"debug": False, "live-restore": False},
        )
    )
    assert set(step.expect) == {
        "insecure foreign", f"insecure {PLAIN}", f"mirror {MIRROR}/", "debug true"
    }  # fmt: skip
    assert set(step.refuse) == {"insecure old.example", "mirror https://old/"}


@pytest.mark.parametrize(
    ("document", "want", "undo"),
    [
        ({}, settings(mirrors=[MIRROR]), {MIRRORS: []}),
        ({"dns": []}, settings(debug=True), {"dns": [], "debug": False}),
        ({MIRRORS: ["x"]}, settings(mirrors=[MIRROR]), None),
        ({}, settings(**{"data-root": "/x"}), None),
    ],
)
def test_the_way_back_makes_the_daemon_forget_what_is_new(document, want, undo):
    found = edit(plan(want, document)).undo
    assert (json.loads(found) if found else None) == undo


# ---- the file ----

BOM = "\ufeff"


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "22.06.0-beta.0", ""])
def test_a_byte_order_mark_is_refused_where_dockerd_does_not_read_it(version):
    with pytest.raises(HostError) as caught:
        plan(settings(debug=True), text=f"{BOM}{{}}", version=version)
    assert "byte order mark" in caught.value.message
    assert "23.0" in caught.value.message
    assert "sed -i" in caught.value.hint


@pytest.mark.parametrize("version", ["23.0.0", "26.1.5+dfsg1", "28.5"])
def test_a_byte_order_mark_stays_where_dockerd_reads_it(version):
    made = plan(settings(debug=True), text=f'{BOM}{{"dns": []}}', version=version)
    assert edit(made).final == f'{BOM}{{"dns": [], "debug": true}}'
    assert edit(made).undo.startswith(BOM)


def test_two_members_of_one_name_are_refused_with_the_reason():
    with pytest.raises(HostError) as caught:
        plan(settings(), text='{"debug": true,\n"debug": false}')
    assert 'cannot be edited: line 2: the key "debug" occurs twice' in caught.value.message
    assert "uses the last" in caught.value.hint


ODD = '{\r\n\t"dns": ["192.0.2.1", "192.0.2.2"],\r\n\t"labels": ["caf\\u00e9=1"], "mtu": 1e3\r\n}'


def test_bytes_that_are_not_ours_stay():
    made = plan(settings(mirrors=[MIRROR]), text=ODD)
    after = edit(made).final
    assert after == ODD.replace("1e3", f'1e3, "{MIRRORS}": ["{MIRROR}"]')
    back = plan(settings(), text=after, owned=Owned(edits=made.edits))
    assert edit(back).final == ODD
    assert json.loads(edit(back).active)[MIRRORS] == []


@pytest.mark.parametrize("text", ["", "\n", "{\n}", "{ }\n"])
def test_a_file_that_said_nothing_comes_back_as_it_was(text):
    made = plan(settings(mirrors=[MIRROR]), text=text)
    written = edit(made).final
    seen = observed(daemon_json=written, original=text, engine=engine())
    back = Docker().plan(desired(), seen, Owned(edits=made.edits), ())
    assert edit(back).final is None  # what was kept beside comes back
    assert [step.foreign for step in made.configure if isinstance(step, EditFile)] == [True]


# ---- ownership ----


@pytest.mark.parametrize(
    ("text", "owned", "others", "created"),
    [
        (None, Owned(), (), True),
        ("{}", Owned(), (), False),
        ("{}", owned_daemon_json(created=True), (), True),
        ('{"debug": true}', Owned(), (owned_daemon_json(created=True),), True),
    ],
)
def test_who_made_the_file(text, owned, others, created):
    made = plan(settings(mirrors=[MIRROR]), text=text, owned=owned, others=others)
    assert made.edits[DAEMON_JSON].created is created


def test_a_file_that_nothing_is_written_to_is_not_ours():
    assert not plan(settings()).edits[DAEMON_JSON]


def test_what_was_looked_at_is_expected():
    ((path, digest),) = plan(settings(mirrors=[MIRROR]), config="/srv/daemon.json").expected
    assert (path, digest) == ("/srv/daemon.json", "absent")
    assert plan(settings(), {}).expected == ()


def test_indentation_stays():
    text = '{\n\t"dns": []\n}\n'
    assert edit(plan(settings(debug=True), text=text)).final == (
        '{\n\t"dns": [],\n\t"debug": true\n}\n'
    )


def test_the_diff_shows_the_key_alone():
    made = plan(settings(mirrors=[MIRROR]), {MIRRORS: ["https://x"], "dns": ["192.0.2.1"]})
    (change,) = made.changes
    assert change.action == "update"
    assert f'+    "{MIRROR}"' in change.diff.splitlines()
    assert "dns" not in change.diff
