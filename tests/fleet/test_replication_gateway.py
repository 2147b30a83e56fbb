"""Copies from and to a registry behind a gateway, whose roles hold for them by token."""

import json

import pytest
from test_replication import push

from regfleet.replication import engine

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
admins = ["root"]
users.root.password = "generate"
users.replica.password = "generate"
[registry.main.gateway]
image_archive = "$nginx_tar"
[registry.main.projects.prod]
members = { replica = "guest" }
[registry.main.projects.back]
members = { replica = "developer" }

[registry.north]
hosts = [$north1]
endpoint = "north.test:5000"
image_archive = "$registry_tar"
users.ci.password = "generate"

[replication.there]
from = "main"
to = ["north"]
repositories = ["prod/web"]
run_on = "controller"
login = { main = "replica", north = "ci" }

[replication.back]
from = "north"
to = ["main"]
repositories = ["back/*"]
run_on = "controller"
login = { main = "replica", north = "ci" }

[replication.all]
from = "main"
to = ["north"]
repositories = ["team/*"]
run_on = "controller"
login = { main = "root", north = "ci" }

[replication.refused]
from = "north"
to = ["main"]
repositories = ["prod/own"]
run_on = "controller"
login = { main = "replica", north = "ci" }
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test", "north1=north.test")


def test_roles_hold_for_copies(twin, write_fleet, regfleet, tmp_path):
    fleet, state = write_fleet(twin, BODY), tmp_path / "state"
    done = regfleet("apply", fleet, "--yes", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr

    def reach(host, name, user, endpoint):
        settings = {
            "url": f"https://{endpoint}:5000",
            "connect": f"{twin.hosts[host].address}:5000",
            "ca": (state / "ca.crt").read_text(),
            "user": user,
            "password": (state / f"passwords/{name}/{user}").read_text().strip(),
        }
        return engine.Registry(settings, engine.Clock(600))

    main, north = (
        reach("reg1", "main", "root", "registry.test"),
        reach("north1", "north", "ci", "north.test"),
    )
    for repository in ("prod/web", "team/app"):
        push(main, repository, "1", repository.encode() * 10_000)
    for repository in ("back/app", "prod/own"):
        push(north, repository, "1", repository.encode() * 10_000)
    found = {
        name: each["result"]
        for name, each in json.loads(
            regfleet("replicate", fleet, "--json", "--state-dir", state).stdout
        )["copies"].items()
    }
    assert {name: each["state"] for name, each in found.items()} == {
        "there.north": "ok",
        "back.main": "ok",
        "all.north": "ok",
        "refused.main": "failed",
    }, found
    for repository in ("prod/web", "team/app", "back/app"):
        assert main.digest(repository, "1") == north.digest(repository, "1")
    assert main.digest("prod/own", "1") is None
    assert "replica may only pull in prod/own" in found["refused.main"]["errors"][0]
