"""The difference between a host as it is and as it should be: laws on a host in memory."""

import json
from dataclasses import replace

import pytest
from host_model import HostModel
from hypothesis import given
from hypothesis import strategies as st
from making import (
    SALT,
    container,
    daemon_json,
    desired,
    engine,
    login,
    observed,
    registry,
    seen_container,
)

from regfleet import record, roles
from regfleet.engines.docker import Docker
from regfleet.engines.interface import ClientNeeds, Trust
from regfleet.errors import HostError
from regfleet.fleet.clients import Mirror
from regfleet.fleet.registries import Member, Project
from regfleet.look.request import login_digest
from regfleet.model.desired import DesiredHost
from regfleet.model.files import Directory, File
from regfleet.model.observed import ObservedData, ObservedPath
from regfleet.model.plan import (
    ActivateDocker,
    Drain,
    LogIn,
    LogOut,
    Part,
    PullImage,
    PutFile,
    ReloadService,
    RemoveImage,
    RemovePath,
    RemoveService,
    RunService,
    StartService,
)
from regfleet.model.resource import Resource
from regfleet.model.service import Image, UnitRun
from regfleet.plan.diff import diff
from regfleet.record import BroughtImage, Owned, OwnedLogin, OwnedService
from regfleet.report.resource_text import resource_text
from regfleet.roles import Roles

ENDPOINTS = ("a.example:5000", "b.example:5000", "c.example")
CAS = (b"CA one\n", b"CA two\n")

# ---- wanted states, built by the engine itself ----


@st.composite
def trusts(draw):
    found = []
    for endpoint in draw(st.lists(st.sampled_from(ENDPOINTS), unique=True)):
        plain = draw(st.booleans())
        ca = None if plain else draw(st.sampled_from(CAS))
        found.append(Trust(endpoint, ca, plain=plain, reason="client.build.registries"))
    return tuple(found)


needs = st.builds(
    ClientNeeds,
    trusts(),
    st.lists(
        st.sampled_from([Mirror("https://m.example"), Mirror("http://n.example:5000")]), unique=True
    ).map(tuple),
    st.dictionaries(
        st.sampled_from(["debug", "live-restore", "userland-proxy"]), st.booleans(), max_size=3
    ),
    st.just("client.build"),
)


@st.composite
def wants(draw, fleet="acme"):
    """A host of a fleet: a client, with registries or without; sometimes nothing at all."""
    if draw(st.integers(0, 5)) == 0:
        return DesiredHost("web1", fleet)
    client = Docker().wants(draw(needs))
    directories, files, containers = list(client.directories), list(client.files), []
    for number in draw(st.sets(st.integers(0, 1))):
        name = f"{fleet}{number}"
        home, storage = f"/etc/regfleet/{name}", f"/var/lib/storage-{name}"
        directories += [
            Directory("/etc/regfleet", 0o755, "registry"),
            Directory(home, 0o700, "registry"),
            Directory(storage, 0o700, "registry"),
        ]
        content = draw(st.sampled_from([b"one", b"two"]))
        config = File(f"{home}/config.yml", content, 0o600, "registry", secret=True)
        files.append(config)
        containers.append(
            container(
                f"regfleet-{name}",
                image=Image(draw(st.sampled_from(["registry:2", "registry:3"]))),
                inputs=(config.digest,),
                port=5000 + number + 10 * (fleet == "other"),
                storage=storage,
                fleet=fleet,
            )
        )
    keys = draw(st.sets(st.tuples(st.sampled_from(["root", "ops"]), st.sampled_from(ENDPOINTS))))
    return DesiredHost(
        "web1",
        fleet,
        engine="docker",
        install=True,
        directories=tuple({each.path: each for each in directories}.values()),
        files=tuple(files),
        edits=client.edits,
        services=tuple(containers),
        logins=tuple(
            login(account, endpoint, password=draw(st.sampled_from(["one", "two"])))
            for account, endpoint in sorted(keys)
        ),
    )


foreign_daemon = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "dns": st.just(["192.0.2.1"]),
        "insecure-registries": st.lists(
            st.sampled_from([*ENDPOINTS, "f.example"]), max_size=2, unique=True
        ),
        "registry-mirrors": st.lists(
            st.sampled_from(["https://m.example", "https://f.example/"]), max_size=2, unique=True
        ),
        "debug": st.booleans(),
        "userland-proxy": st.booleans(),
    },
).map(lambda document: json.dumps(document, indent=4) + "\n")

foreign_files = st.dictionaries(
    st.sampled_from([f"/etc/docker/certs.d/{endpoint}/ca.crt" for endpoint in ENDPOINTS]),
    st.tuples(st.sampled_from([*CAS, b"theirs\n"]), st.sampled_from([0o444, 0o644])),
)


