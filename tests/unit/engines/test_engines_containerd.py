"""containerd: where what goes, on hosts of every kind, and what is refused."""

import base64

import pytest
from making import desired, login, observed

from regfleet import record
from regfleet.documents.interface import path
from regfleet.engines import ENGINES
from regfleet.engines.containerd import CERTS, Containerd
from regfleet.engines.interface import ClientNeeds, Trust
from regfleet.errors import HostError
from regfleet.fleet.clients import Mirror
from regfleet.model.desired import WantedSettings
from regfleet.model.observed import ObservedPath, OtherEngine
from regfleet.model.plan import ActivateUnit, EditFile, RemovePath
from regfleet.record import Owned, OwnedEdit, OwnedValue
from regfleet.report.resource_text import resource_text

REG = "reg.example.com:5000"
URL = f"https://{REG}"
HOSTS = f"{CERTS}/{REG}/hosts.toml"
CONFIG = "/etc/containerd/config.toml"
CRI = ("plugins", "io.containerd.grpc.v1.cri", "registry")
BASIC = base64.b64encode(b"ci:kanarienvogel-8d1f").decode()
SETTINGS = WantedSettings({}, {path("server"): URL}, {path("server"): "client.build"})
NEEDS = ClientNeeds(
    trusts=(
        Trust(REG, b"CA\n", plain=False, reason="r1", registry="main"),
        Trust("plain.example:80", None, plain=True, reason="r2"),
        Trust("public.example", None, plain=False, reason="r3"),
    ),
    mirrors=(Mirror("https://m.example/"), Mirror(f"{URL}/cache", "main")),
    reason="client.build",
    logins=(login(endpoint=REG),),
)


def dump(registry="", disabled=""):
    text = f"disabled_plugins = [{disabled}]\n[plugins]\n{registry}"
    return base64.b64encode(text.encode()).decode()


def found(version="1.7.24~ds1", state="up", registry="", disabled="", **facts):
    facts = {"dump": dump(registry, disabled), "config": CONFIG, **facts}
    return OtherEngine(state, version, "", facts)


def plan(want=None, texts=None, owned=None, others=(), engine=None, **seen):
    host = desired(engine="containerd", install=True, edits={HOSTS: want or SETTINGS})
    looked = observed(texts=texts or {}, others={"containerd": engine or found()}, **seen)
    return Containerd().plan(host, looked, owned or Owned(), others)


def edits(made):
    return {step.path: step for step in made.configure if isinstance(step, EditFile)}


def section(config_path, plugin='"io.containerd.grpc.v1.cri"'):
    return f'[plugins.{plugin}.registry]\n  config_path = "{config_path}"\n'


# ---- what a client wants ----


def test_it_is_in_the_table_of_engines():
    assert ENGINES["containerd"].name == "containerd"


def test_needs_become_directories_files_and_settings():
    wants = Containerd().wants(NEEDS)
    assert [(item.path, item.own) for item in wants.directories] == [
        ("/etc/containerd", False),
        (CERTS, False),
        (f"{CERTS}/{REG}", True),
        (f"{CERTS}/plain.example:80", True),
        (f"{CERTS}/docker.io", False),
    ]
    assert [(file.path, file.mode) for file in wants.files] == [(f"{CERTS}/{REG}/ca.crt", 0o444)]
    assert wants.logins == ()
    header = path("host", URL, "header", "Authorization")
    main, plain = wants.edits[HOSTS], wants.edits[f"{CERTS}/plain.example:80/hosts.toml"]
    # Up to 1.7 a file without a [host] table is not read at all.
    assert dict(main.values) == {
        path("server"): URL,
        path("host", URL, "capabilities"): ["pull", "resolve", "push"],
        path("host", URL, "ca"): f"{CERTS}/{REG}/ca.crt",
        header: f"Basic {BASIC}",
    }
    assert main.secret == {header}
    assert plain.values[path("server")] == "http://plain.example:80"
    assert plain.secret == frozenset()


