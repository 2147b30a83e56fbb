"""Who may do what: the rule, its laws, and what a host keeps of it."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import registry

from regfleet import roles
from regfleet.fleet.registries import Gateway, Member, PasswordSource, Project, User
from regfleet.roles import EVERYTHING, GRANTED, NOTHING, rights

USERS = tuple(User(name, PasswordSource("generate")) for name in ("root", "alice", "bob", "carol"))
HELD = registry(
    users=USERS,
    admins=("root",),
    projects=(
        Project(
            "team-a",
            members=(
                Member("alice", "developer"),
                Member("bob", "guest"),
                Member("carol", "admin"),
            ),
        ),
        Project("team-a/infra", members=(Member("carol", "developer"),)),
        Project("open", public=True, members=(Member("alice", "developer"),)),
    ),
    gateway=Gateway("nginx:stable"),
)
PULL, PUSH = GRANTED["guest"], GRANTED["developer"]


@pytest.mark.parametrize(
    ("repository", "alice", "bob", "carol", "anybody"),
    [
        ("team-a", PUSH, PULL, EVERYTHING, NOTHING),
        ("team-a/app", PUSH, PULL, EVERYTHING, NOTHING),
        ("team-a/app/deep", PUSH, PULL, EVERYTHING, NOTHING),
        ("team-a/infra", NOTHING, NOTHING, PUSH, NOTHING),
        ("team-a/infra/x", NOTHING, NOTHING, PUSH, NOTHING),
        ("team-a/infra2", PUSH, PULL, EVERYTHING, NOTHING),
        ("team-ab", NOTHING, NOTHING, NOTHING, NOTHING),
        ("team", NOTHING, NOTHING, NOTHING, NOTHING),
        ("open/x", PUSH, PULL, PULL, PULL),
        ("x/open", NOTHING, NOTHING, NOTHING, NOTHING),
    ],
)
def test_the_project_with_the_longest_name_alone_says_who_may_what(
    repository, alice, bob, carol, anybody
):
    found = [rights(HELD, user, repository) for user in ("alice", "bob", "carol", None)]
    assert found == [alice, bob, carol, anybody]
    assert rights(HELD, "root", repository) == EVERYTHING
    assert rights(HELD, "nobody-declared", repository) == anybody


ODD = (
    "",
    "/",
    "/team-a",
    "team-a/",
    "team-a//app",
    "team-a/../open",
    "open/../team-a",
    "open/./x",
    "team-a%2fapp",
    "open%2f..%2fteam-a",
    "Open",
    "OPEN/x",
    "open:tag",
    "open@sha256",
    "open\n",
    "open\x00",
    "open x",
    "öpen",
    "__proto__",
    "constructor",
    "*",
)


@pytest.mark.parametrize("repository", ODD)
def test_what_is_no_repository_is_nobodys(repository):
    for user in ("alice", "bob", "carol", None, "", "__proto__"):
        if roles.project_of(HELD, repository) is None:
            assert rights(HELD, user, repository) == NOTHING
    assert repository == "constructor" or roles.project_of(HELD, repository) is None


def test_only_admins_list_all_repositories():
    assert roles.may_list(HELD, "root")
    assert not any(roles.may_list(HELD, user) for user in ("alice", "carol", None, ""))


def test_without_projects_every_user_may_do_everything():
    plain = registry(users=USERS)
    assert rights(plain, "bob", "x") == EVERYTHING
    assert rights(plain, None, "x") == rights(plain, "eve", "x") == NOTHING
    assert roles.may_list(plain, "bob")
    assert not roles.may_list(plain, None)
    open_to_all = registry(users=())
    assert rights(open_to_all, None, "x") == EVERYTHING
    assert roles.may_list(open_to_all, None)


@pytest.mark.parametrize(
    ("users", "action", "repository", "expected"),
    [
        (("root", "carol", "alice"), "push", "team-a/x", "alice"),
        (("root", "carol", "alice"), "delete", "team-a/x", "carol"),
        (("root", "alice"), "delete", "team-a/x", "root"),
        (("alice", "bob"), "delete", "team-a/x", ""),
        (("root", "alice", "bob"), "pull", "team-a/x", "bob"),
        (("root", "alice"), "pull", "nobodys", "root"),
        ((), "pull", "team-a/x", ""),
    ],
)
def test_who_does_something_with_the_least_rights(users, action, repository, expected):
    assert roles.who_may(HELD, users, repository, action) == expected


def test_a_place_in_a_project_is_that_projects_own():
    team, infra = HELD.projects[:2]
    assert roles.place_in(HELD, team, "x/y") == "team-a/x/y"
    assert roles.place_in(HELD, team, "infra/y") == ""
    assert roles.place_in(HELD, infra, "y") == "team-a/infra/y"
    longest = 255 - len("reg.example.com:5000/team-a/")
    assert roles.place_in(HELD, team, "a" * longest)
    assert roles.place_in(HELD, team, "a" * (longest + 1)) == ""


WORD = st.sampled_from(("a", "b", "ab", "a-b", "c"))
PATH = st.lists(WORD, min_size=1, max_size=4).map("/".join)
NAMES = ("root", "alice", "bob", "carol")
MEMBERS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(tuple(GRANTED)))


@st.composite
def registries(draw):
    found = draw(st.dictionaries(PATH, st.tuples(st.booleans(), MEMBERS), min_size=1, max_size=6))
    return registry(
        users=USERS,
        admins=tuple(draw(st.sets(st.sampled_from(NAMES), max_size=2))),
        projects=tuple(
            Project(name, public, tuple(Member(*pair) for pair in members.items()))
            for name, (public, members) in found.items()
        ),
        gateway=Gateway("nginx:stable"),
    )


@given(registries(), PATH, st.sampled_from((*NAMES, None)))
def test_longest_name_wins_whatever_else_is_declared(held, repository, user):
    """Only the project with the longest fitting name can change what somebody may do there."""
    fitting = [each for each in held.projects if f"{repository}/".startswith(f"{each.name}/")]
    best = max(fitting, key=lambda each: len(each.name), default=None)
    assert roles.project_of(held, repository) == best
    alone = registry(
        users=USERS,
        admins=held.admins,
        projects=(best,) if best else (Project("elsewhere/only"),),
        gateway=held.gateway,
    )
    assert rights(held, user, repository) == rights(alone, user, repository)


@given(registries(), st.text(max_size=40), st.sampled_from((*NAMES, None)))
def test_nobody_gets_more_by_asking_with_odd_names(held, text, user):
    """Any text gives what the same text gives as a repository's path, or nothing."""
    if user in held.admins:
        return
    may = rights(held, user, text)
    project = roles.project_of(held, text)
    if may:
        assert project is not None
        assert text == project.name or text.startswith(f"{project.name}/")
        assert all(part and part not in (".", "..") for part in text.split("/"))


