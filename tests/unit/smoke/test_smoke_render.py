"""What a client is to test, and how it is written as a program."""

import base64
import re
import shlex
import shutil

import pytest
import shells
from hypothesis import given, settings
from hypothesis import strategies as st
from making import CANARY, client, fleet, material, materials, registry, with_login

from regfleet.fleet.model import PasswordSource, Tls, User
from regfleet.secret import Secret
from regfleet.smoke import render
from regfleet.smoke.render import Subject, repository_name, skipped, subjects

WEB1 = "web1"
REPOSITORY = "regfleet-smoke/web1"
EXTERNAL = {"external": True, "hosts": (), "tls": Tls("public")}


def both(registries, clients):
    made = fleet(registries, clients)
    return made, materials(made)


SUBJECTS = {
    # registry, client -> the subject's account, user and password; None for no subject
    "kept login": ({}, {"logins": with_login()}, ("root", "", None)),
    "kept login of another account": (
        {}, {"logins": with_login(accounts=("ops", "root"))}, ("ops", "", None),
    ),
    "users, but no login": ({}, {}, ("", "ci", Secret(CANARY))),
    "no users": ({"users": ()}, {}, ("", "", None)),
    "login for another registry": (
        {}, {"logins": with_login("other")}, ("", "ci", Secret(CANARY)),
    ),
    "not to be pushed to": ({"smoke": False}, {}, None),
    "external with login": (
        {**EXTERNAL, "smoke": True}, {"logins": with_login()}, ("root", "", None),
    ),
    "external without login": ({**EXTERNAL, "smoke": True}, {}, ("", "", None)),
    "external, not to be pushed to": ({**EXTERNAL, "smoke": False}, {}, None),
    "not a registry of the client": ({}, {"registries": ()}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", SUBJECTS)
def test_subjects(name):
    of_registry, of_client, expected = SUBJECTS[name]
    main = registry(**of_registry)
    made, given_ = both([main], [client(**of_client)])
    found = subjects(made, given_, WEB1)
    if expected is None:
        assert found == ()
    else:
        account, user, password = expected
        assert found == (Subject(main, REPOSITORY, account, user, password),)


def test_the_first_user_is_taken():
    users = (User("bob", PasswordSource("env", "B")), User("ann", PasswordSource("env", "A")))
    made = fleet([registry(users=users)])
    passwords = {"bob": Secret("b"), "ann": Secret("a")}
    found = subjects(made, materials(made, main=material(passwords=passwords)), WEB1)
    assert [(each.user, each.password) for each in found] == [("bob", Secret("b"))]


def test_a_host_in_two_groups_tests_each_registry_once():
    registries = [registry(), registry("two", "reg.example.com:5001")]
    clients = [client(), client("more", registries=("two", "main"))]
    made, given_ = both(registries, clients)
    assert [each.registry.name for each in subjects(made, given_, WEB1)] == ["main", "two"]


def test_a_host_that_is_no_client_tests_nothing():
    made, given_ = both([registry()], [client()])
    assert subjects(made, given_, "reg1") == ()
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
    assert body.endswith("\n  clean\n}\nsmoke </dev/null")
    return [shlex.split(line) for line in body.splitlines()[1:-3]]


SUBJECT = Subject(registry(), REPOSITORY, user="ci", password=Secret(CANARY))


def test_a_subject_is_one_call():
    assert calls(render.render((SUBJECT,), "busybox:latest", "run-1", brought=False)) == [
        ["engine=docker"],
        [
            "registry", "main", "reg.example.com:5000", REPOSITORY, "run-1", "busybox:latest",
            "", "ci", base64.b64encode(CANARY.encode()).decode(),
        ],
    ]  # fmt: skip


def test_an_image_that_was_brought_is_said_first():
    found = calls(render.render((SUBJECT, SUBJECT), "busybox:latest", "run-1", brought=True))
    assert [call[0] for call in found] == [
        "engine=docker", "brought=busybox:latest", "registry", "registry",
    ]  # fmt: skip


def test_no_password_in_clear():
    program = render.render((SUBJECT,), "busybox:latest", "run-1", brought=False)
    assert CANARY not in program
    assert CANARY not in repr(SUBJECT)


hostile = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.skipif(not shutil.which("dash"), reason="dash is not installed")
@settings(max_examples=25)
@given(word=hostile)
def test_whatever_a_value_is_it_stays_one_argument(word):
    subject = Subject(registry(word, word), word, word, word, Secret(word))
    whole = render.render((subject,), word, word, brought=True)
    tell = 'registry() { printf "%s\\0" "$brought" "$@"; }\nclean() { :; }\nsmoke() {'
    said = shells.run("dash", whole.replace("\nsmoke() {", f"\n{tell}")).stdout.decode()
    encoded = base64.b64encode(word.encode()).decode()
    assert said.split("\0")[:-1] == [word, word, word, word, word, word, word, word, encoded]
