"""Whatever is in the file: a fleet, or an error that is meant for people."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regfleet.errors import FleetFileError
from regfleet.fleet.build import build
from regfleet.fleet.check.document import check
from regfleet.fleet.load import load
from regfleet.fleet.read import read
from regfleet.fleet.validate import validate, without

VALID = """\
version = 1
name = "acme"
[ssh]
user = "ops"
port = 22
sudo = true
[registry.main]
hosts = [{ name = "reg1", address = "192.0.2.1", ssh = { port = 2222 } }]
endpoint = "registry.example.com:5000"
storage = "/srv/registry"
[registry.main.tls]
source = "fleet-ca"
names = ["registry.internal"]
[registry.main.users]
alice = { password = { env = "ALICE" } }
ci = { password = "generate" }
[registry.hub]
external = true
endpoint = "hub.example.com"
users = { me = { password = { command = "pass" } } }
[client.build]
hosts = ["build[01:03]", { name = "w[1:2]", address = "10.0.0.[1:2]" }]
registries = ["main"]
mirrors = ["https://mirror.example.com", "main"]
login = { main = "ci", hub = { user = "me", for = ["root"] } }
daemon = { live-restore = true, log-opts = { max-size = "1m" } }
[client.two]
hosts = ["build02", "@local"]
daemon = { live-restore = true }
[rollout]
batch = "20%"
[smoke]
image = "busybox"
"""

ODD = st.sampled_from(
    [
        *(True, False, 0, 1, -1, 22, 65536, 2**62, 0.0, 1.0, 0.5),
        *(float("inf"), float("-inf"), float("nan")),
        *("", "a", "main", "@local", "none", "files", "generate", "a[0:9]", "a[0:99999999]"),
        *("https://u:p@m/?#", "20%", "[::1]:5000", "\0", "~", "~x/y", "/", ".", "a" * 300, "é"),
        dt.datetime(1979, 5, 27, tzinfo=dt.timezone.utc),
        dt.date(1979, 5, 27),
        dt.time(7, 32),
    ]
)
VALUES = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "password", "main", "hosts", "x", ""]), inner)
    ),
    max_leaves=4,
)


def tables_and_lists(item: Any) -> Iterator[Any]:
    if isinstance(item, (dict, list)):
        yield item
        for child in item.values() if isinstance(item, dict) else item:
            yield from tables_and_lists(child)


@st.composite
def mutants(draw: st.DrawFn) -> dict[str, Any]:
    """The valid fleet with some values deleted, replaced, inserted or moved."""
    document = tomli.loads(VALID)
    pick = draw(st.randoms(use_true_random=False))
    for _ in range(draw(st.integers(1, 4))):
        mutate(document, pick, draw(VALUES))
    return document


def mutate(document: dict[str, Any], pick: random.Random, value: Any) -> None:
    place = pick.choice(list(tables_and_lists(document)))
    action = pick.choice(["delete", "replace", "insert", "move"])
    if isinstance(place, list):
        index = pick.randrange(len(place) + 1)
        if action in ("delete", "replace"):
            del place[index : index + 1]
        if action != "delete":
            place.insert(index, value)
        return
    if action == "insert" or not place:
        place[pick.choice(["hosts", "tls", "users", "daemon", "source", "ca", "x"])] = value
        return
    key = pick.choice(list(place))
    if action == "delete":
        del place[key]
    elif action == "replace":
        place[key] = value
    else:
        place[pick.choice(["main", "build", "hosts", "zz"])] = place.pop(key)


@settings(max_examples=600, deadline=None)
@given(mutants())
def test_a_mutant_is_built_or_has_findings(document: dict[str, Any]) -> None:
    folder = Path("/nowhere")
    found = validate(document)
    found += check(without(document, found) if found else document, folder)
    if not found:
        assert build(document, folder / "fleet.toml").hosts() is not None
    for finding in found:
        assert finding.message
        assert "\n" not in finding.message + finding.hint


def test_the_valid_fleet_is_valid() -> None:
    document = tomli.loads(VALID)
    assert validate(document) == []
    assert check(document, Path("/nowhere")) == []
    assert len(build(document, Path("/nowhere/f")).hosts()) == 7


def loads_or_tells(file: Path) -> None:
    mistakes = None
    try:
        load(file)
    except FleetFileError as error:
        mistakes = error.mistakes
    assert mistakes is None or all(each.message for each in mistakes)
    assert mistakes != ()


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "fleet.toml"
    file.write_bytes(content)
    loads_or_tells(file)


@settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(0, len(VALID)),
    st.integers(0, 30),
    st.text(alphabet="[]{}=\"'#.,\n\\ a1é\0", max_size=6),
)
def test_any_cut_in_the_text(tmp_path: Path, start: int, length: int, instead: str) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(VALID[:start] + instead + VALID[start + length :], "utf-8")
    loads_or_tells(file)


DEEP = 100_000


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * DEEP,
        "a = " + "[" * DEEP + "]" * DEEP,
        "a = " + "{a=" * DEEP,
        "a = " + "[{a=" * 150 + "1" + "}]" * 150,
        "[" * DEEP,
        "[" + ".".join("a" * DEEP) + "]",
        ".".join("a" * 999) + " = 1",
        "[client.b.daemon." + ".".join("a" * 500) + "]",
        "\n".join(f"[{'.'.join('a' * depth)}]" for depth in range(1, 90)),
        "[[" + ".".join("a" * 40) + "]]",
        "k" * 1_000_000 + " = 1",
        f'"{"k" * 1_000_000}" = 1',
        f'name = "{"v" * 1_000_000}"',
        f"version = {'9' * 100_000}",
        f"version = 0x{'f' * 100_000}",
        f"version = 1.{'9' * 100_000}",
        "version = 1e999999999",
        "\n".join(f"k{number} = 1" for number in range(20_000)),
        "\0" * 1000,
        "[client.b]\nhosts = [" + "1," * 20_000 + "]",
        "[client.b]\nhosts = [" + '"[0:9]",' * 5_000 + "]",
        "[registry.m]\nusers." + "u" * 100_000 + ' = "x"',
    ],
    ids=range(22),
)
def test_monsters(tmp_path: Path, text: str) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(text)
    with pytest.raises(FleetFileError) as caught:
        load(file)
    assert all(len(line) < 2000 for line in str(caught.value).splitlines())


@pytest.mark.parametrize("depth", range(28, 36))
def test_the_deepest_document_that_is_read_is_checked_too(tmp_path: Path, depth: int) -> None:
    file = tmp_path / "fleet.toml"
    dotted = ".".join("a" * depth)
    file.write_text(f'{VALID}[client.deep]\nhosts = ["d"]\ndaemon.{dotted} = [1, {{ b = nan }}]\n')
    with pytest.raises(FleetFileError, match=r"nan cannot be written|levels deep"):
        load(file)


def test_nothing_is_left_unread(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(VALID)
    assert read(file).document == tomli.loads(VALID)
