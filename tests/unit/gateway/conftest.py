"""Gateways that run on this machine; see `gateway_stand`."""

import pytest
from gateway_stand import Stand, program


@pytest.fixture(scope="session")
def stands(tmp_path_factory):
    """Gateways as asked for; all of them end with the session."""
    programs = (
        program("REGFLEET_NGINX", "nginx/usr/sbin/nginx", "nginx"),
        program(
            "REGFLEET_REGISTRY_BINARY",
            "docker-registry/usr/bin/docker-registry",
            "docker-registry",
        ),
    )
    made = []

    def make(**changes):
        stand = Stand(tmp_path_factory.mktemp("gateway"), *programs, **changes)
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
