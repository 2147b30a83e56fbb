"""Podman: files under /etc/containers as its manual pages read them, and what is refused."""

import re

import pytest
import tomli
from making import client, desired, fleet, materials, observed, with_login

from regfleet.desired.resolve import resolve
from regfleet.engines.interface import ClientNeeds, EnginePlan, Trust
from regfleet.engines.podman import CERTS, DROP_INS, Podman, drop_in_path, registry_files
from regfleet.errors import HostError
from regfleet.fleet.clients import Mirror
from regfleet.model.observed import ObservedPath, OtherEngine
from regfleet.model.plan import InstallEngine, ShowSettings
from regfleet.model.resource import Resource
from regfleet.record import Owned

PLAIN = Trust("plain.lan:5000", None, plain=True, reason="client.build.registries: plain")
TRUSTED = Trust("reg.lan:5000", b"CA\n", plain=False, reason="client.build.registries: main")
DROP_IN = drop_in_path("acme")
MAIN = "/etc/containers/registries.conf"
UP = OtherEngine("up", "4.3.1")
TO_SHOW = EnginePlan(
    configure=(
        ShowSettings("podman", DROP_IN, ("insecure plain.lan:5000", "mirror of docker.io: m.lan")),
    )
)


@pytest.mark.parametrize("path", ["", "/hub", '/a"b\\c', "/caf\u00e9", "/\U0001f433", "/\x7f"])
def test_whatever_a_mirror_is_called_the_drop_in_is_toml(path):
    needs = ClientNeeds((PLAIN,), (Mirror(f"http://m.lan{path}"),), {}, "client.build", (), "acme")
    _, files = registry_files(needs)
    (text,) = (file.content.decode() for file in files if file.path.endswith(".conf"))
    assert tomli.loads(text)["registry"] == [
        {"location": "plain.lan:5000", "insecure": True},
        {
            "prefix": "docker.io",
            "location": "docker.io",
            "mirror": [{"location": f"m.lan{path}", "insecure": True}],
        },
    ]


@pytest.mark.parametrize(
    ("trusts", "mirrors", "directories", "files"),
    [
        ((), (), ["/etc/containers"], []),
        ((TRUSTED,), (), ["/etc/containers", CERTS, f"{CERTS}/reg.lan:5000"],
         [(f"{CERTS}/reg.lan:5000/ca.crt", TRUSTED.reason)]),
        ((PLAIN,), (), ["/etc/containers", DROP_INS], [(DROP_IN, PLAIN.reason)]),
        ((PLAIN,), (Mirror("https://m.lan"),), ["/etc/containers", DROP_INS],
         [(DROP_IN, PLAIN.reason)]),
        ((), (Mirror("https://m.lan"),), ["/etc/containers", DROP_INS],
         [(DROP_IN, "client.build.mirrors")]),
    ],
)  # fmt: skip
def test_each_file_says_what_asks_for_it(trusts, mirrors, directories, files):
    wants = Podman().wants(ClientNeeds(trusts, mirrors, reason="client.build", fleet="acme"))
    assert [each.path for each in wants.directories] == directories
    assert [(each.path, each.reason) for each in wants.files] == files


def test_logins_go_where_they_outlive_a_restart_of_the_machine():
    made = fleet(clients=[client(engine="podman", logins=with_login())])
    (found,) = resolve(made, materials(made))["web1"].logins
    assert (found.engine, found.file) == ("podman", ".config/containers/auth.json")


# ---- the plan ----


def want(**changes):
    needs = ClientNeeds((PLAIN,), (Mirror("https://m.lan"),), reason="client.build", fleet="acme")
    settings = {"engine": "podman", "engines": ("podman",), "install": True}
    return desired(**{**settings, "files": Podman().wants(needs).files, **changes})


def plan(want, podman=None, **seen):
    return Podman().plan(want, observed(others={"podman": podman} if podman else {}, **seen),
                         Owned(), ())  # fmt: skip


