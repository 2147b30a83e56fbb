"""Gateways that stand alone before other registries: mistakes, each alone, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from regfleet.errors import Mistake
from regfleet.fleet.model import Fleet

HEAD = 'version = 1\nname = "acme"\n'
OLD = '[registry.old]\nexternal = true\nendpoint = "old.lan:5000"\n'
FRONT = (
    '[registry.front]\nendpoint = "front.lan:5000"\nusers.ci.password = "generate"\n'
    '[registry.front.gateway]\nhosts = ["lb1"]\n'
)
ALONE = HEAD + OLD + FRONT
ONE = '[registry.one]\nhosts = ["reg1"]\nendpoint = "one.lan:5001"\n'
TWO = '[registry.two]\nhosts = ["reg2"]\nendpoint = "two.lan:5001"\n'
THERE = '[replication.there]\nfrom = "one"\nto = ["two"]\nevery = "1m"\nconflict = "keep"\n'
BACK = '[replication.back]\nfrom = "two"\nto = ["one"]\nevery = "1m"\nconflict = "overwrite"\n'
BEFORE = "registry.front.gateway.before"
BOTH = 'before = ["one", "two"]\n'
PAIR = HEAD + ONE + TWO + THERE + BACK + FRONT + BOTH
USER = 'users.sync.password = "generate"\n'

# Text, path, and parts of message and hint.
MISTAKES = [
    (ALONE + 'before = ["old"]\n', "", None),
    (PAIR, "", None),
    (PAIR.replace('hosts = ["lb1"]', 'hosts = ["reg1", "reg2"]'), "", None),
    (ALONE + "before = []\n", BEFORE, "must not be empty"),
    (ALONE + 'before = ["old", "a", "b"]\n', BEFORE, "must have 2 items at most"),
    (ALONE + "before = [1]\n", f"{BEFORE}[0]", "must be a string"),
    (ALONE + 'before = ["old", {}]\n', f"{BEFORE}[1]", "must be a string"),
    (ALONE + 'before = ["ol"]\n', f"{BEFORE}[0]", "no registry ... did you mean old?"),
    (ALONE + 'before = ["front"]\n', f"{BEFORE}[0]", "is the gateway's own registry"),
    (ALONE + 'before = ["old", "old"]\n', f"{BEFORE}[1]", "is the same as"),
    (
        ALONE.replace("front", "second") + 'before = ["old"]\n' + FRONT + 'before = ["second"]\n',
        f"{BEFORE}[0]",
        "second is itself a gateway ... name those that keep the images",
    ),
    (
        HEAD + ONE + 'proxy = "https://hub.lan"\n' + FRONT + 'before = ["one"]\n',
        f"{BEFORE}[0]",
        "one is a pull-through cache",
    ),
    *(
        (
            (ALONE + 'before = ["old"]\n').replace("front]\n", f"front]\n{more}\n", 1),
            f"registry.front.{more.split()[0]}",
            "does not go with gateway.before",
        )
        for more in ('storage = "/srv"', "retention = {}", 'hosts = ["reg1"]')
    ),
    (
        (ALONE + 'before = ["old"]\n').replace('hosts = ["lb1"]\n', ""),
        "registry.front.gateway.hosts",
        "is missing: it says where the gateway runs",
    ),
    (
        (ALONE + 'before = ["old"]\n').replace('endpoint = "front.lan:5000"\n', ""),
        "registry.front.endpoint",
        "is missing",
    ),
    (
        (ALONE + 'before = ["old"]\n').replace('users.ci.password = "generate"\n', ""),
        "registry.front.gateway",
        "needs users",
    ),
    (
        ALONE + 'before = ["old"]\nport = 22511\n',
        "registry.front.gateway.port",
        "has no effect",
    ),
    (ALONE + 'login = { old = "a" }\n', "registry.front.gateway.login", "has no effect"),
    (
        ALONE + 'before = ["old"]\nlogin = { old = "a" }\n',
        "registry.front.gateway.login.old",
        "has no user",
    ),
    (
        HEAD + ONE + USER + FRONT + 'before = ["one"]\n',
        "registry.front.gateway.login",
        'one has users ... login.one = "sync"',
    ),
    (
        HEAD + ONE + FRONT + 'before = ["one"]\nlogin = { two = "sync" }\n',
        "registry.front.gateway.login.two",
        "does not stand before",
    ),
    (
        HEAD
        + ONE
        + 'admins = ["root"]\nusers.root.password = "generate"\n'
        + USER
        + 'projects.a.members = { sync = "admin" }\n'
        + FRONT
        + 'before = ["one"]\nlogin = { one = "sync" }\n',
        "registry.front.gateway.login.one",
        "may not do everything in one ... name one of its admins",
    ),
    (
        HEAD + ONE + 'listen = "127.0.0.1:5001"\n' + FRONT + 'before = ["one"]\n',
        f"{BEFORE}[0]",
        "one listens at 127.0.0.1:5001, where no other host reaches it",
    ),
    (
        HEAD + OLD.replace("old.lan", "192.0.2.1") + FRONT + 'before = ["old"]\n',
        f"{BEFORE}[0]",
        "has an address as its endpoint, by which nginx checks no certificate",
    ),
    (PAIR.replace(THERE, ""), BEFORE, 'copies all of one to two ... from = "one", to = ["two"]'),
    (PAIR.replace(BACK, ""), BEFORE, "copies all of two to one by itself"),
    *(
        (PAIR.replace(THERE, THERE + more), BEFORE, "no policy copies all of one to two")
        for more in ('exclude = ["a"]\n', 'repositories = ["a/*"]\n', 'tags = ["v*"]\n')
    ),
    (
        PAIR.replace("[registry.front]\n", "[registry.front]\ndelete = true\n"),
        "registry.front.delete",
        "what one deletes comes back from the other",
    ),
    (
        PAIR.replace(TWO, TWO.replace("reg2", "reg1").replace("5001", "5002") + 'storage = "/b"\n'),
        BEFORE,
        "both run on reg1",
    ),
    (
        PAIR.replace(ONE, ONE + 'storage.shared = "/mnt/a"\n').replace(
            TWO, TWO + 'storage.shared = "/mnt/a"\n'
        ),
        BEFORE,
        "share the file system at /mnt/a ... declare one registry",
    ),
    (
        HEAD + OLD + ONE + FRONT + 'before = ["one", "old"]\n'
        + THERE.replace("two", "old") + 'run_on = "source"\n'
        + BACK.replace("two", "old"),
        BEFORE,
        "old is external",
    ),
    (
        PAIR + '[replication.on]\nfrom = "front"\nto = ["one"]\nconflict = "keep"\n',
        "replication.on.from",
        "front keeps no images ... name one or two",
    ),
    (
        PAIR + '[promotion.prod]\nfrom = { registry = "front", prefix = "a/" }\n'
        'to = { registry = "one", prefix = "b/" }\n',
        "promotion.prod.from.registry",
        "front keeps no images",
    ),
    (
        PAIR.replace('["lb1"]', '["reg1"]').replace("front.lan:5000", "front.lan:5001"),
        "registry.front.endpoint",
        "port 5001 of reg1 is taken by registry.one",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "words"), [each for each in MISTAKES if each[2]])
def test_each_mistake_is_found(
    mistakes_of: Callable[[str], tuple[Mistake, ...]], text: str, place: str, words: str
) -> None:
    its = [each for each in mistakes_of(text) if each.path == place]
    said = [f"{each.message} {each.hint}" for each in its]
    assert any(all(part in each for part in words.split(" ... ")) for each in said), said
    assert all(each.line and each.hint for each in its)


@pytest.mark.parametrize("text", [text for text, _, words in MISTAKES if words is None])
def test_what_may_be(fleet_of: Callable[[str], Fleet], text: str) -> None:
    assert fleet_of(text).registries["front"].before


def test_of_two_nothing_is_deleted(fleet_of: Callable[[str], Fleet]) -> None:
    front = fleet_of(PAIR).registries["front"]
    assert (front.before, front.delete, front.storage, front.spread) == (
        ("one", "two"), False, "", False,
    )  # fmt: skip
    assert fleet_of(ALONE + 'before = ["old"]\n').registries["front"].delete


def test_what_a_failover_loses_is_said(fleet_of: Callable[[str], Fleet]) -> None:
    told = [each.message for each in fleet_of(PAIR).warnings if each.path == BEFORE]
    assert len(told) == 1
    assert "two serves without what it has not copied yet: pushes of up to 1 min" in told[0]
    assert not [
        each for each in fleet_of(ALONE + 'before = ["old"]\n').warnings if "copied" in each.message
    ]
