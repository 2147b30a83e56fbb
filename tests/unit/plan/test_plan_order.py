"""A plan's steps stand in the order in which a host does them."""

from dataclasses import replace

import pytest
from making import container, desired, engine, observed

from regfleet.engines.docker import Docker
from regfleet.engines.interface import EnginePlan
from regfleet.model.files import File
from regfleet.model.plan import (
    ActivateDocker,
    ActivateUnit,
    EditFile,
    LoadImage,
    PutFile,
    RemovePath,
    RunService,
    SettleDocker,
    StartEngine,
)
from regfleet.model.service import Image
from regfleet.plan.diff import diff

JSON = EditFile("/etc/docker/daemon.json", "{}")
DOCKERD = ActivateDocker(JSON.path, "reload")
UNIT = ActivateUnit("containerd", "containerd", "restart", stops=False)
FLAGS = EditFile("/etc/sysconfig/docker", "OPTIONS=")
GONE, LEFT = RemovePath("/etc/x/hosts.toml"), RemovePath("/etc/x", directory=True)
IMAGE = Image("registry:2", "a.tar", "ab" * 32)
CONFIG = File("/etc/regfleet/main/config.yml", b"x", 0o600, "registry.main", secret=True)


class Configuring(Docker):
    """Docker, with the steps of a whole host's engines."""

    def __init__(self, *steps, may_restart=False):
        self.part = EnginePlan(configure=steps, may_restart=may_restart)

    def plan(self, *_):
        return self.part


def steps(*configure, services=(), state="up", **settings):
    want = desired(files=(CONFIG,), services=services)
    seen = observed(engine=engine(state))
    return diff(want, seen, "salt", [Configuring(*configure, **settings)]).steps


@pytest.mark.parametrize(
    ("configure", "expected"),
    [
        ((), []),
        # Docker's before the others': images are loaded into it in between.
        ((JSON, DOCKERD, UNIT), [JSON, DOCKERD, UNIT, SettleDocker()]),
        ((JSON, DOCKERD, StartEngine()), [JSON, DOCKERD, StartEngine(), SettleDocker()]),
        # What only writes comes before all that acts, whoever it is of.
        ((UNIT, FLAGS, GONE, LEFT, JSON, DOCKERD),
         [FLAGS, GONE, JSON, DOCKERD, UNIT, LEFT, SettleDocker()]),
        ((FLAGS,), [FLAGS]),
    ],
)  # fmt: skip
def test_files_come_first_then_engines_take_them_up(configure, expected):
    assert steps(*configure) == (PutFile(CONFIG, foreign=False), *expected)


def test_images_are_loaded_into_a_docker_that_runs_with_its_new_settings():
    run = RunService(container(image=IMAGE), "container")
    assert steps(JSON, DOCKERD, StartEngine(), UNIT, services=(run.service,), state="down") == (
        PutFile(CONFIG, foreign=False),
        JSON,
        DOCKERD,
        StartEngine(),
        LoadImage(IMAGE),
        UNIT,
        run,
        SettleDocker(),
    )


@pytest.mark.parametrize("may", [True, False])
@pytest.mark.parametrize("activation", ["none", "reload", "restart"])
def test_docker_takes_its_file_up_as_its_step_says(activation, may):
    step = replace(DOCKERD, how=activation)
    assert replace(step, may_restart=may) in steps(step, may_restart=may)


def test_without_daemon_json_nothing_is_taken_up():
    plan = diff(desired(), observed(), "salt")
    assert plan.steps == ()