def test_mirrors_are_hosts_of_docker_hub_with_ca_and_login_of_their_registry():
    mirrors = Containerd().wants(NEEDS).edits[f"{CERTS}/docker.io/hosts.toml"]
    assert dict(mirrors.values) == {
        path("host", "https://m.example", "capabilities"): ["pull", "resolve"],
        path("host", f"{URL}/cache", "capabilities"): ["pull", "resolve"],
        path("host", f"{URL}/cache", "ca"): f"{CERTS}/{REG}/ca.crt",
        path("host", f"{URL}/cache", "header", "Authorization"): f"Basic {BASIC}",
    }
    assert len(mirrors.secret) == 1


def test_no_needs_no_files():
    wants = Containerd().wants(ClientNeeds(reason="client.a"))
    assert ([item.path for item in wants.directories], wants.edits) == (["/etc/containerd"], {})


# ---- where config_path goes ----

KEYS = [
    # config.toml, version found, what is added
    (None, "1.6.20", 'version = 2\n\n[plugins."io.containerd.grpc.v1.cri".registry]'),
    (None, "2.1.9", 'version = 3\n\n[plugins."io.containerd.cri.v1.images".registry]'),
    ("# nothing\n", "2.1.9", '[plugins."io.containerd.cri.v1.images".registry]'),
    ("version = 2\n", "1.7.24", '[plugins."io.containerd.grpc.v1.cri".registry]'),
    ("version = 2\n", "2.1.9", '[plugins."io.containerd.grpc.v1.cri".registry]'),
    ("version = 3\n", "2.1.9", '[plugins."io.containerd.cri.v1.images".registry]'),
    ("version = 4\n", "2.3.0-rc1", None),
    ("oom_score = 1\n", "1.6.20", "[plugins.cri.registry]"),
    ("version = 1\n", "1.6.20", "[plugins.cri.registry]"),
]


@pytest.mark.parametrize(("text", "version", "added"), KEYS)
def test_config_path_by_the_versions_of_file_and_engine(text, version, added):
    texts = {} if text is None else {CONFIG: text}
    made = plan(texts=texts, engine=found(version))
    if added is None:  # 2.2 and later have the usual directories where nothing is said
        assert CONFIG not in edits(made)
        return
    step = edits(made)[CONFIG]
    assert step.content.startswith(text or "version")
    assert f'{added}\nconfig_path = "{CERTS}"\n' in step.content
    assert step.foreign == (text is not None)
    assert step.engine == "containerd"


def test_it_is_restarted_for_config_toml_alone():
    made = plan()
    assert made.configure[-1] == ActivateUnit("containerd", "containerd", "restart", stops=False)
    assert [change.activation for change in made.changes] == ["none", "restart"]
    configured = plan(engine=found(registry=section(CERTS)))
    assert [type(step) for step in configured.configure] == [EditFile]
    assert {change.activation for change in configured.changes} == {"none"}


def test_one_that_is_down_is_started_with_its_new_file():
    made = plan(engine=found(state="down"))
    assert made.configure[-1] == ActivateUnit("containerd", "containerd", "start")
    assert {change.activation for change in made.changes} == {"none"}


@pytest.mark.parametrize(
    ("engine", "placed"),
    [
        (found(registry=section("/srv/a:/etc/docker/certs.d")), "/srv/a"),
        (found(registry=section(f"{CERTS}:/etc/docker/certs.d")), CERTS),
        (found("2.1.9", registry=section("/b", "'io.containerd.cri.v1.images'")), "/b"),
        (found("2.2.0"), CERTS),
        (found(disabled='"cri"'), CERTS),
        (found(disabled='"io.containerd.grpc.v1.cri"'), CERTS),
    ],
)
def test_a_directory_that_is_set_and_an_engine_without_cri_are_left_as_they_are(engine, placed):
    assert list(edits(plan(engine=engine))) == [f"{placed}/{REG}/hosts.toml"]


