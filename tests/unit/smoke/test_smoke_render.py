"""What a client is to test, and how it is written as a program."""

import re
import shlex
import shutil

import pytest
import shells
from hypothesis import given, settings
from hypothesis import strategies as st
from making import client, fleet, registry, with_login

from regfleet.fleet.registries import Member, Project, Tls
from regfleet.roles import GRANTED, rights
from regfleet.shell import frame
from regfleet.smoke import render
from regfleet.smoke.render import Given, Subject, repository_name, skipped, subjects

WEB1 = "web1"
REPOSITORY = "regfleet-smoke/web1"
EXTERNAL = {"external": True, "hosts": (), "tls": Tls("public")}


SUBJECTS = {
    # registry, client -> the account whose login is used, empty for none; None for no subject
    "kept login": ({}, {"logins": with_login()}, "root"),
    "kept login of another account": ({}, {"logins": with_login(accounts=("ops", "root"))}, "ops"),
    "users, but no login": ({}, {}, ""),
    "no users": ({"users": ()}, {}, ""),
    "login for another registry": ({}, {"logins": with_login("other")}, ""),
    "not to be pushed to": ({"smoke": False}, {}, None),
    "external with login": ({**EXTERNAL, "smoke": True}, {"logins": with_login()}, "root"),
    "external without login": ({**EXTERNAL, "smoke": True}, {}, ""),
    "external, not to be pushed to": ({**EXTERNAL, "smoke": False}, {}, None),
    "not a registry of the client": ({}, {"registries": ()}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", SUBJECTS)
def test_subjects(name):
    of_registry, of_client, expected = SUBJECTS[name]
    main = registry(**of_registry)
    found = subjects(fleet([main], [client(**of_client)]), WEB1)
    if expected is None:
        assert found == ()
    else:
        without = "" if expected else "web1 declares no login to main"
        assert found == (Subject(main, REPOSITORY, expected, without),)


ROLES = {
    # login, projects, admins -> repository, why it only pulls, why it is not tested
    "admin": ("ci", {}, ("ci",), REPOSITORY, "", ""),
    "developer": ("ci", {"a": "developer"}, (), f"a/{REPOSITORY}", "", ""),
    "developer in the second": (
        "ci", {"a": "guest", "b": "developer"}, (), f"b/{REPOSITORY}", "", "",
    ),
    "guest": ("ci", {"a": "guest"}, (), "a/regfleet-smoke/given", "ci may only pull in a", ""),
    "nobody": ("ci", {"a": None}, (), REPOSITORY, "", "ci has no role in main"),
    "nobody, and one is public": (
        "ci", {"a": None, "open": "public"}, (), "open/regfleet-smoke/given",
        "ci may only pull in open", "",
    ),
    "a guest rather pulls as one": (
        "ci", {"open": "public", "z": "guest"}, (), "z/regfleet-smoke/given",
        "ci may only pull in z", "",
    ),
    "no login, and one is public": (
        "", {"a": "developer", "open": "public"}, (), "open/regfleet-smoke/given",
        "web1 declares no login to main: it may only pull", "",
    ),
    "no login": ("", {"a": "developer"}, (), REPOSITORY, "", ""),
    "another project has the name": (
        "ci", {"a": "developer", "a/regfleet-smoke": None, "b": "developer"}, (),
        f"b/{REPOSITORY}", "", "",
    ),
    "a project of the test's own": (
        "ci", {"a": "guest", "regfleet-smoke": "developer"}, (), REPOSITORY, "", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROLES)
def test_where_there_are_roles_they_say_what_is_tested(name):
    user, declared, admins, repository, only_pulls, untestable = ROLES[name]
    projects = tuple(
        Project(
            each,
            public=role == "public",
            members=(Member("ci", role),) if role in GRANTED else (),
        )
        for each, role in declared.items()
    )
    main = registry(projects=projects, admins=admins)
    made = fleet([main], [client(logins=with_login() if user else ())])
    (found,) = subjects(made, WEB1)
    assert (found.repository, found.only_pulls, found.untestable) == (
        repository,
        only_pulls,
        untestable,
    )
    assert (found.account, bool(found.without)) == (("root", False) if user else ("", True))
    wanted = "pull" if only_pulls else "push"
    if user and not untestable:
        assert wanted in rights(main, user, found.repository)


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        (REPOSITORY, True),
        ("a/regfleet-smoke/web1", True),
        ("a/b/regfleet-smoke/given", True),
        ("regfleet-smoke", False),
        ("a/regfleet-smoke2/x", False),
        ("team/app", False),
    ],
)
def test_which_repositories_are_the_tests(repository, expected):
    assert render.is_of_the_test(repository) is expected


def test_a_name_that_would_be_too_long_is_not_used():
    long = "a" * 225
    projects = (Project(long, members=(Member("ci", "developer"),)),)
    made = fleet([registry(projects=projects)], [client(logins=with_login())])
    (found,) = subjects(made, WEB1)
    assert found.untestable == "ci has no role in main"


def test_a_host_in_two_groups_tests_each_registry_once():
    registries = [registry(), registry("two", "reg.example.com:5001")]
    clients = [client(), client("more", registries=("two", "main"))]
    made = fleet(registries, clients)
    assert [each.registry.name for each in subjects(made, WEB1)] == ["main", "two"]


def test_a_host_that_is_no_client_tests_nothing():
    made = fleet([registry()], [client()])
    assert subjects(made, "reg1") == ()
    assert skipped(made, "reg1") == ()


def test_what_may_not_be_pushed_to_is_skipped():
    closed = registry("closed", "closed.example", smoke=False)
    made = fleet([registry(), closed], [client(registries=("main", "closed"))])
    assert skipped(made, WEB1) == (closed,)


# ---- names ----

# github.com/distribution/reference, regexp.go
PATH_COMPONENT = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*")


@given(st.text(max_size=30) | st.from_regex(r"[A-Za-z0-9._-]{1,30}", fullmatch=True))
def test_any_host_has_a_repository(name):
    assert PATH_COMPONENT.fullmatch(repository_name(name))


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?)*",
                     fullmatch=True))  # fmt: skip
