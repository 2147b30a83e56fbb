"""What a run decides about one host before it asks that host anything.

What it does on hosts is shown by tests/fleet. Here it has no way to any: whatever asks is an error.
"""

import pytest
from making import client, container, desired, fleet, host, observed, registry, with_login

from regfleet.errors import HostError
from regfleet.fleet.registries import Member, Project
from regfleet.model.checks import Check
from regfleet.model.files import File
from regfleet.model.observed import OtherEngine
from regfleet.model.resource import Resource
from regfleet.run.work import Work, _user
from regfleet.smoke.render import Given

CA = File("/etc/docker/certs.d/reg.example.com:5000/ca.crt", b"CA\n", 0o444, "why")


class Materials:
    """Of these no test needs more."""

    salt = "5a17"


def work(want, whole=None, seen=None):
    made = Work(whole or fleet(), {"web1": want}, Materials(), connections=None)
    if seen:
        made.seen["web1"] = seen
    return made


# ---- the plan ----


def test_a_host_is_looked_at_once_a_run():
    plan = work(desired(files=(CA,)), seen=observed()).plan("web1")
    assert [change.resource for change in plan.changes] == [Resource("file", CA.path)]


@pytest.mark.parametrize(
    ("engines", "words"),
    [
        (("docker",), ("docker",)),
        (("docker-sysconfig",), ("docker",)),
        (("docker", "podman"), ("docker", "podman")),
        (("cri-o",), ("crio",)),
    ],
)
def test_a_plan_is_made_by_the_hosts_engines(engines, words):
    others = {name: OtherEngine("up", "4.3.1") for name in ("podman", "crio")}
    want = desired(engine=engines[-1], engines=engines, files=(CA,))
    assert work(want, seen=observed(others=others)).plan("web1").engines == words


def test_what_cannot_be_brought_about_is_the_hosts_error():
    with pytest.raises(HostError, match="user id 1000") as caught:
        work(desired(), seen=observed(uid=1000)).plan("web1")
    assert caught.value.host == "web1"


def test_each_run_has_an_id_of_its_own():
    one, other = work(desired()), work(desired())
    assert one.token.startswith("run-")
    assert one.token != other.token


def test_a_user_without_a_name_is_a_number(monkeypatch):
    def nameless():
        raise KeyError

    monkeypatch.setattr("getpass.getuser", nameless)
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    assert _user() == "user 4711"


# ---- the smoke test ----

CLOSED = "the fleet file does not let it be pushed to"
AWAY = "it is not set up there after the rollback"


@pytest.mark.parametrize(
    ("engines", "gone", "pushed", "expected"),
    [
        (("docker",), frozenset(), False, {"main": CLOSED, "other": CLOSED}),
        (("docker",), frozenset({"main", "other"}), True, {"main": AWAY, "other": AWAY}),
        (("cri-o",), frozenset(), True,
         dict.fromkeys(("main", "other"), "CRI-O has no command that pushes")),
        # Each registry is told of once.
        (("cri-o",), frozenset({"main"}), True,
         {"main": AWAY, "other": "CRI-O has no command that pushes"}),
        # A host with a registry's Docker beside it is tested by the client's engine.
        (("docker", "cri-o"), frozenset({"other"}), True,
         {"main": "CRI-O has no command that pushes", "other": AWAY}),
    ],
)  # fmt: skip
def test_what_is_not_smoke_tested_is_skipped_for_a_reason(engines, gone, pushed, expected):
    whole = fleet(
        [registry(smoke=pushed), registry("other", "other.lan:5000", smoke=pushed)],
        [client(engine=engines[-1], registries=("main", "other"))],
    )
    made = work(desired(engine=engines[-1], engines=engines), whole)
    made.gone["web1"] = gone
    checks = {check.name: check for check in made.smoke("web1")}
    assert checks == {
        f"{name}/push": Check(f"{name}/push", "skipped", why) for name, why in expected.items()
    }


@pytest.mark.parametrize(
    ("projects", "given", "why"),
    [
        ((Project("a"),), {}, "ci has no role in main"),
        (
            (Project("a", members=(Member("ci", "guest"),)),),
            {
                ("web1", "main"): Given(
                    why="ci may only pull in a, and nobody could put anything there"
                )
            },
            "ci may only pull in a, and nobody could put anything there",
        ),
        (
            (Project("a", members=(Member("ci", "guest"),)),),
            {("web2", "main"): Given("t", ("sha256:x",))},
            "ci may only pull in a, and nothing was put there to pull",
        ),
    ],
)
def test_what_a_role_does_not_let_be_tested_is_skipped_for_that_reason(projects, given, why):
    whole = fleet([registry(projects=projects)], [client(logins=with_login())])
    made = work(desired(engine="docker", engines=("docker",)), whole)
    made.given = given
    assert made.smoke("web1") == (Check("main/push", "skipped", why),)


def test_with_other_roles_than_declared_nothing_of_them_is_tested():
    projects = (Project("a", members=(Member("ci", "developer"),)),)
    whole = fleet([registry(projects=projects)], [client(logins=with_login())])
    made = work(desired(engine="docker", engines=("docker",)), whole)
    made.other_roles = frozenset({"main"})
    why = "its host has other roles than the fleet file, after the rollback"
    assert made.smoke("web1") == (Check("main/push", "skipped", why),)


def test_who_is_no_client_has_no_checks():
    whole = fleet(clients=[client(hosts=(host("web2"),))])
    assert work(desired(services=(container(),)), whole).smoke("web1") == ()
