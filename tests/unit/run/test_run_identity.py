"""When a run would give a fleet another CA or other passwords than its hosts know."""

import shutil

import pytest
from making import NOW, client, fleet, host, observed, registry, with_login

from regfleet.desired.resolve import resolve
from regfleet.fleet.clients import Mirror
from regfleet.fleet.registries import PasswordSource, User
from regfleet.materials import gather
from regfleet.plan.diff import diff
from regfleet.record import parse
from regfleet.run.identity import Identity, refused
from regfleet.state import StagedState, StateDirectory

HUMAN = User("alice", PasswordSource("env", "REGFLEET_TEST_PASSWORD"))
GENERATED = User("ci", PasswordSource("generate"))


def whole(users=(HUMAN, GENERATED), **changes):
    return fleet([registry(users=users, **changes)], [client(logins=with_login())])


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("REGFLEET_TEST_PASSWORD", "first")
    return StateDirectory(tmp_path / "state")


@pytest.fixture
def judge(state):
    """Judges a run over hosts, of which some were set up by an apply of a fleet before."""

    def judged(now=None, before=None, applied=(), names=("reg1", "web1", "web2")):
        seen = {name: observed() for name in names}
        if before is not None:
            staged = StagedState(state.path.with_name("before"))
            materials = gather(before, staged, save=True, now=NOW)
            for name, want in resolve(before, materials).items():
                if name in applied:
                    record = diff(want, observed(), materials.salt).record
                    seen[name] = observed(record=record, owned=parse(record))
        run = now or whole()
        staged = StagedState(state.path)
        materials = gather(run, staged, save=True, now=NOW, hosts=names)
        known = Identity.of(run, materials, staged)
        return refused(known, resolve(run, materials, names), seen, names)

    return judged


@pytest.fixture
def kept(state):
    """The state of a fleet that was applied once; gives its directory."""
    gather(whole(), state, save=True, now=NOW)
    return state.path


def test_a_fleet_that_nobody_applied_gets_its_identity(judge):
    assert judge() is None


def test_a_fleet_whose_state_is_here_keeps_it(judge, kept):
    assert kept.exists()
    assert judge(before=whole(), applied=("reg1", "web1", "web2")) is None


@pytest.mark.parametrize("applied", ["reg1", "web2"])
def test_a_lost_state_is_known_from_any_host(judge, state, applied):
    error = judge(before=whole(), applied=(applied,))
    assert error.exit_code == 2
    assert f"1 host of the fleet acme ({applied}) was set up before" in error.message
    assert "does not have the fleet's CA, its generated passwords and all else" in error.message
    assert str(state.path) in error.message
    assert "--new-identity" in error.hint


def test_what_another_fleet_owns_is_no_sign(judge):
    other = fleet([registry()], name="other")
    assert judge(before=other, applied=("reg1", "web1")) is None


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (["ca.key", "ca.crt"], "the fleet's CA"),
        (["passwords"], "the generated password of ci of the registry main"),
        (["passwords", "registry/main.htpasswd"], "the generated password of ci"),
        (["ca.key", "ca.crt", "passwords/main/ci"], "CA (ca.key); the generated password of ci"),
    ],
)
@pytest.mark.parametrize("applied", ["reg1", "web1"])
def test_a_part_that_is_lost(judge, kept, gone, words, applied):
    for name in gone:
        if (kept / name).is_dir():
            shutil.rmtree(kept / name)
        else:
            (kept / name).unlink()
    error = judge(before=whole(), applied=(applied,))
    assert words in error.message


@pytest.mark.parametrize(
    "gone", ["registry/main.htpasswd", "registry/main.crt", "registry/main.http-secret"]
)
def test_what_can_be_made_anew_without_a_new_identity_may_be_lost(judge, kept, gone):
    (kept / gone).unlink()
    assert judge(before=whole(), applied=("reg1", "web1")) is None


def test_a_password_that_people_chose_may_be_generated_from_now_on(judge, kept):
    assert kept.exists()
    now = whole((User("alice", PasswordSource("generate")), GENERATED))
    assert judge(now, before=whole(), applied=("reg1", "web1")) is None


def test_a_ca_that_comes_with_tls_is_new_to_all(judge, state):
    plain = whole(tls=registry().tls.__class__("none"), allow_plaintext_passwords=True)
    gather(plain, state, save=True, now=NOW)
    assert judge(before=plain, applied=("reg1", "web1")) is None


@pytest.mark.parametrize("names", [("web1",), ("web1", "web2")])
def test_a_client_gets_no_ca_that_its_registry_does_not_get(judge, names):
    error = judge(names=names)
    assert "web1 would get a new CA or password that the registry main on reg1" in error.message
    assert "--limit web1,reg1" in error.hint


def test_a_client_of_a_mirror_gets_its_ca_too(judge):
    mirror = Mirror("https://reg.example.com:5000", "main")
    made = fleet([registry()], [client(registries=(), mirrors=(mirror,))])
    assert "registry main on reg1" in judge(made, names=("web1",)).message


def test_clients_that_come_later_are_no_new_identity(judge, kept):
    assert kept.exists()
    more = fleet([registry(users=(HUMAN, GENERATED))], [client(hosts=(host("web9"),))])
    assert judge(more, names=("web9",)) is None
