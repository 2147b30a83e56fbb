"""Gateways that run on this machine; see `gateway_stand`. Before registries 2 and 3."""

import os

import pytest
from gateway_stand import Stand, program

import registry_3


@pytest.fixture(
    scope="session", params=["2", *(["3"] if os.environ.get(registry_3.VARIABLE) else [])]
)
def registry_program(request, tmp_path_factory):
    if request.param == "3":
        return str(registry_3.program(tmp_path_factory.mktemp("registry-3")))
    place = "docker-registry/usr/bin/docker-registry"
    return program("REGFLEET_REGISTRY_BINARY", place, "docker-registry")


@pytest.fixture(scope="session")
def stands(tmp_path_factory, registry_program):
    """Gateways as asked for; all of them end with the session."""
    programs = (program("REGFLEET_NGINX", "nginx/usr/sbin/nginx", "nginx"), registry_program)
    made = []

    def make(**settings):
        stand = Stand(tmp_path_factory.mktemp("gateway"), *programs, **settings)
        made.append(stand)
        return stand.run()

    yield make
    for stand in made:
        stand.stop()


@pytest.fixture(scope="session")
def stand(stands):
    """One gateway whose policy stays, with an image in each project."""
    made = stands()
    for repository in ("team-a/app", "team-a/secret", "team-b/app", "open/app", "nobodys"):
        assert made.push(repository, user="root").status == 201
    return made