def test_a_directory_that_is_asked_first_is_where_it_goes():
    first = f"{CERTS}/reg.example.com_5000_/hosts.toml"
    made = plan(texts={first: "# theirs\n"}, engine=found(registry=section(CERTS)))
    assert list(edits(made)) == [first]


# ---- what is refused ----

REFUSED = [
    (found("1.4.13"), {}, "1.4.13 is too old: 1.5"),
    (found(state="silent"), {}, "does not answer"),
    (found(refused="bad (2, 1)"), {}, "cannot read /etc/containerd/config.toml: bad (2, 1)"),
    (
        found(registry='[plugins."io.containerd.grpc.v1.cri".registry.mirrors."a.io"]\n'),
        {},
        "registry.mirrors (a.io), beside which",
    ),
    (
        found(
            "2.1.9",
            registry="[plugins.'io.containerd.cri.v1.images'.registry.configs.'a:1'.tls]\n"
            "ca_file = '/a'\n",
        ),
        {},
        "registry.configs.*.tls (a:1)",
    ),
    (found(), {HOSTS: "[host\n"}, f"{HOSTS} cannot be edited: line 1"),
    (found(), {HOSTS: "host = 1\n"}, f"{HOSTS} cannot be edited"),
    (found(), {CONFIG: "[a\n"}, f"{CONFIG} is not what containerd can read: line 1"),
]


@pytest.mark.parametrize(("engine", "texts", "said"), REFUSED)
def test_refused_with_what_was_found(engine, texts, said):
    want = WantedSettings({}, {path("host", URL, "ca"): "/ca"}, {path("host", URL, "ca"): "why"})
    with pytest.raises(HostError) as error:
        plan(want, texts, engine=engine)
    assert said in error.value.message
    assert error.value.hint


def test_missing_and_not_to_be_installed():
    host = desired(engine="containerd", install=False, edits={HOSTS: SETTINGS})
    with pytest.raises(HostError, match="no containerd engine"):
        Containerd().plan(host, observed(), Owned(), ())


def test_installed_apart_for_its_package_brings_config_toml():
    host = desired(engine="containerd", install=True, edits={HOSTS: SETTINGS})
    made = Containerd().plan(host, observed(), Owned(), ())
    assert made.apart
    assert [resource_text(change.resource) for change in made.changes] == [
        "package containerd",
        f"file {HOSTS}",
    ]
    assert made.install[0].packages == ("containerd",)


# ---- ownership ----


def after(made, texts=None):
    """The texts when a plan is done, and who owns what."""
    left = dict(texts or {})
    for step in made.configure:
        if isinstance(step, EditFile):
            left[step.path] = step.content
        elif isinstance(step, RemovePath):
            left.pop(step.path, None)
    kept = record.parse(
        record.render({"acme": Owned(edits={k: e for k, e in made.edits.items() if e})})
    )
    return left, kept.get("acme", Owned())


@pytest.mark.parametrize(
    "text", [None, "", "version = 2\n", "# a\nversion = 2\n[debug]\nlevel = 'x'"]
)
def test_a_second_run_finds_nothing_and_what_comes_goes(text):
    want = Containerd().wants(NEEDS).edits
    texts = {} if text is None else {CONFIG: text}
    host = desired(engine="containerd", edits=want)
    engine = {"containerd": found()}
    made = Containerd().plan(host, observed(texts=texts, others=engine), Owned(), ())
    texts_after, owned = after(made, texts)
    engine = {"containerd": found(registry=section(CERTS))}
    modes = {file: ObservedPath(file, False, 0o600, (0, 0), "") for file in texts_after}
    seen = observed(texts=texts_after, others=engine, paths=modes, originals=texts)
    assert Containerd().plan(host, seen, owned, ()).changes == ()
    gone = Containerd().plan(desired(engine=None), seen, owned, ())
    assert not any(gone.edits.values())
    assert {step.path for step in gone.configure if isinstance(step, RemovePath)} == set(
        texts_after
    )
    assert gone.configure[-1] == ActivateUnit("containerd", "containerd", "restart", stops=False)


