"""Mirrors of registries other than Docker Hub: where each engine has them, and their order."""

import pytest
import tomli
import yaml
from making import client, engine, fleet, materials, observed, registry, with_login

from regfleet.desired.resolve import resolve
from regfleet.engines import ENGINES
from regfleet.errors import HostError
from regfleet.fleet.clients import Mirror
from regfleet.fleet.registries import Tls
from regfleet.model.observed import OtherEngine
from regfleet.model.plan import EditFile
from regfleet.plan.diff import diff

HUB = Mirror("https://hub.lan:5001")
QUAY = (
    Mirror("https://quay.lan:5002", "cache", "quay.io"),
    Mirror("http://q2.lan", None, "quay.io"),
)
REST = Mirror("https://rest.lan", None, "*")
REGISTRIES = [
    registry("cache", "quay.lan:5002", users=(), proxy="https://quay.io"),
    registry("quay", "quay.io", external=True, hosts=(), tls=Tls("public")),
]
VERSIONS = {"containerd": "2.0.0", "podman": "5.4.0", "k3s": "1.30.0", "buildkit": "0.20.0"}


def wanted(name, *mirrors, **changes):
    made = fleet(REGISTRIES, [client(engine=name, mirrors=mirrors, registries=(), **changes)])
    return resolve(made, materials(made))["web1"]


def written(name, *mirrors, **changes):
    """The texts of the files that the plan edits, by path."""
    word = ENGINES[name].shell
    facts = {"product": name, "unit": name} if word == "rancher" else {}
    seen = observed(others={word: OtherEngine("up", VERSIONS[name], "", facts)}, engine=engine())
    planned = diff(wanted(name, *mirrors, **changes), seen, "")
    return {step.path: step.content for step in planned.steps if isinstance(step, EditFile)}


def test_containerd_has_a_directory_for_each():
    texts = written("containerd", HUB, *QUAY, REST)
    certs = "/etc/containerd/certs.d"
    assert set(texts) == {
        f"{certs}/{each}/hosts.toml"
        for each in ("docker.io", "quay.io", "_default", "quay.lan:5002")
    } | {"/etc/containerd/config.toml"}
    quay = tomli.loads(texts[f"{certs}/quay.io/hosts.toml"])
    assert list(quay["host"]) == ["https://quay.lan:5002", "http://q2.lan"]
    assert quay["host"]["https://quay.lan:5002"]["ca"] == f"{certs}/quay.lan:5002/ca.crt"
    assert "server" not in quay  # it is itself asked last
    assert list(tomli.loads(texts[f"{certs}/_default/hosts.toml"])["host"]) == ["https://rest.lan"]
    owned = {each.path: each.own for each in wanted("containerd", HUB, *QUAY).directories}
    assert not owned[f"{certs}/quay.io"]  # somebody else may have one, too


def test_containerd_asks_mirrors_before_the_registry_that_has_a_login():
    texts = written("containerd", *QUAY, logins=with_login("quay"))
    quay = tomli.loads(texts["/etc/containerd/certs.d/quay.io/hosts.toml"])
    assert list(quay["host"]) == ["https://quay.lan:5002", "http://q2.lan", "https://quay.io"]
    assert "header" in quay["host"]["https://quay.io"]
    assert "header" not in quay["host"]["https://quay.lan:5002"]


@pytest.mark.parametrize("name", ["podman", "cri-o"])
def test_podman_and_crio_have_a_registry_for_each(name):
    (file,) = [each for each in wanted(name, HUB, *QUAY).files if each.path.endswith(".conf")]
    assert tomli.loads(file.content.decode())["registry"] == [
        {"prefix": "docker.io", "location": "docker.io", "mirror": [{"location": "hub.lan:5001"}]},
        {
            "prefix": "quay.io",
            "location": "quay.io",
            "mirror": [{"location": "quay.lan:5002"}, {"location": "q2.lan", "insecure": True}],
        },
    ]


def test_podman_is_not_given_a_second_table_for_a_registry():
    path = "/etc/containers/registries.conf.d/theirs.conf"
    text = '[[registry]]\nlocation = "quay.io"\n'
    seen = observed(others={"podman": OtherEngine("up", "5.4.0")}, texts={path: text})
    with pytest.raises(HostError, match=r"theirs.conf has a \[\[registry\]\] for quay.io, too"):
        diff(wanted("podman", *QUAY), seen, "")


def test_k3s_has_an_entry_for_each():
    (text,) = written("k3s", HUB, *QUAY, REST).values()
    assert yaml.safe_load(text)["mirrors"] == {
        "docker.io": {"endpoint": ["https://hub.lan:5001"]},
        "quay.io": {"endpoint": ["https://quay.lan:5002", "http://q2.lan"]},
        "*": {"endpoint": ["https://rest.lan"]},
    }


def test_buildkit_has_a_registry_for_each():
    (text,) = written("buildkit", HUB, *QUAY).values()
    found = tomli.loads(text)["registry"]
    assert found["quay.io"] == {"mirrors": ["quay.lan:5002", "q2.lan"]}
    assert found["docker.io"] == {"mirrors": ["hub.lan:5001"]}
    assert found["q2.lan"] == {"http": True}