@st.composite
def hosts(draw, states=("up", "down", "missing")):
    return HostModel(draw(foreign_files), draw(foreign_daemon), draw(st.sampled_from(states)))


def run(host, want):
    plan = diff(want, host.look(want, SALT), SALT)
    if not plan.empty:
        host.apply(plan)
    return plan


def nothing(fleet="acme"):
    return DesiredHost("web1", fleet)


# ---- laws ----


@given(host=hosts(), want=wants())
def test_apply_then_plan_is_empty(host, want):
    run(host, want)
    again = diff(want, host.look(want, SALT), SALT)
    assert again.changes == ()
    assert again.steps == ()


@given(host=hosts(), sequence=st.lists(wants(), min_size=1, max_size=4))
def test_apply_then_plan_is_empty_wherever_it_comes_from(host, sequence):
    for want in sequence:
        run(host, want)
        assert diff(want, host.look(want, SALT), SALT).changes == ()


def without_the_engine(content, host):
    """An engine that was installed stays, with its directory and what it had to be told of."""
    if host.installed:
        content["directories"].pop("/etc/docker", None)
    return content


@given(host=hosts(), sequence=st.lists(wants(), max_size=4))
def test_any_sequence_then_destroy_gives_the_host_back(host, sequence):
    before = host.content()
    for want in [*sequence, nothing()]:
        run(host, want)
    assert without_the_engine(host.content(), host) == without_the_engine(before, host)
    assert diff(nothing(), host.look(nothing(), SALT), SALT).empty


@given(
    host=hosts(),
    sequence=st.lists(wants("acme") | wants("other"), max_size=5),
    last=st.permutations(["acme", "other"]),
)
def test_two_fleets_then_both_destroyed_give_the_host_back(host, sequence, last):
    before = host.content()
    for want in [*sequence, *map(nothing, last)]:
        run(host, want)
    assert without_the_engine(host.content(), host) == without_the_engine(before, host)


def test_what_another_fleet_put_there_is_not_what_was_there_before_us():
    host = HostModel()
    before = host.content()
    home = Directory("/etc/docker/certs.d/a", 0o755, "")
    for fleet, content in (("acme", CAS[0]), ("other", CAS[1])):
        ca = File(f"{home.path}/ca.crt", content, 0o444, "")
        run(host, DesiredHost("web1", fleet, "docker", directories=(home,), files=(ca,)))
    for fleet in ("acme", "other"):
        run(host, nothing(fleet))
    assert host.content()["files"] == before["files"]


@given(host=hosts(), one=wants("acme"), other=wants("other"))
def test_a_fleet_that_goes_takes_nothing_that_another_wants(host, one, other):
    for want in (one, other, nothing("acme")):
        run(host, want)
    assert diff(other, host.look(other, SALT), SALT).changes == ()


@given(host=hosts(), want=wants())
def test_every_step_has_its_change_and_every_change_its_reason(host, want):
    plan = diff(want, host.look(want, SALT), SALT)
    assert bool(plan.steps) <= bool(plan.changes)
    for change in plan.changes:
        assert change.reason
        assert resource_text(change.resource).split(" ")[0] in {
            "file", "directory", "daemon.json", "container", "image", "login", "package", "service"
        }  # fmt: skip


@given(host=hosts(), want=wants())
def test_the_plan_is_pure(host, want):
    seen = host.look(want, SALT)
    assert diff(want, seen, SALT) == diff(want, seen, SALT)


# ---- refusals ----

CA = File("/etc/docker/certs.d/a/ca.crt", b"CA\n", 0o444, "client.build.registries")
HOME = Directory("/etc/docker/certs.d/a", 0o755, "client.build.registries")
FOREIGN = seen_container("regfleet-main", True, "registry:2", "x", "")


def at(path, directory=False, mode=0o644, owner=(0, 0), digest="theirs"):
    return {path: ObservedPath(path, directory, mode, owner, "" if directory else digest)}