@given(
    registries(), PATH, st.sampled_from(("", " ", "/", "/..", "//x", "%2f", "?", "#", "\n", "A"))
)
def test_what_is_added_to_a_name_opens_nothing(held, repository, odd):
    for user, text in product((*NAMES, None), (repository + odd, odd + repository)):
        if odd and user not in held.admins:
            assert rights(held, user, text) == NOTHING


@given(registries(), PATH)
def test_a_login_never_takes_a_right_away_that_anybody_has(held, repository):
    anybody = rights(held, None, repository)
    for user in NAMES:
        assert anybody <= rights(held, user, repository)


@given(registries())
def test_what_a_host_keeps_is_what_was_declared(held):
    found = roles.parse(roles.record(held))
    assert found.admins == set(held.admins)
    assert found.public == {each.name for each in held.projects if each.public}
    assert found.members == {
        each.name: {member.user: member.role for member in each.members} for each in held.projects
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"admins": [], "projects": 1}',
        '{"admins": 1, "projects": {}}',
        '{"admins": {}, "projects": {"a": 1}}',
        '{"admins": {}, "projects": {"a": {"public": false, "members": {"x": "king"}}}}',
        '{"admins": {}, "projects": {"a": {"public": false, "members": {"x": []}}}}',
        "[" * 100_000,
    ],
)
def test_what_a_host_has_instead_is_unknown(text):
    assert roles.parse(text) is None
