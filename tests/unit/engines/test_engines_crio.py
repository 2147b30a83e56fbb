"""CRI-O: Podman's files, and a reload where they change."""

import pytest
from making import desired, observed

from regfleet.engines.crio import Crio
from regfleet.engines.interface import ClientNeeds, EnginePlan, Trust
from regfleet.engines.podman import DROP_INS, Podman, drop_in_path
from regfleet.errors import HostError
from regfleet.fleet.clients import Mirror
from regfleet.model.observed import ObservedPath, OtherEngine
from regfleet.model.plan import ActivateUnit
from regfleet.model.resource import Resource
from regfleet.record import Owned

PATH = drop_in_path("acme")
OURS = Owned(files=(PATH,))
UP, DOWN = OtherEngine("up"), OtherEngine("down")
NEEDS = ClientNeeds(
    (
        Trust("plain.lan:5000", None, plain=True, reason="client.build.registries: plain"),
        Trust("reg.lan:5000", b"CA\n", plain=False, reason="client.build.registries: main"),
    ),
    (Mirror("https://mirror.lan"),),
    reason="client.build",
    fleet="acme",
)
FILES = Crio().wants(NEEDS).files
(DROP_IN,) = [file for file in FILES if file.path == PATH]


def want(**changes):
    return desired(**{"engine": "cri-o", "engines": ("cri-o",), "files": FILES, **changes})


def seen(state=UP, digest=None, **changes):
    paths = {PATH: ObservedPath(PATH, False, 0o644, (0, 0), digest)} if digest else {}
    others = {"crio": state} if state else {}
    return observed(paths=paths, others=others, **changes)


def plan(want, seen, owned=OURS):
    return Crio().plan(want, seen, owned, ())


def test_its_files_are_podmans():
    wants, podmans = Crio().wants(NEEDS), Podman().wants(NEEDS)
    assert (wants.directories, wants.files) == (podmans.directories, podmans.files)
    assert {file.path for file in FILES} == {PATH, "/etc/containers/certs.d/reg.lan:5000/ca.crt"}
    assert wants.logins == ()


@pytest.mark.parametrize(
    ("want", "seen", "owned", "reloads"),
    [
        (want(), seen(), OURS, True),
        (want(), seen(digest="other"), OURS, True),
        (want(), seen(digest=DROP_IN.digest), OURS, False),
        # CAs are read at each pull.
        (want(files=()), seen(), Owned(), False),
        # The drop-in goes: with the fleet, too.
        (want(files=()), seen(digest="ours"), OURS, True),
        (want(files=(), engine=None), seen(digest="ours"), OURS, True),
        (want(files=(), engine=None), seen(), Owned(), False),
        # One that does not run reads its files when it starts.
        (want(), seen(DOWN), OURS, False),
        (want(files=(), engine=None), seen(None), OURS, False),
    ],
)
def test_it_reloads_where_its_drop_in_changes(want, seen, owned, reloads):
    made = plan(want, seen, owned)
    if not reloads:
        assert made == EnginePlan()
        return
    (change,) = made.changes
    assert (change.resource, change.action) == (Resource("service", "crio"), "run")
    assert change.activation == "reload"
    assert made.configure == (ActivateUnit("crio", "crio", "reload"),)


@pytest.mark.parametrize("state", [None, OtherEngine("missing")])
def test_it_is_not_installed(state):
    with pytest.raises(HostError, match="there is no CRI-O") as caught:
        plan(want(), seen(state))
    assert "Kubernetes" in caught.value.hint


def test_a_foreign_table_of_the_same_prefix_is_refused():
    texts = {f"{DROP_INS}/theirs.conf": '[[registry]]\nlocation = "plain.lan:5000"\n'}
    with pytest.raises(HostError, match=r"for plain\.lan:5000, too"):
        plan(want(), seen(texts=texts))
