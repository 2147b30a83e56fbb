"""An account's own Docker: what is wanted in its home, and the least that has it taken up."""

import json

import pytest
from making import daemon_json, desired, login, observed

from regfleet.documents.interface import path
from regfleet.engines.interface import ClientNeeds, EngineProxy, Trust
from regfleet.engines.rootless import Rootless
from regfleet.errors import HostError
from regfleet.fleet.clients import Mirror
from regfleet.model.desired import PROXIES
from regfleet.model.observed import ObservedPath, OtherEngine
from regfleet.model.plan import ActivateOwn, EditFile, RemovePath
from regfleet.record import Owned, OwnedEdit, OwnedList
from regfleet.secret import Secret

PLACE = "~alice/.config/docker"
CONFIG = f"{PLACE}/daemon.json"
INSECURE, MIRRORS = "insecure-registries", "registry-mirrors"
TRUSTS = (
    Trust("plain.lan:5000", None, plain=True, reason="client.build.registries: plain"),
    Trust("reg.lan:5000", b"CA\n", plain=False, reason="client.build.registries: main"),
)


def needs(**changes):
    settings = {"trusts": TRUSTS, "reason": "client.build", "fleet": "acme", "account": "alice"}
    return ClientNeeds(**{**settings, **changes})


def info(insecure=(), mirrors=(), version="26.1.5", **more):
    indexes = {name: {"Secure": False} for name in insecure}
    registry = {"IndexConfigs": indexes, "Mirrors": [f"{each}/" for each in mirrors]}
    return {"ServerVersion": version, "RegistryConfig": registry, "ContainersRunning": 3, **more}


def own(state="up", said=None, unit="docker.service", **facts):
    shown = {"unit": unit, "info": json.dumps(info() if said is None else said), **facts}
    return OtherEngine(state, "26.1.5", "", {key: value for key, value in shown.items() if value})


def want(lists=None, values=None, **changes):
    settings = {"engine": "docker-rootless", "engines": ("docker-rootless",), "account": "alice"}
    wanted = daemon_json(lists if lists is not None else {INSECURE: ("plain.lan:5000",)}, values)
    return desired(**{**settings, "edits": {CONFIG: wanted}, **changes})


def seen(found=None, text=None):
    texts = {} if text is None else {CONFIG: text}
    return observed(others={"rootless": found or own()}, texts=texts)


def plan(want, seen, owned=None):
    return Rootless().plan(want, seen, owned or Owned(), ())


def owns(**lists):
    entries = {path(key): OwnedList(each, existed=False) for key, each in lists.items()}
    return Owned(edits={CONFIG: OwnedEdit(created=True, lists=entries)})


def test_everything_is_in_the_accounts_home():
    wants = Rootless().wants(needs(mirrors=(Mirror("https://m.lan"),), logins=(login("alice"),)))
    assert [file.path for file in wants.files] == [f"{PLACE}/certs.d/reg.lan:5000/ca.crt"]
    assert {each.mode for each in wants.directories} == {0o700}
    assert [each.path for each in wants.directories] == [
        "~alice/.config",
        PLACE,
        f"{PLACE}/certs.d",
        f"{PLACE}/certs.d/reg.lan:5000",
    ]
    assert wants.edits[CONFIG].lists == {
        path(INSECURE): ("plain.lan:5000",),
        path(MIRRORS): ("https://m.lan",),
    }
    assert {each.account for each in wants.logins} == {"alice"}


def test_its_containers_proxies_are_the_accounts():
    proxy = EngineProxy(Secret("http://p.lan:1"), Secret(""), "", False, True, "why")
    wants = Rootless().wants(needs(proxy=proxy))
    assert [(each.account, each.endpoint) for each in wants.logins] == [("alice", PROXIES)]


STORE = [["driver-type", "io.containerd.snapshotter.v1"]]


@pytest.mark.parametrize(
    ("said", "values", "written"),
    [
        (info(), {}, False),
        (info(DriverStatus=STORE), {}, True),
        (info(), {"features": {"containerd-snapshotter": True}}, True),
    ],
)
def test_containerds_store_reads_hosts_toml_whose_ca_is_beside_it(said, values, written):
    wants = Rootless().wants(needs())
    found = plan(want(values=values, conditional=wants.conditional), seen(own(said=said)))
    texts = {each.path: each.content.decode() for each in found.also if hasattr(each, "content")}
    assert set(texts) == (
        {f"{PLACE}/certs.d/{each}.lan:5000/hosts.toml" for each in ("reg", "plain")}
        if written
        else set()
    )
    if written:
        assert '\n  ca = "ca.crt"\n' in texts[f"{PLACE}/certs.d/reg.lan:5000/hosts.toml"]
        assert 'server = "http://plain' in texts[f"{PLACE}/certs.d/plain.lan:5000/hosts.toml"]


