"""What serves a registry read-only: mistakes, each alone, and what is built."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from making import material

from regfleet.errors import Mistake
from regfleet.fleet.copies import copies
from regfleet.fleet.model import Fleet
from regfleet.runtimes import configuration

HEAD = 'version = 1\nname = "acme"\n'
MAIN = '[registry.main]\nhosts = ["reg1.example.com"]\nusers.ci.password = "generate"\n'
NORTH = '[registry.north]\nhosts = ["north.example.com"]\n'
OTHER = '[registry.other]\nhosts = ["reg1.example.com"]\nendpoint = "o.example.com:5001"\n'
USER = 'users.replica.password = "generate"'
READ = f"readonly = {{ port = 5001, {USER} }}\n"
COPY = '[replication.north]\nfrom = "main"\nto = ["north"]\nlogin = { main = "replica" }\n'
BACK = '[replication.back]\nfrom = "north"\nto = ["main"]\nconflict = "keep"\n'
BACK += 'login = { main = "replica" }\n'
OUTSIDE = '[registry.main]\nexternal = true\nendpoint = "hub.example.com"\n'
AT, LOGIN = "registry.main.readonly", "replication.north.login.main"

MISTAKES = [
    (MAIN + "readonly = {}\n", f"{AT}.port", "is missing"),
    (MAIN + "readonly = { port = 70000 }\n", f"{AT}.port", "65535"),
    (MAIN + "readonly = { port = 5000 }\n", f"{AT}.port", "is the port of main itself"),
    (MAIN + READ.replace("users.replica", "users.ci"), f"{AT}.users.ci", "who may push there"),
    (MAIN + READ + OTHER + 'storage = "/srv/o"\n', "registry.other.endpoint", "main.readonly"),
    (OTHER + 'storage = "/srv/o"\n' + MAIN + READ, f"{AT}.port", "is taken by registry.other"),
    (MAIN + READ + 'proxy = "https://quay.io"\n', AT, "does not go with proxy"),
    (MAIN + READ + 'projects.prod.members.ci = "developer"\n', AT, "does not go with a gateway"),
    (MAIN.partition("users")[0] + 'tls.source = "none"\n' + READ, f"{AT}.users", "in plain text"),
    (OUTSIDE + READ, AT, "does not go with external"),
    (MAIN + READ + NORTH + COPY.replace('"replica"', '"nobody"'), LOGIN, "has no user"),
    (MAIN + READ + NORTH + BACK, LOGIN.replace("north", "back"), "can only read main"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "words"), MISTAKES)
def test_a_mistake_is_told_alone(
    mistakes_of: Callable[[str], tuple[Mistake, ...]], text: str, path: str, words: str
) -> None:
    (found,) = mistakes_of(HEAD + text)
    assert found.path == path
    assert words in found.message
    assert found.hint


def test_a_package_has_no_image(mistakes_of: Callable[[str], tuple[Mistake, ...]]) -> None:
    read = READ.replace(", users", ', image = "registry:3", users')
    (found,) = mistakes_of(HEAD + MAIN + 'runtime = "package"\n' + read)
    assert (found.path, "has no effect" in found.message) == (f"{AT}.image", True)


def test_what_is_built(fleet_of: Callable[[str], Fleet]) -> None:
    fleet = fleet_of(HEAD + MAIN + READ + NORTH + COPY)
    main, read_only = (fleet.registries[name] for name in ("main", "main.readonly"))
    assert list(fleet.registries) == ["main", "main.readonly", "north"]
    assert [each.name for each in fleet.declared] == ["main", "north"]
    assert read_only.endpoint == "reg1.example.com:5001"
    assert [each.name for each in read_only.users] == ["replica"]
    assert (read_only.storage, read_only.hosts) == (main.storage, main.hosts)
    assert (main.takes_pushes, read_only.takes_pushes) == (True, False)
    assert "registry_main.readonly" not in fleet.groups()
    (copy,) = copies(fleet)
    assert (copy.source.name, copy.name) == ("main.readonly", "north.north")
    assert list(copy.users) == [("main.readonly", "replica")]
    assert not [each for each in fleet.warnings if each.path.startswith("registry.main")]


def test_it_only_reads_and_has_no_cache(fleet_of: Callable[[str], Fleet]) -> None:
    fleet = fleet_of(HEAD + MAIN + READ)
    for name, only_reads in (("main", False), ("main.readonly", True)):
        registry = fleet.registries[name]
        storage = json.loads(configuration.render(registry, material(), "/etc"))["storage"]
        assert ("maintenance" in storage) == only_reads
        assert storage["delete"] == {"enabled": not only_reads}
        assert "cache" not in storage
    maintenance = storage["maintenance"]
    assert maintenance["readonly"] == {"enabled": True}
    assert maintenance["uploadpurging"] == {"enabled": False}


def test_without_users_everybody_pulls_and_a_policy_needs_no_login(
    fleet_of: Callable[[str], Fleet],
) -> None:
    read = "readonly.port = 5001\n"
    fleet = fleet_of(HEAD + MAIN + read + NORTH + COPY.partition("login")[0])
    assert copies(fleet)[0].source.name == "main.readonly"
    (warning,) = [each for each in fleet.warnings if each.path == AT]
    assert "can pull every image" in warning.message


def test_two_that_copy_each_other_know_it(fleet_of: Callable[[str], Fleet]) -> None:
    there = COPY.strip() + '\nconflict = "overwrite"\n'
    fleet = fleet_of(HEAD + MAIN + READ + NORTH + there + BACK.replace('"replica"', '"ci"'))
    assert [each.two_way for each in copies(fleet)] == [True, True]
    assert [each.source.name for each in copies(fleet)] == ["main.readonly", "north"]