def test_a_host_name_is_its_own_repository_so_no_two_hosts_share_one(name):
    assert repository_name(name) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web1.example.com", "web1.example.com"),
        ("WEB1", "web1"),
        ("@local", "local"),
        ("2001:db8::1", "2001-db8-1"),
        ("a._b", "a-b"),
        ("-", "host"),
        ("", "host"),
        ("ü", "host"),
    ],
)
def test_names(name, expected):
    assert repository_name(name) == expected


# ---- the program ----


def calls(program):
    body = program.removeprefix(render.program("docker")).strip()
    assert body.startswith("smoke() {\n")
    ending = [frame.begin("run-1"), "smoke </dev/null", frame.end("run-1")]
    assert body.splitlines()[-5:] == ["  clean", "}", *ending]
    first, *rest = body.splitlines()[1:-5]
    assert first == "  begin"
    return [shlex.split(line) for line in rest]


WITHOUT = "web1 declares no login to main"
SUBJECT = Subject(registry(), REPOSITORY, without=WITHOUT)


def test_a_subject_is_one_call():
    whole = render.render((SUBJECT,), "busybox:latest", "run-1", engine="docker", brought=False)
    assert calls(whole) == [
        ["engine=docker"],
        [
            "registry", "main", "reg.example.com:5000", REPOSITORY, "run-1", "busybox:latest",
            "", WITHOUT,
        ],
    ]  # fmt: skip


def test_a_subject_that_only_pulls_is_told_what_is_there():
    subject = Subject(registry(), "a/regfleet-smoke/given", "root", only_pulls="ci may only pull")
    given = {"main": Given("run-1-1", ("sha256:a", "sha256:b"))}
    whole = render.render(
        (subject, SUBJECT), "busybox:latest", "run-1", engine="docker", brought=False, given=given
    )
    assert calls(whole)[1:] == [
        [
            "pull_only", "main", "reg.example.com:5000", "a/regfleet-smoke/given", "run-1-1",
            "root", "sha256:a sha256:b", "ci may only pull",
        ],
        [
            "registry", "main", "reg.example.com:5000", REPOSITORY, "run-1", "busybox:latest",
            "", WITHOUT,
        ],
    ]  # fmt: skip


def test_an_image_that_was_brought_is_said_first():
    found = calls(
        render.render((SUBJECT, SUBJECT), "busybox:latest", "run-1", engine="docker", brought=True)
    )
    assert [call[0] for call in found] == [
        "engine=docker", "brought=busybox:latest", "registry", "registry",
    ]  # fmt: skip


hostile = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.skipif(not shutil.which("dash"), reason="dash is not installed")
@settings(max_examples=25)
@given(word=hostile)
def test_whatever_a_value_is_it_stays_one_argument(word):
    subject = Subject(registry(word, word), word, word, word)
    whole = render.render((subject,), word, word, engine="docker", brought=True)
    tell = 'registry() { printf "%s\\0" "$brought" "$@"; }\nclean() { :; }\n'
    tell += "begin() { :; }\nsmoke() {"
    whole = whole.replace("\nsmoke() {", f"\n{tell}").replace(frame.begin(word), "")
    said = shells.run("dash", whole).stdout.decode()
    assert said.split("\0")[:-1] == [word] * 8