def test_who_needs_nothing_gets_no_directory():
    wants = Rootless().wants(needs(trusts=()))
    assert (wants.directories, wants.files, wants.edits) == ((), (), {})


def test_a_reload_where_that_is_enough():
    found = plan(want(), seen())
    edit, step = found.configure
    assert isinstance(edit, EditFile)
    assert json.loads(edit.content) == {INSECURE: ["plain.lan:5000"]}
    assert isinstance(step, ActivateOwn)
    assert (step.how, step.path) == ("reload", CONFIG)
    assert step.expect == ("insecure plain.lan:5000",)
    assert json.loads(step.undo) == {INSECURE: []}
    assert [each.activation for each in found.changes] == ["reload"]


def test_what_is_there_and_taken_up_needs_nothing():
    there = seen(own(said=info(("plain.lan:5000",))), '{"insecure-registries": ["plain.lan:5000"]}')
    assert plan(want(), there, owns(**{INSECURE: ("plain.lan:5000",)})).changes == ()


def test_what_is_in_the_file_and_not_in_force_is_taken_up_again():
    there = seen(text='{"insecure-registries": ["plain.lan:5000"]}')
    found = plan(want(), there, owns(**{INSECURE: ("plain.lan:5000",)}))
    (change,) = found.changes
    assert (change.resource.name, change.activation) == ("docker of alice", "reload")
    assert [type(step) for step in found.configure] == [ActivateOwn]


def test_what_goes_is_let_forget():
    text = '{"insecure-registries": ["plain.lan:5000"]}'
    found = plan(
        want({}, engine=None, edits={}),
        seen(own(said=info(("plain.lan:5000",))), text),
        owns(**{INSECURE: ("plain.lan:5000",)}),
    )
    gone, step = found.configure
    assert gone == RemovePath(CONFIG)
    assert json.loads(step.meanwhile) == {INSECURE: []}
    assert step.refuse == ("insecure plain.lan:5000",)


def test_a_restart_stops_all_its_containers_also_with_live_restore():
    restarts = want(values={"log-level": "debug"})
    step = plan(restarts, seen(own(said=info(LiveRestoreEnabled=True)))).configure[-1]
    assert (step.how, step.stops) == ("restart", 3)


@pytest.mark.parametrize(
    ("version", "unit", "may_restart"),
    [
        ("20.10.24", "docker.service", True),
        ("20.10.24", "", False),
        ("26.1", "docker.service", False),
    ],
)
def test_a_reload_that_drops_registries_is_followed_by_a_restart(version, unit, may_restart):
    both = want({INSECURE: ("plain.lan:5000",), MIRRORS: ("https://m.lan",)})
    step = plan(both, seen(own(said=info(version=version), unit=unit))).configure[-1]
    assert step.may_restart is may_restart


def test_one_that_is_stopped_is_started_where_it_is_wanted():
    stopped = seen(OtherEngine("down", facts={"unit": "docker.service"}))
    found = plan(want(), stopped)
    assert [step.how for step in found.configure if isinstance(step, ActivateOwn)] == ["start"]
    assert not plan(want({}, engine=None, edits={}), stopped).configure


MISSING = OtherEngine("missing")


