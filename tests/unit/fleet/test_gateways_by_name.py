"""Gateways of several registries at one port: told apart by name, or refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from regfleet.errors import Mistake
from regfleet.fleet.loopback import network
from regfleet.fleet.model import Fleet

HEAD = 'version = 1\nname = "acme"\n'
ROLES = 'admins = ["ci"]\nusers.ci.password = "generate"\n'


def registry(name: str, more: str = "", endpoint: str = "", host: str = "reg1") -> str:
    where = endpoint or f"{name}.lan:5000"
    text = f'[registry.{name}]\nhosts = ["{host}"]\nendpoint = "{where}"\nstorage = "/srv/{name}"\n'
    return f"{text}{ROLES}projects.a = {{}}\n{more}"


def meeting() -> tuple[str, str]:
    """Two addresses whose gateways have one network of loopback."""
    seen: dict[int, str] = {}
    for number in range(1, 255):
        address = f"10.0.0.{number}"
        first = seen.setdefault(network(address), address)
        if first != address:
            return first, address
    raise AssertionError(seen)


def namesakes() -> tuple[str, str]:
    """Two names of registries, neither the first at its port, that have one network."""
    seen: dict[int, str] = {}
    for number in range(255):
        name = f"r{number}"
        first = seen.setdefault(network(name=name), name)
        if first != name:
            return first, name
    raise AssertionError(seen)


PORT = "port 5000 of reg1 is taken by registry.one"
SPREAD = 'storage = "/srv/one"\n'
MISTAKES = [
    (
        registry("one")
        + registry("two", 'tls.source = "none"\nallow_plaintext_passwords = true\n'),
        PORT,
    ),
    (registry("one") + registry("two", endpoint="192.0.2.9:5000"), PORT),
    (registry("one") + registry("two", 'listen = "10.0.0.1:5000"\n'), PORT),
    (registry("one") + registry("two").replace(ROLES, "").replace("projects.a = {}\n", ""), PORT),
    (
        registry("one", 'gateway.hosts = ["lb1", "reg1"]\n') + registry("two"),
        f"{PORT} ... name the same hosts in gateway.hosts of both",
    ),
    (
        "".join(
            registry(f"r{at}", f'listen = "{each}:5000"\n') for at, each in enumerate(meeting())
        ),
        "has a gateway on reg1 whose addresses there are registry.r0's ... give it another port",
    ),
    (
        registry("first") + "".join(map(registry, namesakes())),
        f"whose addresses there are registry.{namesakes()[0]}'s ... call it otherwise",
    ),
]


@pytest.mark.parametrize(("text", "words"), MISTAKES)
def test_two_that_would_meet_are_refused(
    mistakes_of: Callable[[str], tuple[Mistake, ...]], text: str, words: str
) -> None:
    said = [f"{each.message} {each.hint}" for each in mistakes_of(HEAD + text)]
    assert any(all(part in each for part in words.split(" ... ")) for each in said), said


@pytest.mark.parametrize(
    ("net", "same"), [("10.0.0.", ("9/24", "9/24")), ("2001:db8::", ("a/64", "A/64"))]
)
def test_one_address_for_the_gateways_of_two_is_refused(
    mistakes_of: Callable[[str], tuple[Mistake, ...]], net: str, same: tuple[str, str]
) -> None:
    hosts = f'[{{ name = "a", address = "{net}1" }}, {{ name = "b", address = "{net}2" }}]'
    text = "".join(
        registry(name, f'gateway.vip = "{net}{vip}"\ngateway.port = {port}\n')
        .replace('["reg1"]', hosts)
        .replace(f'"/srv/{name}"', f'{{ shared = "/mnt/{name}" }}')
        for name, port, vip in (("one", 22510, same[0]), ("two", 22511, same[1]))
    )
    (mistake,) = mistakes_of(HEAD + text)
    assert mistake.path == "registry.two.gateway.vip"
    assert "is that of registry.one too" in mistake.message


def test_packages_share_a_gateways_host_and_none_of_their_own(
    fleet_of: Callable[[str], Fleet], mistakes_of: Callable[[str], tuple[Mistake, ...]]
) -> None:
    """Services of a gateway alone have names of ours; the registry's is the package's own."""
    front = 'runtime = "package"\ngateway.hosts = ["lb1"]\n'
    one = registry("one", front)
    two = registry("two", f"{front}gateway.port = 22511\n", host="reg2")
    assert len(fleet_of(HEAD + one + two).registries) == 2
    (mistake,) = mistakes_of(HEAD + one + two.replace("reg2", "reg1"))
    assert mistake.path == "registry.two.runtime"


def test_names_share_a_port(fleet_of: Callable[[str], Fleet]) -> None:
    fleet = fleet_of(
        HEAD + registry("one") + registry("two") + registry("other", endpoint="other.lan:5001")
        + registry("far", host="reg2")
    )  # fmt: skip
    sharing = {
        name: [each.name for each in fleet.sharing(it)] for name, it in fleet.registries.items()
    }
    assert sharing == {"one": ["one", "two"], "two": ["one", "two"], "other": [], "far": []}