def test_a_login_is_a_digest_in_the_record_and_nothing_in_a_plan():
    want = Containerd().wants(NEEDS).edits
    made = Containerd().plan(
        desired(engine="containerd", edits=want),
        observed(others={"containerd": found()}),
        Owned(),
        (),
    )
    assert BASIC in edits(made)[HOSTS].content
    assert edits(made)[HOSTS].mode == 0o600
    assert edits(made)[CONFIG].mode == 0o644
    text = record.render({"acme": Owned(edits=made.edits)})
    for shown in (text, repr(made), *(change.diff for change in made.changes)):
        assert BASIC not in shown
    assert "Authorization" in made.changes[0].diff


def test_a_login_that_others_may_read_is_closed():
    texts, owned = after(plan(Containerd().wants(NEEDS).edits[HOSTS]))
    paths = {HOSTS: ObservedPath(HOSTS, False, 0o644, (0, 0), "")}
    made = plan(
        Containerd().wants(NEEDS).edits[HOSTS],
        texts,
        owned,
        engine=found(registry=section(CERTS)),
        paths=paths,
    )
    (change,) = made.changes
    assert change.reason == "mode 0644 is not 0600"
    assert edits(made)[HOSTS].mode == 0o600


def test_two_fleets_share_config_path_until_the_last_goes():
    key = path(*CRI, "config_path")
    theirs = Owned(edits={CONFIG: OwnedEdit(values={key: OwnedValue(CERTS, None, existed=False)})})
    texts = {CONFIG: "version = 2\n" + section(CERTS)}
    engine = found(registry=section(CERTS))
    made = plan(texts=texts, engine=engine, others=(theirs,))
    assert key in made.edits[CONFIG].values
    seen = observed(texts=texts, others={"containerd": engine})
    gone = Containerd().plan(desired(engine=None), seen, Owned(edits=made.edits), (theirs,))
    assert CONFIG not in {step.path for step in gone.configure}


def test_a_directory_elsewhere_goes_with_what_was_in_it():
    engine = found(registry=section("/srv/a"))
    texts, owned = after(plan(engine=engine))
    seen = observed(texts=texts, others={"containerd": engine})
    gone = Containerd().plan(desired(engine=None), seen, owned, ())
    assert gone.configure == (
        RemovePath(f"/srv/a/{REG}/hosts.toml"),
        RemovePath(f"/srv/a/{REG}", directory=True),
    )


# ---- what config.toml imports ----

NVIDIA = "/etc/containerd/conf.d/99-nvidia.toml"
OTHER = "/etc/containerd/conf.d/10-grpc.toml"
TAKES_OVER = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\n  x = "y"\n'
IMPORTING = 'version = 2\nimports = ["/etc/containerd/conf.d/*.toml"]\n'


def importing(version="1.7.24", texts=None, **facts):
    engine = found(version, imports=f"{OTHER}:{NVIDIA}", **facts)
    files = {CONFIG: IMPORTING, OTHER: "version = 2\n[grpc]\nuid = 1\n", NVIDIA: TAKES_OVER}
    return plan(engine=engine, texts={**files, **(texts or {})})


def test_config_path_goes_into_the_file_whose_table_is_in_force():
    made = edits(importing())
    assert set(made) == {HOSTS, NVIDIA}
    assert "restart" in {change.activation for change in importing().changes}


def test_from_2_0_on_imports_are_merged():
    assert set(edits(importing("2.1.9"))) == {HOSTS, CONFIG}


def test_an_import_without_the_plugins_table_changes_nothing():
    assert set(edits(importing(texts={NVIDIA: "version = 2\n"}))) == {HOSTS, CONFIG}


def test_a_config_path_that_has_no_effect_is_refused_with_the_files():
    text = f'{TAKES_OVER}[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/x"\n'
    with pytest.raises(HostError, match=f"{NVIDIA} sets config_path, and containerd does not"):
        importing(texts={NVIDIA: text})