@pytest.mark.parametrize(
    ("want", "found", "words"),
    [
        (want(), MISSING, "alice runs no Docker of its own"),
        (want(), OtherEngine("missing", facts={"no-account": "alice"}), "alice does not exist"),
        (want(), OtherEngine("missing", facts={"manager": "none"}), "no systemd of its that runs"),
        (want(), OtherEngine("silent", detail="no socket"), "does not answer (no socket)"),
        (want(), own(elsewhere="/srv/docker"), "elsewhere (/srv/docker)"),
        (want(), own(flags="dockerd --config-file=/a.json"), "elsewhere (--config-file=/a.json)"),
        (want(), own(unread="daemon.json is no regular file"), "daemon.json is no regular file"),
        (want(), own(flags="dockerd --insecure-registry=a"), "`--insecure-registry=a`"),
        (want(), own(info="{"), "what cannot be read"),
        (want(), own(info="[]"), "what cannot be read"),
        (want(), own(said={"ServerErrors": ["no daemon"]}), "does not answer (no daemon)"),
        (want(values={"log-level": "debug"}), own(unit=""), "log-level"),
        (want(account="bob"), own(), "names bob"),
        (want(account="", engine=None), own(), "names no account"),
        (want({MIRRORS: ("https://m.lan/x",)}), own(said=info(version="20.10.24")), "has a path"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_name(want, found, words):
    owned = Owned(files=(f"{PLACE}/certs.d/a/ca.crt",))
    with pytest.raises(HostError) as caught:
        plan(want, seen(found), owned)
    assert words in str(caught.value)
    assert caught.value.hint


def with_proxy():
    values = {path("proxies", "http-proxy"): "http://p.lan:1"}
    given = EngineProxy(Secret("http://p.lan:1"), Secret(""), "", False, False, "why")
    return desired(
        engine="docker-rootless",
        account="alice",
        edits={CONFIG: type(daemon_json())({}, values, dict.fromkeys(values, "why"))},
        conditional=Rootless().wants(needs(proxy=given)).conditional,
    )


def test_a_proxy_is_in_daemon_json_where_that_is_read():
    there = seen(own(said=info(version="23.0.0")))
    made = plan(with_proxy(), there)
    step = made.configure[-1]
    assert (step.how, step.expect) == ("restart", ("http-proxy http://p.lan:1",))
    assert not made.also
    other = own(said=info(version="23.0.0", HttpProxy="http://other.lan:1"))
    text = '{"proxies": {"http-proxy": "http://p.lan:1"}}'
    (change,) = plan(with_proxy(), seen(other, text)).changes
    assert (change.reason, change.activation) == ("it has another value of proxies", "restart")


UNITS = "~alice/.config/systemd/user"
DROP_IN = f"{UNITS}/docker.service.d/regfleet-acme-proxy"


def test_an_older_one_is_told_of_its_proxy_by_a_drop_in_of_the_accounts_systemd():
    old = own(said=info(version="20.10.24"))
    made = plan(with_proxy(), seen(old))
    assert [each.path for each in made.also] == [
        "~alice/.config/systemd",
        UNITS,
        f"{UNITS}/docker.service.d",
        f"{DROP_IN}.conf",
        f"{DROP_IN}.env",
    ]
    (conf, env) = made.also[3:]
    assert b"EnvironmentFile=-%h/.config/systemd/user/docker.service.d/" in conf.content
    assert (env.mode, env.content) == (0o600, b'HTTP_PROXY="http://p.lan:1"\n')
    (step,) = made.configure  # nothing in daemon.json: it would not start with `proxies`
    assert (step.how, step.expect) == ("restart", ("http-proxy http://p.lan:1",))
    assert [each.reason for each in made.changes] == ["its proxy is read at the start"]


def test_a_proxy_of_an_older_one_that_is_in_force_goes_and_is_seen():
    wanted = with_proxy()
    files = [each for each in wanted.conditional if each.path.startswith(DROP_IN)]
    paths = {
        each.path: ObservedPath(each.path, False, each.mode, (1000, 1000), each.digest)
        for each in files
    }
    owned = Owned(files=tuple(paths))
    running = own(said=info(version="20.10.24", HttpProxy="http://p.lan:1"))
    there = observed(others={"rootless": running}, paths=paths)
    assert not plan(wanted, there, owned).changes
    silent = observed(others={"rootless": own(said=info(version="20.10.24"))}, paths=paths)
    (change,) = plan(wanted, silent, owned).changes
    assert (change.reason, change.activation) == ("it has another value of proxy", "restart")
    (step,) = plan(want({}, edits={}), there, owned).configure
    assert (step.how, step.refuse) == ("restart", ("http-proxy http://p.lan:1",))


@pytest.mark.parametrize("unit", ["", "dockerd.service"])
def test_a_proxy_of_an_older_one_that_another_unit_starts_is_refused(unit):
    with pytest.raises(HostError, match="reads its proxy from its environment") as caught:
        plan(with_proxy(), seen(own(said=info(version="20.10.24"), unit=unit)))
    assert "HTTP_PROXY" in caught.value.hint
