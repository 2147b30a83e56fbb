"""What a job of collection has to know of a registry, for every runtime."""

from dataclasses import replace

import pytest
from making import fleet, material, materials, registry

from regfleet.desired.resolve import resolve
from regfleet.errors import PasswordError
from regfleet.fleet.registries import S3, Retention
from regfleet.registry_api.target import Credentials
from regfleet.run.collection import collector, rounds, subjects, why_left_out
from regfleet.secret import Secret


class Access:
    """A registry whose user is known here, or not."""

    def __init__(self, known):
        self.known = known

    def trusted(self):
        return None

    def credentials(self):
        if not self.known:
            raise PasswordError("no password")
        return Credentials("ci", Secret("a:b"))


def of(made, *, known=True):
    whole = fleet([made])
    desired = resolve(whole, materials(whole, main=material()))["reg1"]
    return subjects(whole, desired, {"main": Access(known)})


@pytest.mark.parametrize(
    ("runtime", "program", "inside"),
    [
        ("container", ("docker", "exec", "regfleet-main", "registry"), "/etc/regfleet/config.yml"),
        ("compose", ("docker", "exec", "regfleet-main", "registry"), "/etc/regfleet/config.yml"),
        (
            "podman",
            ("podman", "--remote=false", "exec", "regfleet-main", "registry"),
            "/etc/regfleet/config.yml",
        ),
        ("package", ("/usr/bin/docker-registry",), "/etc/regfleet/main/config.yml"),
    ],
)
def test_how_a_registry_collects(runtime, program, inside):
    (found,) = of(registry(runtime=runtime))
    assert (found.program, found.inside) == (program, inside)
    assert found.config == "/etc/regfleet/main/config.yml"
    assert found.storage == "/var/lib/registry"
    assert found.login.reveal() == "ci:a:b"
    assert "a:b" not in repr(found)
    assert found.minutes == 24 * 60


def test_a_password_that_is_not_known_is_not_needed():
    (found,) = of(registry(retention=Retention(untagged_older=7200)), known=False)
    assert found.login is None
    assert found.minutes == 120
    assert [call[0] for call in found.steps(foresee=False)] == ["collection_of", "collection_run"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"proxy": "https://quay.io"}, "pull-through cache"),
        ({"storage": "", "s3": S3("images", "us-east-1")}, "in a bucket"),
    ],
)
def test_which_are_left_out(changes, words):
    assert not why_left_out(registry())
    assert words in why_left_out(registry(**changes))


def test_all_hosts_of_a_registry_take_part_at_once():
    made = registry(shared=True)
    two = replace(made, hosts=(*made.hosts, replace(made.hosts[0], name="reg2")))
    assert not why_left_out(two)
    assert collector(two) == "reg1"
    whole = fleet([two, registry("other", "other:5001")])
    desired = resolve(whole, materials(whole, main=material(), other=material()))
    about = {"main": Access(known=True), "other": Access(known=True)}
    its = {name: subjects(whole, want, about) for name, want in desired.items()}
    alone, together = rounds(whole, its, "t")
    assert {name: [each.service for each in found] for name, found in alone.items()} == {
        "reg1": ["regfleet-other"]
    }
    calls = {name: found[0].steps(foresee=False)[-2:] for name, found in together.items()}
    assert calls["reg1"] == [
        ("collection_leads", "t-main", "reg1", "reg2"),
        ("collection_run", "1440"),
    ]
    assert calls["reg2"][-1] == ("collection_hold", "t-main", "reg2", "reg1")
    assert [found[0].collects for found in together.values()] == [True, False]