REFUSALS = {
    "not root": (desired(), observed(uid=1000), "user id 1000"),
    "another run": (desired(), observed(busy="ops: regfleet, fleet b"), "at work here: ops: reg"),
    "no engine": (desired(install=False), observed(engine=engine("missing")), "no dockerd"),
    "no package manager": (
        desired(install=True),
        observed(engine=engine("missing"), packages=""),
        "no package manager",
    ),
    "silent": (desired(), observed(engine=engine("silent", detail="why")), "does not answer (why)"),
    "silent, to be emptied": (nothing(), observed(engine=engine("silent")), "does not answer"),
    "down, container to be removed": (
        nothing(),
        observed(
            engine=engine("down"),
            owned={"acme": Owned(services=(OwnedService("regfleet-main", "/data"),))},
        ),
        "does not run",
    ),
    "a foreign container": (
        desired(services=(container(),)),
        observed(services={"regfleet-main": FOREIGN}),
        "somebody else",
    ),
    "another fleet's container": (
        desired(services=(container(),)),
        observed(services={"regfleet-main": replace(FOREIGN, fleet="other")}),
        "the fleet other",
    ),
    "a directory for a file": (
        desired(files=(CA,)),
        observed(paths=at(CA.path, directory=True)),
        "is a directory",
    ),
    "a file for a directory": (
        desired(directories=(HOME,)),
        observed(paths=at(HOME.path)),
        "is a file",
    ),
    "no account": (
        desired(logins=(login("nobody1"),)),
        observed(logins={("nobody1", "reg.example.com:5000"): "no-account"}),
        "does not exist on the host",
    ),
    "daemon.json is no JSON": (
        desired(),
        observed(daemon_json='{"debug": true,}'),
        "line 1, column 15",
    ),
    "daemon.json is no JSON, to be emptied": (nothing(), observed(daemon_json="["), "line 1"),
    "a list that is none": (
        desired(daemon=daemon_json({"registry-mirrors": ("https://m",)})),
        observed(daemon_json='{"registry-mirrors": "x"}'),
        "registry-mirrors",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_host_that_cannot_be_brought_there_is_refused(name):
    want, seen, said = REFUSALS[name]
    with pytest.raises(HostError) as caught:
        diff(want, seen, SALT)
    assert said in caught.value.message
    assert caught.value.hint
    assert caught.value.host == "web1"


# ---- one by one ----


def changes(want, seen):
    return [(c.action, resource_text(c.resource), c.reason) for c in diff(want, seen, SALT).changes]


OURS = observed(owned={"acme": Owned(files=(CA.path,), directories=(HOME.path,))})
MATCHING = {"digest": CA.digest, "mode": 0o444}
PATH_CASES = {
    "absent": (observed(), [("create", CA.reason)], False),
    "deleted by hand": (OURS, [("create", "it was deleted by hand")], False),
    "as wanted": (observed(paths=at(CA.path, **MATCHING)), [], None),
    "another content": (observed(paths=at(CA.path)), [("update", CA.reason)], True),
    "another content of ours": (replace(OURS, paths=at(CA.path)), [("update", CA.reason)], False),
    "another mode": (observed(paths=at(CA.path, digest=CA.digest)), [], None),
    "another mode of ours": (
        replace(OURS, paths=at(CA.path, digest=CA.digest)),
        [("update", "mode 0644 is not root's 0444")],
        False,
    ),
    "another owner of ours": (
        replace(OURS, paths=at(CA.path, owner=(0, 7), **MATCHING)),
        [("update", "mode 0444 is not root's 0444")],
        False,
    ),
}


@pytest.mark.parametrize("name", PATH_CASES)
def test_files(name):
    seen, expected, foreign = PATH_CASES[name]
    plan = diff(desired(files=(CA,)), replace(seen, owned=_files_only(seen)), SALT)
    assert [(c.action, c.reason) for c in plan.changes] == expected
    assert [step.foreign for step in plan.steps if isinstance(step, PutFile)] == (
        [] if foreign is None else [foreign]
    )


def _files_only(seen):
    return {name: replace(owned, directories=()) for name, owned in seen.owned.items()}


def test_a_secret_with_an_open_mode_is_closed_and_ours_from_then_on():
    secret = replace(CA, mode=0o600, secret=True)
    plan = diff(
        desired(files=(secret,)), observed(paths=at(secret.path, digest=secret.digest)), SALT
    )
    assert [step.foreign for step in plan.steps] == [True]
    assert record.parse(plan.record)["acme"].files == (secret.path,)


def test_a_secrets_content_is_not_in_the_diff():
    secret = replace(CA, content=b"canary", secret=True)
    plan = diff(desired(files=(secret,)), observed(), SALT)
    assert "canary" not in repr(plan)


def test_files_that_are_not_wanted_any_more_go_and_empty_directories_behind_them():
    plan = diff(desired(), OURS, SALT)
    assert plan.steps == (RemovePath(CA.path), RemovePath(HOME.path, directory=True))
    assert plan.record == ""


def test_deeper_directories_go_first():
    owned = Owned(directories=("/a", "/a/b/c", "/a/b"))
    plan = diff(nothing(), observed(owned={"acme": owned}), SALT)
    assert [step.path for step in plan.steps] == ["/a/b/c", "/a/b", "/a"]


DIRECTORY_CASES = [
    # ours, seen, changes
    (False, {}, ["create"]),
    (False, at(HOME.path, directory=True, mode=0o700), []),
    (True, at(HOME.path, directory=True, mode=0o755), []),
    (True, at(HOME.path, directory=True, mode=0o700), ["update"]),
    (True, at(HOME.path, directory=True, mode=0o755, owner=(7, 0)), ["update"]),
    (True, {}, ["create"]),
]


@pytest.mark.parametrize(("ours", "paths", "actions"), DIRECTORY_CASES)
def test_directories(ours, paths, actions):
    owned = {"acme": Owned(directories=(HOME.path,))} if ours else {}
    plan = diff(desired(directories=(HOME,)), observed(paths=paths, owned=owned), SALT)
    assert [change.action for change in plan.changes] == actions


MAIN = container()
THERE = seen_container(MAIN.name, True, "registry:2", MAIN.specification, "acme")
OWNED_MAIN = {"acme": Owned(services=(OwnedService(MAIN.name, MAIN.storage),))}
CONTAINER_CASES = {
    "absent": (
        observed(),
        [("create", "image registry:2"), ("create", "container regfleet-main")],
        (PullImage, RunService),
    ),
    "image there": (
        observed(images={"registry:2": "sha256:1"}),
        [("create", "container regfleet-main")],
        (RunService,),
    ),
    "as wanted": (observed(services={MAIN.name: THERE}, owned=OWNED_MAIN), [], ()),
    "stopped": (
        observed(services={MAIN.name: replace(THERE, running=False)}),
        [("run", "container regfleet-main")],
        (StartService,),
    ),
    "another specification": (
        observed(
            services={MAIN.name: replace(THERE, specification="old")},
            images={"registry:2": "sha256:1"},
        ),
        [("update", "container regfleet-main")],
        (RunService,),
    ),
}


READ = File("/etc/regfleet/main.gateway/policy.js", b"new", 0o600, "registry.main.projects")
FRONT = container("regfleet-main.gateway", storage="", files=(READ,), reloads=(READ.path,))
FRONT_THERE = seen_container(FRONT.name, True, "registry:2", FRONT.specification, "acme")
RELOAD_CASES = {
    # what is there, whether it runs: actions and the kinds of steps
    "another file": ((b"old", True), ["update", "update"], (PutFile, ReloadService)),
    "a file that is gone": ((None, True), ["create", "update"], (PutFile, ReloadService)),
    "the same file": ((b"new", True), [], ()),
    "stopped": ((b"new", False), ["run"], (StartService,)),
    # Started with the new file, and then asked whether it has taken that up.
    "stopped, another file": (
        (b"old", False),
        ["update", "run", "update"],
        (PutFile, StartService, ReloadService),
    ),
}


@pytest.mark.parametrize("name", RELOAD_CASES)
def test_files_that_a_service_reads_when_it_is_told_to(name):
    (content, running), actions, steps = RELOAD_CASES[name]
    digest = replace(READ, content=content or b"").digest
    there = {} if content is None else at(READ.path, mode=0o600, digest=digest)
    seen = observed(
        paths=there,
        services={FRONT.name: replace(FRONT_THERE, running=running)},
        images={"registry:2": "sha256:1"},
    )
    plan = diff(desired(services=(FRONT,), files=(READ,)), seen, SALT)
    assert [change.action for change in plan.changes] == actions
    assert tuple(type(step) for step in plan.steps) == steps


VIP = container(
    "regfleet-main.vip", image=None, storage="", depends=(FRONT.name,), drains="/run/x/drain"
)
VIP_THERE = seen_container(VIP.name, True, "", VIP.specification, "acme")


@pytest.mark.parametrize(
    ("there", "steps"),
    [
        ({}, (Drain, RunService)),
        ({"front": {"running": False}}, (RunService,)),  # the address is elsewhere
        ({"vip": {"running": False}}, (RunService, StartService)),
        ({"front": {"specification": FRONT.specification}}, ()),
    ],
)
def test_the_address_goes_to_another_host_before_its_gateway_is_replaced(there, steps):
    old = replace(FRONT_THERE, **{"specification": "old", **there.get("front", {})})
    seen = observed(
        paths=at(READ.path, mode=0o600, digest=READ.digest),
        services={FRONT.name: old, VIP.name: replace(VIP_THERE, **there.get("vip", {}))},
        images={"registry:2": "sha256:1"},
    )
    plan = diff(desired(services=(FRONT, VIP), files=(READ,)), seen, SALT)
    assert tuple(type(step) for step in plan.steps) == steps


@pytest.mark.parametrize("ipv6", [True, False])
def test_a_service_for_hosts_without_ipv6(ipv6):
    other = replace(READ, content=b"other")
    front = replace(FRONT, without_ipv6=replace(FRONT, files=(other,)))
    there = at("/proc/net/if_inet6") if ipv6 else {}
    plan = diff(desired(services=(front,), files=(READ,)), observed(paths=there), SALT)
    (put,) = (step for step in plan.steps if isinstance(step, PutFile))
    assert put.file == (READ if ipv6 else other)


@pytest.mark.parametrize("name", CONTAINER_CASES)
def test_containers(name):
    seen, expected, steps = CONTAINER_CASES[name]
    plan = diff(desired(services=(MAIN,)), seen, SALT)
    assert [(c.action, resource_text(c.resource)) for c in plan.changes] == expected
    assert tuple(type(step) for step in plan.steps) == steps


ARCHIVED = replace(MAIN, image=Image("registry:2", "a.tar", "ab" * 32))
OTHER_ARCHIVE = replace(MAIN, image=Image("registry:2", "a.tar", "cd" * 32))
ARCHIVE_CASES = [
    # seen container, images, travels
    (None, {}, True),
    (None, {"registry:2": "sha256:1"}, False),
    (ARCHIVED, {"registry:2": "sha256:1"}, False),
    (OTHER_ARCHIVE, {"registry:2": "sha256:1"}, True),
    (OTHER_ARCHIVE, {}, True),
    (replace(ARCHIVED, run=replace(MAIN.run, command=("old",))), {"registry:2": "sha256:1"}, False),
]


@pytest.mark.parametrize(("there", "images", "travels"), ARCHIVE_CASES)
def test_an_archive_travels_where_the_image_is_missing_or_was_another_archives(
    there, images, travels
):
    found = {} if there is None else {
        MAIN.name: replace(THERE, specification=there.specification)
    }  # fmt: skip
    plan = diff(desired(services=(ARCHIVED,)), observed(services=found, images=images), SALT)
    assert plan.archives == ((ARCHIVED.image,) if travels else ())
    assert not any(isinstance(step, PullImage) for step in plan.steps)


def test_two_containers_of_one_image_pull_it_once():
    both = (MAIN, container("regfleet-two", port=5001, storage="/data2"))
    steps = diff(desired(services=both), observed(), SALT).steps
    assert sum(isinstance(step, PullImage) for step in steps) == 1


IMAGES = ObservedData("registry", 12, 3_400_000_000)
DATA_CASES = [
    # asked for, found, what goes, why
    ((), IMAGES, None, None),
    ((MAIN.storage,), None, None, None),  # nothing is there
    ((MAIN.storage,), IMAGES, IMAGES, "--delete-data: 12 repositories, 3.4 GB"),
    (
        (MAIN.storage,),
        ObservedData("registry", 1, 999, all_counted=False),
        ObservedData("registry", 1, 999, all_counted=False),
        "--delete-data: at least 1 repository, 999 bytes",
    ),
]


@pytest.mark.parametrize(("delete", "found", "goes", "reason"), DATA_CASES)
def test_a_container_goes_and_its_data_only_when_that_is_said(delete, found, goes, reason):
    want = replace(nothing(), delete_storage=delete)
    seen = observed(owned=OWNED_MAIN, data={MAIN.storage: found} if found else {})
    plan = diff(want, seen, SALT)
    expected = MAIN.storage if goes else ""
    assert plan.steps == (RemoveService(MAIN.name, "container", expected, data=goes),)
    assert [
        c.reason for c in plan.changes if resource_text(c.resource) == f"data {MAIN.storage}"
    ] == ([reason] if goes else [])


def test_what_is_no_registrys_is_not_deleted():
    want = replace(nothing(), delete_storage=(MAIN.storage,))
    seen = observed(owned=OWNED_MAIN, data={MAIN.storage: ObservedData("other")})
    with pytest.raises(HostError, match="was there before regfleet and holds something other than"):
        diff(want, seen, SALT)


def test_what_regfleet_made_goes_when_it_holds_no_images():
    want = replace(nothing(), delete_storage=(MAIN.storage,))
    owned = {"acme": replace(OWNED_MAIN["acme"], directories=(MAIN.storage,))}
    plan = diff(want, observed(owned=owned, data={MAIN.storage: ObservedData("empty")}), SALT)
    (step,) = (each for each in plan.steps if isinstance(each, RemoveService))
    assert (step.delete, step.made) == (MAIN.storage, True)


@pytest.mark.parametrize(("delete", "stays"), [((MAIN.storage,), False), ((), True)])
def test_a_storage_is_not_said_to_stay_with_the_data_that_go(delete, stays):
    want = replace(nothing(), delete_storage=delete)
    owned = {"acme": replace(OWNED_MAIN["acme"], directories=(MAIN.storage,))}
    data = {MAIN.storage: IMAGES} if delete else {}
    plan = diff(want, observed(owned=owned, data=data, holds={MAIN.storage: ("docker",)}), SALT)
    (reason,) = (
        c.reason for c in plan.changes if resource_text(c.resource) == f"directory {MAIN.storage}"
    )
    assert ("kept, because it holds" in reason) is stays


@pytest.mark.parametrize("theirs", [MAIN.storage, f"{MAIN.storage}/sub", "/var/lib"])
def test_another_fleets_storage_is_refused_and_never_deleted(theirs):
    owned = {**OWNED_MAIN, "other": Owned(services=(OwnedService("regfleet-x", theirs),))}
    message = f"overlaps {theirs}, where regfleet-x of the fleet other keeps its images"
    with pytest.raises(HostError, match=message):
        diff(desired(services=(MAIN,)), observed(owned=owned), SALT)
    want = replace(nothing(), delete_storage=(MAIN.storage,))
    with pytest.raises(HostError, match=message):
        diff(want, observed(owned=owned, data={MAIN.storage: IMAGES}), SALT)


@pytest.mark.parametrize(
    ("storage", "refused"),
    [
        ("/data/engine", True),
        ("/data/engine/overlay2", True),
        ("/data", True),
        ("/data/images", False),
        ("/data/engine/volumes/old/_data", False),  # a named volume that is gone on with
    ],
)
def test_the_engines_own_directory_is_refused(storage, refused):
    seen = observed(engine=engine(values={"data-root": "/data/engine"}))
    want = desired(services=(container(storage=storage),))
    if refused:
        with pytest.raises(HostError, match="overlaps /data/engine, the engine's data directory"):
            diff(want, seen, SALT)
    else:
        assert diff(want, seen, SALT).steps


def test_a_container_that_goes_makes_room_for_the_one_that_comes_in_its_place():
    """A registry of another name at the same port."""
    host = HostModel()
    run(host, desired(services=(MAIN,)))
    want = desired(services=(container("regfleet-hub", registry="hub"),))
    run(host, want)
    assert list(host.containers) == ["regfleet-hub"]
    assert diff(want, host.look(want, SALT), SALT).empty


CI = login()
KEY = (CI.account, CI.endpoint)
DIGEST = login_digest(CI, SALT)
OLD = OwnedLogin(*KEY, "ci", "old")
NEW = OwnedLogin(*KEY, "ci", DIGEST)
LOGIN_CASES = [
    # recorded, seen, action
    ((), {}, "create"),
    ((), {KEY: DIGEST}, None),
    ((), {KEY: "another"}, "update"),
    ((OLD,), {KEY: "helper"}, "update"),
    ((NEW,), {KEY: "helper"}, None),
    ((), {KEY: "helper"}, "create"),
    ((NEW,), {}, "create"),
]


@pytest.mark.parametrize(("recorded", "seen", "action"), LOGIN_CASES)
def test_logins(recorded, seen, action):
    owned = {"acme": Owned(logins=recorded)} if recorded else {}
    plan = diff(desired(logins=(CI,)), observed(logins=seen, owned=owned), SALT)
    assert [change.action for change in plan.changes] == ([action] if action else [])
    assert [step for step in plan.steps if not isinstance(step, ActivateDocker)] == (
        [LogIn(CI)] if action else []
    )


# As the first release recorded a client's part of daemon.json.
FIRST_RECORD = json.dumps(
    {
        "version": 1,
        "fleets": {
            "acme": {
                "files": [],
                "directories": ["/etc/docker"],
                "daemon_created": True,
                "lists": {"registry-mirrors": {"entries": ["https://m"], "existed": False}},
                "values": {"debug": {"value": True, "before": None, "existed": False}},
                "logins": [],
                "containers": [],
                "engine": "docker",
                "edits": {},
                "digests": {},
            }
        },
    }
)


def test_what_the_first_release_has_applied_is_as_it_should_be():
    client = Docker().wants(ClientNeeds((), (Mirror("https://m"),), {"debug": True}, "client.a"))
    want = desired(directories=client.directories, edits=client.edits)
    running = engine(mirrors=("https://m/",), values={"debug": True})
    seen = observed(
        paths={"/etc/docker": ObservedPath("/etc/docker", True, 0o755, (0, 0), "")},
        daemon_json='{\n  "registry-mirrors": [\n    "https://m"\n  ],\n  "debug": true\n}\n',
        record=FIRST_RECORD,
        owned=record.parse(FIRST_RECORD),
        engine=running,
    )
    assert diff(want, seen, SALT).empty
    gone = diff(nothing(), seen, SALT)
    assert RemovePath("/etc/docker/daemon.json") in gone.steps
    assert gone.record == ""


def test_a_login_goes_with_its_declaration():
    plan = diff(desired(), observed(owned={"acme": Owned(logins=(NEW,))}), SALT)
    assert plan.steps == (LogOut(*KEY, "docker", ".docker/config.json"),)
    assert plan.record == ""


def test_a_login_that_somebody_made_just_so_stays_theirs():
    want = desired(logins=(CI,), files=(CA,))
    plan = diff(want, observed(logins={KEY: DIGEST}), SALT)
    assert record.parse(plan.record)["acme"].logins == ()


def test_the_record_keeps_the_other_fleets():
    others = {"other": Owned(files=("/etc/other",))}
    plan = diff(desired(files=(CA,)), observed(owned=others), SALT)
    assert record.parse(plan.record) == {
        "acme": Owned(files=(CA.path,), engine="docker", digests={CA.path: CA.digest}),
        **others,
    }
    gone = diff(nothing(), observed(owned={**others, "acme": Owned(files=(CA.path,))}), SALT)
    assert record.parse(gone.record) == others


def test_what_was_looked_at_is_expected_to_be_so_still():
    seen = observed(paths=at(CA.path), record="{}")
    plan = diff(desired(files=(CA,)), seen, SALT)
    digests = dict(plan.expected)
    assert digests[CA.path] == "theirs"
    assert len(digests[record.PATH]) == 64
    fresh = diff(desired(files=(CA,)), observed(), SALT)
    assert dict(fresh.expected) == {CA.path: "absent", record.PATH: "absent"}


def test_no_password_in_a_plan():
    plan = diff(desired(logins=(login(password="kanarienvogel"),)), observed(), SALT)
    assert any(isinstance(step, LogIn) for step in plan.steps)
    assert "kanarienvogel" not in repr(plan)


class TestUsers:
    """An htpasswd file: who comes, who goes, whose password is another; never a hash."""

    PATH = "/etc/regfleet/main/htpasswd"

    def mark(self, letter):
        return f"$2y$05${letter * 22}"

    def change(self, wanted, there):
        lines = (f"{name}:{mark and mark + 'h' * 31}\n" for name, mark in wanted.items())
        text = "".join(lines).encode()
        file = File(self.PATH, text, 0o600, "registry.main.users", secret=True, users=True)
        found = ObservedPath(self.PATH, directory=False, mode=0o600, owner=(0, 0), digest="other")
        paths = {} if there is None else {self.PATH: found}
        seen = observed(paths=paths, users={self.PATH: there or {}})
        (change,) = diff(desired(files=(file,)), seen, SALT).changes
        assert "hhh" not in repr(change)
        return change

    def test_each_is_told_by_name(self):
        there = {"alice": self.mark("A"), "carol": self.mark("C"), "dave": self.mark("D")}
        wanted = {"alice": self.mark("X"), "bob": self.mark("B"), "dave": self.mark("D")}
        change = self.change(wanted, there)
        assert (resource_text(change.resource), change.action) == (f"file {self.PATH}", "update")
        assert change.parts == (
            Part(Resource("user", "bob"), "create"),
            Part(Resource("password", "alice"), "update"),
            Part(Resource("user", "carol"), "delete"),
        )

    def test_a_new_file_brings_all(self):
        change = self.change({"alice": self.mark("A")}, None)
        assert change.parts == (Part(Resource("user", "alice"), "create"),)

    def test_an_unknown_password_is_not_compared(self):
        change = self.change({"alice": "", "bob": ""}, {"alice": self.mark("A")})
        assert change.parts == (Part(Resource("user", "bob"), "create"),)

    def test_where_no_user_differs_the_file_stands_for_itself(self):
        same = {"alice": self.mark("A")}
        assert self.change(same, same).parts == ()


class TestRoles:
    """A record of roles: who comes into a project, who goes, who gets another role."""

    PATH = "/etc/regfleet/main/roles.json"
    HELD = (
        Project("team-a", members=(Member("bob", "developer"), Member("dave", "guest"))),
        Project("open", public=True),
        Project("new", public=True, members=(Member("bob", "guest"),)),
        Project("shut"),
    )

    def change(self, there, *, digest="other", ours=False):
        text = roles.record(registry(admins=("root",), projects=self.HELD)).encode()
        file = File(self.PATH, text, 0o600, "registry.main.projects", roles=True)
        found = ObservedPath(self.PATH, directory=False, mode=0o600, owner=(0, 0), digest=digest)
        seen = observed(
            paths={} if there is None else {self.PATH: found},
            roles={self.PATH: there} if isinstance(there, Roles) else {},
            owned={"acme": Owned(files=(self.PATH,))} if ours else {},
        )
        (change,) = diff(desired(files=(file,)), seen, SALT).changes
        return [(part.action, resource_text(part.resource)) for part in change.parts]

    def test_each_is_told_by_name(self):
        there = Roles(
            frozenset({"eve"}),
            {"team-a": {"bob": "guest", "carol": "admin"}, "open": {}, "gone": {"bob": "guest"}},
            frozenset({"gone"}),
        )
        assert self.change(there) == [
            ("create", "all repositories: root admin"),
            ("delete", "all repositories: eve admin"),
            ("update", "team-a: bob guest -> developer"),
            ("create", "team-a: dave guest"),
            ("delete", "team-a: carol admin"),
            ("update", "open: public"),
            ("create", "new: bob guest"),
            ("create", "new: public"),
            ("create", "shut: admins only"),
            ("delete", "gone: bob guest"),
            ("delete", "gone: public"),
        ]

    def test_a_project_that_closes(self):
        there = roles.parse(roles.record(registry(admins=("root",), projects=self.HELD)))
        opened = replace(there, public=there.public | {"team-a"})
        assert self.change(opened) == [("update", "team-a: not public")]
        assert self.change(there) == []

    def test_a_new_record_brings_all(self):
        assert ("create", "team-a: bob developer") in self.change(None)
        assert self.change(None, ours=True) == []

    def test_what_is_no_record_is_not_compared(self):
        assert self.change("no record") == []


STAYS = "kept, because it holds"


@pytest.mark.parametrize(
    ("holds", "reason"),
    [
        ((), "no longer declared, if it is empty"),
        (("ca.crt",), "no longer declared, if it is empty"),
        (
            ("ca.crt", "theirs"),
            f"no longer declared; {STAYS} 1 entry not owned by the fleet: theirs",
        ),
        (
            tuple("abcdefg"),
            f"no longer declared; {STAYS} 7 entries not owned by the fleet: a, b, c, d, e, ...",
        ),
    ],
)
def test_what_a_directory_holds_that_goes_is_told(holds, reason):
    place = "/etc/docker/certs.d/x"
    owned = Owned(files=(f"{place}/ca.crt",), directories=(place,))
    seen = observed(owned={"acme": owned}, record="{}", holds={place: holds})
    changes = diff(DesiredHost("web1", "acme"), seen, SALT).changes
    assert (
        next(each.reason for each in changes if resource_text(each.resource).startswith("dir"))
        == reason
    )


BY_PACKAGE = replace(MAIN, run=UnitRun(command=("/usr/bin/docker-registry",)), image=None)
RUNTIME_CHANGES = [
    # wanted, recorded kind, removed image, image recorded afterwards
    (BY_PACKAGE, "unit", None, "registry:2"),
    (BY_PACKAGE, "container", None, ""),
    (None, "unit", RemoveImage("registry:2", "podman"), None),
]


@pytest.mark.parametrize(("service", "kind", "removed", "recorded"), RUNTIME_CHANGES)
def test_the_image_stays_while_the_runtime_changes_for_a_way_back(service, kind, removed, recorded):
    there = OwnedService(MAIN.name, MAIN.storage, "registry:2", kind)
    owned = Owned(services=(there,))
    wanted = desired(services=(service,) if service else ())
    plan = diff(wanted, observed(owned={"acme": owned}), SALT)
    assert [step for step in plan.steps if isinstance(step, RemoveImage)] == (
        [removed] if removed else []
    )
    after = record.parse(plan.record).get("acme", Owned()).services
    assert [each.image for each in after] == ([] if recorded is None else [recorded])


BROUGHT = frozenset(
    {BroughtImage("acme", "docker", "registry:2"), BroughtImage("other", "docker", "registry:3")}
)
REMOVED = RemoveImage("registry:2", "docker")
BROUGHT_CASES = {
    # wanted, images there, steps that remove images, image recorded afterwards
    "the touch that brought it was killed": (MAIN, {"registry:2": "sha256:1"}, [], "registry:2"),
    "another one than this fleet brought": (
        replace(MAIN, image=Image("registry:3")), {"registry:3": "sha256:1"}, [], ""
    ),
    "the runtime before had it, and may come back": (BY_PACKAGE, {}, [], ""),
    "nothing runs here any more": (None, {}, [REMOVED], None),
}  # fmt: skip


@pytest.mark.parametrize(
    ("service", "images", "removed", "recorded"), BROUGHT_CASES.values(), ids=BROUGHT_CASES
)
def test_what_this_fleet_brought_goes_with_it(service, images, removed, recorded):
    wanted = desired(services=(service,) if service else ())
    plan = diff(wanted, observed(images=images, brought=BROUGHT), SALT)
    assert [step for step in plan.steps if isinstance(step, RemoveImage)] == removed
    after = record.parse(plan.record).get("acme", Owned()).services
    assert [each.image for each in after] == ([] if recorded is None else [recorded])


def test_images_that_alone_are_left_are_a_change():
    plan = diff(desired(), observed(brought=BROUGHT), SALT)
    assert [(each.action, resource_text(each.resource)) for each in plan.changes] == [
        ("delete", "image registry:2")
    ]
    assert not diff(replace(desired(), fleet="third"), observed(brought=BROUGHT), SALT).changes
