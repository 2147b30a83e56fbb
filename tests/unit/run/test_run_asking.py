"""Asking registries: as whom, what it means that one refuses, and that all is asked in one way.

That real ones are asked is seen in tests/fleet and tests/faults/test_hostile_registry.py.
"""

import ast
import socket
from pathlib import Path

import pytest
from making import fleet, host, material, materials, registry

import regfleet
from regfleet.errors import RegfleetError
from regfleet.registry_api.answers import Answer
from regfleet.registry_api.errors import RegistryError
from regfleet.registry_api.target import Credentials
from regfleet.run.asking import Asking, elsewhere, let_in
from regfleet.secret import Secret

SOURCE = Path(regfleet.__file__).parent
CI = Credentials("ci", Secret("password"))
EXTERNAL = registry("main", external=True, hosts=(), users=())


class Nowhere:
    """No tunnel: everything is this machine."""

    def tunnel(self, *_):
        return None


def refusing(challenge):
    return Answer(401, {"www-authenticate": challenge}, b"")


@pytest.mark.parametrize(
    ("challenge", "credentials", "expected"),
    [
        ('Bearer realm="https://x/token"', None, "it wants a token from another service"),
        ('Bearer realm="https://x/token"', CI, "it wants a token from another service"),
        ('Basic realm="x"', None, "it wants a login, and none is declared"),
        ('bASIC realm="x"', CI, RegistryError),
    ],
)
def test_who_refuses_nobody_in_particular_is_well(challenge, credentials, expected):
    client = None  # nothing more is asked
    if isinstance(expected, str):
        assert let_in(client, refusing(challenge), EXTERNAL, credentials) == expected
    else:
        with pytest.raises(expected, match="ci"):
            let_in(client, refusing(challenge), EXTERNAL, credentials)


def test_a_run_asks_as_the_first_of_its_users():
    whole = fleet([registry("main"), registry("none", users=(), endpoint="n.example:5001")])
    asking = Asking.of(materials(whole, none=material(passwords={})), Nowhere())
    found, why = asking.user(whole.registries["main"])
    assert (found.user, why) == (whole.registries["main"].users[0].name, "")
    assert asking.user(whole.registries["none"]) == (None, "")


@pytest.mark.parametrize(
    ("admins", "user"), [((), "ci"), (("root",), "root"), (("gone", "root"), "root")]
)
def test_an_admin_is_preferred_where_not_everybody_may_do_everything(admins, user):
    passwords = {"ci": Secret("1"), "root": Secret("2")}
    held = registry(admins=admins)
    known = materials(fleet([held]), main=material(passwords=passwords))
    asking = Asking.of(known, Nowhere())
    assert asking.user(held) == (Credentials(user, passwords[user]), "")


def test_where_no_password_is_known_nobody_asks_and_the_reason_is_told():
    class Unknown:
        def credentials(self, first=()):  # noqa: ARG002 - as the others
            raise RegfleetError("the variable X is not set")

    assert Asking({"main": Unknown()}, Nowhere()).user(EXTERNAL) == (
        None,
        "the variable X is not set",
    )


def test_what_goes_wrong_is_an_error_of_the_registry():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    gone = registry("main", hosts=(host("web1"),), users=(), endpoint=f"web1.example:{port}")
    asking = Asking.of(materials(fleet([gone])), Nowhere())
    with pytest.raises(RegistryError) as caught, asking.client(gone, None) as client:
        client.ping()
    assert caught.value.kind == "refused"
    with pytest.raises(RegistryError) as caught:
        asking.connect(gone)
    assert caught.value.kind == "refused"


def test_external_ones_answer_in_their_order():
    assert elsewhere(lambda each: each * 2, range(20)) == [each * 2 for each in range(20)]


def test_registries_are_asked_in_one_way():
    """Who makes a client or a target by itself has a second opinion of whom to trust."""
    makers = {}
    for file in SOURCE.rglob("*.py"):
        inside = file.relative_to(SOURCE)
        if inside.parts[0] == "registry_api":
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("RegistryClient", "Target.of", "Target"):
                    makers.setdefault(str(inside), set()).add(called)
    assert makers == {"run/asking.py": {"RegistryClient", "Target.of"}}