@pytest.mark.parametrize("found", [None, OtherEngine("missing")])
def test_it_is_installed_where_it_is_missing(found):
    made = plan(want(), found)
    assert made.install == (InstallEngine("apt-get", ("podman",), "podman"),)
    assert [change.resource for change in made.changes] == [Resource("package", "podman")]
    assert not made.apart


@pytest.mark.parametrize("version", ["3.0.1", "4.3.1", "5.4.2", ""])
def test_one_that_is_there_needs_nothing_but_its_files(version):
    assert plan(want(), OtherEngine("up", version)) == TO_SHOW


def test_nothing_is_installed_for_what_goes():
    assert plan(want(engine=None, files=())) == EnginePlan()


@pytest.mark.parametrize(
    ("changes", "podman", "texts", "message"),
    [
        ({"install": False}, None, {}, "there is no Podman engine"),
        ({}, OtherEngine("up", "2.2.1"), {}, "Podman 2.2.1 is too old: 3.0 or later"),
        ({}, UP, {MAIN: "registries = ["}, f"{MAIN} is not TOML"),
        ({}, UP, {MAIN: "[registries.search]\nregistries = []\n"}, "of the older format"),
        ({}, UP, {MAIN: '[[registry]]\nlocation = "docker.io"\n'}, "for docker.io, too"),
        ({}, UP, {MAIN: '[[registry]]\nlocation = "docker.io/"\n'}, "for docker.io, too"),
        ({}, UP, {f"{DROP_INS}/x.conf": '[[registry]]\nprefix = "plain.lan:5000"\n'},
         "for plain.lan:5000, too"),
        ({}, UP, {"/root/.config/containers/registries.conf.d/x.conf":
                  '[[registry]]\nlocation = "docker.io"\n'}, "for docker.io, too"),
        # Two fleets may trust the same plain registry; mirrors of Docker Hub are one's.
        ({}, UP, {f"{DROP_INS}/regfleet-b.conf": '[[registry]]\nprefix = "docker.io"\n'},
         "for docker.io, too"),
    ],
)  # fmt: skip
def test_what_is_refused(changes, podman, texts, message):
    with pytest.raises(HostError, match=re.escape(message)) as caught:
        plan(want(**changes), podman, texts=texts)
    assert caught.value.hint


@pytest.mark.parametrize(
    "texts",
    [
        {MAIN: 'unqualified-search-registries = ["docker.io"]\n'},
        {MAIN: '[[registry]]\nlocation = "quay.io"\n'},
        {f"{DROP_INS}/regfleet-b.conf": '[[registry]]\nlocation = "plain.lan:5000"\n'},
        {DROP_IN: "as it was, or mended by hand: not TOML"},
        {"/etc/elsewhere.conf": "not TOML"},
    ],
)
def test_what_others_have_beside_ours(texts):
    assert plan(want(), UP, texts=texts) == TO_SHOW


def test_what_is_in_force_already_is_not_asked_for_again():
    (file,) = want().files
    there = ObservedPath(DROP_IN, directory=False, mode=0o644, owner=(0, 0), digest=file.digest)
    assert plan(want(), UP, paths={DROP_IN: there}) == EnginePlan()


def test_a_part_that_others_have_in_their_hands_is_told():
    text = '[[registry]]\nprefix = "docker.io/library/"\nlocation = "m.lan/library"\n'
    made = plan(want(), UP, texts={MAIN: text})
    assert made.notes == (
        f"{MAIN} has a [[registry]] for docker.io/library: it holds for that, not the fleet's",
    )


def test_an_accounts_own_file_is_told_and_stops_nothing():
    made = plan(want(), OtherEngine("up", "4.3.1", facts={"hidden": "alice bob"}))
    assert made.configure == TO_SHOW.configure
    assert [note.split(" reads ")[0] for note in made.notes] == [
        "the Podman of alice",
        "the Podman of bob",
    ]
    assert "~alice/.config/containers/registries.conf and nothing" in made.notes[0]


def test_without_a_drop_in_of_ours_what_others_have_is_no_matter():
    files = Podman().wants(ClientNeeds((TRUSTED,), reason="client.build", fleet="acme")).files
    assert plan(want(files=files), UP, texts={MAIN: "not TOML"}) == EnginePlan()
