"""A fleet of many sites, each with a registry of its own, is loaded and resolved in linear time."""

import sys

from regfleet.fleet.load import load
from regfleet.run.wanted import declared
from regfleet.state import StagedState

SITE = """\
[registry.r{0}]
hosts = [{{ name = "r{0}", address = "10.0.{1}.{2}" }}]
tls = {{ source = "none" }}
[client.r{0}]
hosts = [{{ name = "r{0}", address = "10.0.{1}.{2}" }}]
registries = ["r{0}"]
"""


def calls(directory, sites):
    """How often Python called a function."""
    directory.mkdir()
    path = directory / "fleet.toml"
    body = "".join(SITE.format(each, each // 200, each % 200) for each in range(sites))
    path.write_text(f'version = 1\nname = "sites"\n{body}')
    counted = 0

    def count(_frame, event, _argument):
        nonlocal counted
        counted += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        fleet = load(path)
        found = declared(fleet, StagedState(directory / "state"))
    finally:
        sys.setprofile(before)
    assert len(found.desired) == sites
    return counted


def test_ten_times_the_sites_take_about_ten_times_the_calls(tmp_path):
    calls(tmp_path / "warm", 1)
    few, many = calls(tmp_path / "few", 20), calls(tmp_path / "many", 200)
    assert many < 15 * few


def test_each_host_has_its_own_registries_and_groups(tmp_path):
    path = tmp_path / "fleet.toml"
    body = SITE.format(1, 0, 1) + SITE.format(2, 0, 2)
    path.write_text(f'version = 1\nname = "sites"\n{body}')
    fleet = load(path)
    assert [each.name for each in fleet.registries_on("r2")] == ["r2"]
    assert [each.name for each in fleet.clients_of("r1")] == ["r1"]
    assert not fleet.registries_on("r3")
    assert not fleet.clients_of("r3")
