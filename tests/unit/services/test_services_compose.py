"""Compose on a host: whether it is there, what installs it, what its containers need."""

import json

import pytest
from making import desired, observed, parse_look, seen_container

from regfleet.errors import HostError
from regfleet.look.parse import API_CONTAINERS
from regfleet.model.files import File
from regfleet.model.observed import ObservedEngine, ObservedPath, OtherEngine
from regfleet.model.plan import InstallEngine, RunService, StartService
from regfleet.model.resource import Resource
from regfleet.model.service import ComposeRun, Image, Service, registry_probe
from regfleet.plan.services import programs_to_install, services_to_run
from regfleet.record import Owned, OwnedService
from regfleet.services import KINDS, compose, shell_of

PATH = "/etc/regfleet/main/compose.yaml"
KIND = KINDS["compose"]
THERE = {"compose": OtherEngine("up")}


def service(**definition):
    made = Service(
        "regfleet-main",
        ComposeRun(PATH, {"restart": "always", **definition}, {"max-size": "10m"}),
        registry_probe(tls=False),
        5000,
        "main",
        "acme",
        "registry.main",
        image=Image("registry:2"),
        storage="/srv/main",
        made_from=PATH,
        files=(File("/etc/regfleet/main/config.yml", b"{}", 0o600, "registry.main"),),
    )
    return compose.written(made)


def path(file, content=None):
    digest = file.digest if content is None else content
    found = ObservedPath(file.path, directory=False, mode=0o600, owner=(0, 0), digest=digest)
    return {file.path: found}


# ---- the program ----


@pytest.mark.parametrize(
    ("manager", "package"),
    [
        ("apt-get", "docker-compose-plugin|docker-compose-v2|docker-compose"),
        ("apk", "docker-cli-compose"),
        ("dnf", "docker-compose"),
    ],
)
def test_it_is_installed_where_it_is_missing(manager, package):
    want = desired(services=(service(),), install=True)
    part = programs_to_install(want, observed(packages=manager))
    assert part.steps == [InstallEngine(manager, (package,), "compose")]
    (change,) = part.changes
    assert change.action == "create"
    assert change.resource == Resource("package", package.rpartition("|")[2])


def test_it_is_not_installed_where_it_is_there():
    want = desired(services=(service(),), install=True)
    assert programs_to_install(want, observed(others=THERE)).steps == []


@pytest.mark.parametrize(("manager", "install"), [("yum", True), ("", True), ("apt-get", False)])
def test_a_host_that_cannot_have_it_is_refused(manager, install):
    want = desired(services=(service(),), install=install)
    with pytest.raises(HostError, match="neither `docker compose` nor `docker-compose`"):
        programs_to_install(want, observed(packages=manager))


# ---- what is there ----


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        ({"regfleet.fleet": "acme"}, "container"),
        ({"regfleet.fleet": "acme", "com.docker.compose.project": "regfleet-main"}, "compose"),
    ],
)
def test_what_compose_made_is_told_from_other_containers(labels, kind):
    item = {"Names": ["/regfleet-main"], "State": "running", "Labels": labels, "ImageID": "sha"}
    lines = ["@uid 0", f"@api 200 {API_CONTAINERS}?all=1 {json.dumps([item])}", "@end"]
    assert parse_look("reg1", lines).services["regfleet-main"].kind == kind
    project = labels.get("com.docker.compose.project", "-")
    lines = ["@uid 0", f"@container /regfleet-main true sha ports:5000, {project} - acme", "@end"]
    found = parse_look("reg1", lines).services["regfleet-main"]
    assert (found.kind, found.fleet, found.running) == (kind, "acme", True)


def run(seen):
    owned = Owned(services=(OwnedService("regfleet-main", "/srv/main", kind="compose"),))
    part, _ = services_to_run(desired(services=(service(),)), seen, owned)
    return [
        (change.action, change.resource.kind, change.resource.name) for change in part.changes
    ], part.steps


def seen(*, running=True, edited=False, kind="compose", specification=None):
    made = service()
    found = seen_container(
        "regfleet-main", running, "sha", specification or made.specification, "acme"
    )
    found = type(found)(found.name, kind, found.running, found.specification, found.fleet, "sha")
    return observed(
        services={"regfleet-main": found},
        paths=path(made.files[-1], "edited" if edited else None),
        images={"registry:2": "sha"},
    )


def test_nothing_is_done_where_all_is_as_it_should_be():
    assert run(seen()) == ([], [])


def test_one_that_does_not_run_is_started():
    assert run(seen(running=False)) == (
        [("run", "compose", "regfleet-main")],
        [StartService(service())],
    )


def test_an_edited_file_may_have_been_used():
    """By hand: whatever runs now, Compose goes by the declared file again."""
    assert run(seen(edited=True)) == (
        [("run", "compose", "regfleet-main")],
        [RunService(service(), "compose")],
    )


def test_a_container_is_replaced():
    changes, steps = run(seen(kind="container", specification="other"))
    assert changes == [("update", "compose", "regfleet-main")]
    assert steps == [RunService(service(), "container")]


# ---- as the host has to run it ----


def test_rights_and_log_rotation_are_as_for_a_container():
    made = service()
    others = ObservedPath("/srv/main", directory=True, mode=0o755, owner=(7, 7), digest="")
    host = observed(paths={"/srv/main": others})
    run = KIND.fitted(made, desired(services=(made,)), host).run
    assert run.definition == {
        "restart": "always",
        "cap_add": ["DAC_OVERRIDE"],
        "logging": {"options": {"max-size": "10m"}},
    }
    host = observed(engine=ObservedEngine("up", values={"log-driver": "journald"}))
    assert KIND.fitted(made, desired(services=(made,)), host).run.definition == made.run.definition


def test_its_words_are_its_file_and_its_image():
    assert KIND.words(service()) == (PATH, "registry:2")


def test_its_shell_calls_that_of_containers():
    assert shell_of(["compose"]) == ("container", "compose")
    assert shell_of(["compose", "container"]) == ("container", "compose")


def test_selinux_gets_a_label_on_what_is_mounted():
    shared = {"type": "bind", "source": "/mnt/a", "target": "/b"}
    volumes = ["/etc/regfleet/main:/etc/registry:ro", "/srv/main:/var/lib/registry", shared]
    for labelled in (True, False):
        seen = observed(engine=ObservedEngine("up", labelled=labelled))
        made = KIND.fitted(service(volumes=volumes), desired(), seen)
        found = made.run.definition["volumes"]
        assert found == ([f"{volumes[0]},z", f"{volumes[1]}:z", shared] if labelled else volumes)
