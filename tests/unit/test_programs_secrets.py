"""What a host is sent: no password but those of the logins that are declared for it."""

import base64
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from making import (
    SALT,
    client,
    engine,
    fleet,
    host,
    material,
    materials,
    observed,
    registry,
)

from regfleet.desired.resolve import clients_of, resolve
from regfleet.doctor import program as doctor
from regfleet.engines import ENGINES
from regfleet.fleet.clients import Login
from regfleet.fleet.registries import PasswordSource, User
from regfleet.look import request
from regfleet.model.observed import OtherEngine
from regfleet.plan.diff import diff
from regfleet.secret import Secret
from regfleet.smoke import render as smoke
from regfleet.touch import render as touch

USERS = ("alice", "bob", "ci")
VERSIONS = {"podman": "4.3.1", "containerd": "1.7.0", "rancher": "1.30.1"}
# An engine of each way to keep a login: its own command, a header in a file, a section of a file.
KINDS = ("docker", "docker-sysconfig", "podman", "containerd", "k3s")


@st.composite
def fleets(draw):
    """A fleet, and its users' passwords by registry and user."""
    names = [f"reg{number}" for number in range(draw(st.integers(1, 3)))]
    known = {name: draw(st.lists(st.sampled_from(USERS), unique=True)) for name in names}
    passwords = {
        name: {user: Secret(f"canary-of-{user}-at-{name}-8d1f") for user in users}
        for name, users in known.items()
    }
    registries = [
        registry(
            name,
            f"{name}.example.com:{5000 + number}",
            hosts=(host(draw(st.sampled_from([name, "web0"]))),),
            users=tuple(User(user, PasswordSource("generate")) for user in known[name]),
            storage=f"/srv/{name}",
        )
        for number, name in enumerate(names)
    ]
    clients = []
    for number in range(draw(st.integers(1, 3))):
        used = draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
        logins = [
            Login(name, draw(st.sampled_from(known[name])), ("root",))
            for name in used
            if known[name] and draw(st.booleans())
        ]
        clients.append(
            client(
                f"group{number}",
                hosts=(host(f"web{number}"),),
                engine=draw(st.sampled_from(KINDS)),
                registries=tuple(used),
                logins=tuple(logins),
            )
        )
    return fleet(registries, clients), passwords


def seen(want):
    words = {ENGINES[name].shell for name in want.engines if not ENGINES[name].is_docker}
    others = {word: OtherEngine("up", VERSIONS[word], "", {"product": "k3s"}) for word in words}
    return observed(engine=engine("up", version="26.1.5"), others=others)


def programs(made, name, want):
    """Every program that this host may be sent."""
    yield request.render(want, SALT, "run-1")
    yield doctor.render(made, want, SALT, "run-1")
    tests = smoke.subjects(made, name)
    yield smoke.render(tests, "busybox", "run-1", engine=ENGINES[want.engines[-1]].shell, brought=1)
    plan = diff(want, seen(want), SALT, [ENGINES[each] for each in want.engines])
    yield touch.render(plan, "run-1", "somebody")


def forms(user, password):
    """A password as it is, and as base64 has it, alone and behind its user's name."""
    text = password.reveal()
    for whole in (text, f"{user}:{text}"):
        yield base64.b64encode(whole.encode()).decode().rstrip("=")
    yield text


BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4}){4,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def decoded(program):
    """A program, and whatever in it is base64 of something."""
    yield program
    for word in BASE64.findall(program):
        yield base64.b64decode(word).decode(errors="replace")


@settings(max_examples=40, deadline=None)
@given(fleets())
def test_no_program_holds_a_password_that_its_host_does_not_declare(drawn):
    made, passwords = drawn
    by_name = {name: material(passwords=known) for name, known in passwords.items()}
    kept = materials(made, **by_name)
    hosts = resolve(made, kept)
    held = 0
    for name, want in hosts.items():
        declared = {
            (login.registry, login.user) for each in clients_of(made, name) for login in each.logins
        }
        texts = [text for program in programs(made, name, want) for text in decoded(program)]
        for of_registry, known in passwords.items():
            for user, password in known.items():
                found = any(form in text for form in forms(user, password) for text in texts)
                if (of_registry, user) in declared:
                    held += found
                else:
                    assert not found, f"{name} is sent the password of {user} at {of_registry}"
    everyone = {
        (name, login.registry, login.user)
        for name in hosts
        for each in clients_of(made, name)
        for login in each.logins
    }
    assert held == len(everyone)  # else nothing was looked for as it is written
