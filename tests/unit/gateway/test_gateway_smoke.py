"""The smoke test's checks of roles, on a real gateway: they fail where a role does not hold."""

import pytest
from making import registry as make_registry

from regfleet.fleet.registries import Gateway, Member, PasswordSource, Project, User
from regfleet.registry_api import tiny
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import RegistryError
from regfleet.registry_api.role_checks import role_checks
from regfleet.registry_api.target import Credentials, Target
from regfleet.registry_api.tunnel import direct
from regfleet.secret import Secret

ALL = {
    "main/member-push": "alice, developer of team-a",
    "main/private-pull-refused": "without a login: 401",
    "main/guest-pull": "bob, guest of team-a, from team-a",
    "main/stranger-pull-refused": "dave, no member of team-a: 403",
    "main/guest-push-refused": "bob, guest of team-a: 403",
    "main/developer-delete-refused": "alice, developer of team-a: 403",
    "main/member-delete": "carol, admin of team-a",
    "main/public-push": "alice, developer of open",
    "main/public-pull": "without a login, from open",
    "main/public-push-refused": "without a login: 401",
    "main/public-delete": "root, admin of the registry",
    "main/list-refused": "alice: 403",
}


def target(stand):
    return Target(
        stand.declared.endpoint,
        direct("127.0.0.1", stand.port),
        ca=stand.authority.certificate_pem,
    )


def checks(stand, registry=None, *, users=None, token="run-1"):  # noqa: S107 - a tag
    passwords = {
        name: Secret(password)
        for name, password in stand.passwords.items()
        if users is None or name in users
    }
    return role_checks(registry or stand.declared, target(stand), passwords, token)


def client(stand, user):
    return RegistryClient(target(stand), Credentials(user, Secret(stand.passwords[user])))


def test_every_role_that_somebody_has_is_proven_and_nothing_stays(stand):
    found = checks(stand)
    assert {check.name: check.detail for check in found} == ALL
    assert {check.verdict for check in found} == {"passed"}
    with client(stand, "root") as root:
        assert [root.tags(f"{name}/regfleet-smoke/roles") for name in ("team-a", "open")] == [
            (),
            (),
        ]


def test_a_second_run_beside_it_is_not_disturbed(stand):
    found = checks(stand, token="run-2")
    assert {check.verdict for check in found} == {"passed"}


def test_what_nobody_can_show_is_left_out(stand):
    found = checks(stand, users=("bob", "root"))
    assert [check.name.partition("/")[2] for check in found] == [
        "member-push", "private-pull-refused", "guest-pull", "guest-push-refused", "member-delete",
        "public-push", "public-pull", "public-push-refused", "public-delete", "list-refused",
    ]  # fmt: skip
    assert {check.verdict for check in found} == {"passed"}
    assert checks(stand, users=("bob",))[2].detail == "bob, guest of team-a: 403"


def test_where_nobody_could_delete_it_again_nothing_is_pushed(stand):
    found = checks(stand, users=("alice", "bob"))
    by_name = {check.name: check for check in found}
    assert by_name["main/member-push"].detail == (
        "alice, developer of team-a; begun alone, for nobody could delete it again"
    )
    assert "main/member-delete" not in by_name
    assert {check.verdict for check in found} == {"passed"}
    with client(stand, "root") as root:
        assert root.tags("team-a/regfleet-smoke/roles") == ()


# What is declared, and the checks that have to fail, for the gateway has other roles.
NOT_HELD = {
    "a guest who may push": (
        {"team-a": {"alice": "guest", "carol": "admin"}},
        {"guest-push-refused"},
    ),
    "a developer who may not push": (
        {"team-a": {"bob": "developer", "carol": "admin"}},
        {"member-push"},
    ),
    "a developer who may delete": (
        {"team-a": {"carol": "developer"}},
        {"developer-delete-refused", "member-delete"},
    ),
    "a stranger who may pull": ({"team-a": {"carol": "admin"}}, {"stranger-pull-refused"}),
    "a private project that is public": (
        {"open": {"alice": "developer"}},
        {"private-pull-refused"},
    ),
    "a public project that is private": ({"team-a": "public"}, {"public-pull"}),
}


@pytest.mark.parametrize("name", NOT_HELD)
def test_a_role_that_is_not_held_fails(stand, name):
    declared, failing = NOT_HELD[name]
    projects = tuple(
        Project(
            project,
            public=members == "public",
            members=tuple(Member(*pair) for pair in members.items()) if members != "public" else (),
        )
        for project, members in declared.items()
    )
    users = tuple(User(each, PasswordSource("env", each)) for each in stand.passwords)
    other = make_registry(
        endpoint=stand.declared.endpoint,
        users=users,
        admins=("root",),
        projects=projects,
        gateway=Gateway("nginx:stable"),
    )
    found = checks(stand, other)
    failed = {check.name.partition("/")[2] for check in found if check.verdict == "failed"}
    assert failing <= failed, found


def test_a_registry_that_is_away_is_said_and_not_taken_for_a_refusal(stand):
    away = Target(
        stand.declared.endpoint, direct("127.0.0.1", 1), ca=stand.authority.certificate_pem
    )
    passwords = {name: Secret(password) for name, password in stand.passwords.items()}
    found = role_checks(stand.declared, away, passwords, "run-1")
    assert {check.verdict for check in found} == {"failed"}
    names = {check.name for check in found}
    assert names == {
        f"main/{name}"
        for name in (
            "member-push",
            "private-project",
            "public-push",
            "public-project",
            "list-refused",
        )
    }
    assert all("refuse" not in check.detail or "connection" in check.detail for check in found)


def test_without_projects_there_is_nothing_to_prove(stand):
    assert checks(stand, make_registry(endpoint=stand.declared.endpoint)) == ()


def test_a_tiny_image_for_every_platform_arrives_and_goes(stand):
    image = tiny.make("word")
    with client(stand, "root") as root:
        tiny.push(root, "nobodys/tiny", "1", image)
        found = root.manifest("nobodys/tiny", "1")
        assert found.digest == image.digest == image.digests[0]
        assert {each.platform for each in found.index} == {
            f"linux/{name}" for name in tiny.PLATFORMS
        }
        for member in found.members:
            inside = root.manifest("nobodys/tiny", member)
            assert [root.blob("nobodys/tiny", blob.digest) for blob in inside.blobs]
        for digest in image.digests:
            root.delete("nobodys/tiny", digest)
        assert root.tags("nobodys/tiny") == ()
    with client(stand, "bob") as bob, pytest.raises(RegistryError, match="bob may only pull"):
        tiny.push(bob, "team-a/tiny", "1", image)
