"""The fleet file that `regfleet import` writes of what a host has."""

import base64

import pytest
from making import MARK

from regfleet.errors import HostError
from regfleet.fleet.load import load
from regfleet.look import imported
from regfleet.model.foreign import Foreign
from regfleet.model.imported import Imported, OwnDocker
from regfleet.report import fleet_file

OLD = Foreign(
    "container", "1f", "old", "always", image="registry:2",
    driver="filesystem", root="/var/lib/registry", source="/data", port=5000,
)  # fmt: skip


def written(tmp_path, address="192.0.2.10", host="reg1", **found):
    file = tmp_path / "fleet.toml"
    file.write_text(fleet_file.render(Imported("reg1", **found), host, address, {}, "now"))
    return load(file), file.read_text()


def test_every_registry_has_a_name_and_its_storage(tmp_path):
    unit = Foreign(
        "unit", "docker-registry", "docker-registry", "enabled",
        driver="filesystem", root="/var/lib/docker-registry", source="/var/lib/docker-registry",
        port=5001, upstream="https://registry-1.docker.io",
    )  # fmt: skip
    fleet, text = written(tmp_path, engine=True, registries=(OLD, unit))
    main, other = fleet.registries.values()
    assert (main.name, main.endpoint, main.storage) == ("main", "192.0.2.10:5000", "/data")
    assert (other.runtime, other.proxy) == ("package", "https://registry-1.docker.io")
    assert other.storage == "/var/lib/docker-registry"
    assert "# The container old, image registry:2: it is a registry that keeps" in text


@pytest.mark.parametrize(
    ("insecure", "endpoint"),
    [
        ((), "192.0.2.10:5000"),
        (("registry.lan:5000",), "registry.lan:5000"),
        (("a.lan:5000", "b.lan:5000"), "192.0.2.10:5000"),
        (("a.lan:5000", "reg1.lan:5000"), "reg1.lan:5000"),
        (("a.lan:5000", "192.0.2.10:5000"), "192.0.2.10:5000"),
        (("a.lan:5001",), "192.0.2.10:5000"),
    ],
)
def test_it_is_called_as_the_host_calls_it(tmp_path, insecure, endpoint):
    fleet, _ = written(tmp_path, registries=(OLD,), insecure=insecure)
    assert fleet.registries["main"].endpoint == endpoint
    assert {each.endpoint for each in fleet.registries.values()} >= set(insecure)


def test_images_in_a_volume_are_to_be_copied(tmp_path):
    volume = Foreign(
        "container", "1f", "old", driver="filesystem", root="/r", source="/v/_data", volume="9" * 64
    )
    fleet, text = written(tmp_path, registries=(volume,))
    assert fleet.registries["main"].storage == "/var/lib/registry"
    assert "Its images are copied to `storage` when it is adopted." in text
    assert "Its port could not be found out: 5000 is assumed." in text


def test_a_host_with_nothing_gives_a_file_that_says_so():
    text = fleet_file.render(Imported("h"), "h", "h", {}, "now")
    assert "[registry" not in text
    assert "[client" not in text
    assert "# No registry, trust, mirror or login was found there." in text


def test_what_a_host_says_cannot_leave_a_comment(tmp_path):
    evil = Foreign("container", "1f", "old\n[client.x]", driver="s3\nhosts = []", port=5000)
    fleet, _ = written(tmp_path, registries=(evil,))
    assert not fleet.clients


def test_a_look_that_breaks_off_is_an_error():
    with pytest.raises(HostError, match="ended early"):
        imported.parse("h", ["@begin m", "@name h"], "m")
    daemon = base64.b64encode(b"{,").decode()
    lines = [f"@begin {MARK}", "@name h ", "@engine docker", f"@daemon {daemon}", f"@end {MARK}"]
    found = imported.parse("h", lines, MARK)
    assert (found.name, found.engine) == ("h", True)
    assert found.obstacle


OPS = OwnDocker(
    "ops",
    "docker-rootless",
    ("plain.test:5001",),
    ("https://m.test",),
    {"r.test:5000": "~ops/ca.crt"},
)
LOGINS = (("ops", "r.test:5000", "ci"), ("root", "other.test:5000", "me"))


def test_an_accounts_docker_is_a_group_of_its_own(tmp_path):
    fleet, _ = written(tmp_path, own=(OPS,), logins=LOGINS)
    (client,) = fleet.clients.values()
    assert (client.name, client.engine, client.account) == ("reg1-ops", "docker-rootless", "ops")
    assert set(client.registries) == {"plain-test", "r-test"}
    assert [each.url for each in client.mirrors] == ["https://m.test"]
    assert [(each.registry, each.user) for each in client.logins] == [("r-test", "ci")]


def test_beside_the_hosts_own_docker_it_is_in_comments(tmp_path):
    bob = OwnDocker("bob", "docker-rootless", obstacle="no JSON")
    fleet, text = written(tmp_path, engine=True, own=(OPS, bob), logins=LOGINS)
    (client,) = fleet.clients.values()
    assert (client.engine, list(client.registries)) == ("docker", ["other-test"])
    assert "# [client.reg1-ops]\n" in text
    assert '# account = "ops"\n' in text
    assert "# [client.reg1-bob]\n" in text
    assert " ".join(text.split()).count("declare this one") == 2


def test_what_an_account_says_of_its_docker():
    daemon = base64.b64encode(b'{"insecure-registries": ["a.test:5000"]}').decode()
    said = ["@name h", "@own ops", f"@own-daemon {daemon}", "@own-mirror https://m.test"]
    said += ["@own-trusted r.test:5000 ~ops/x.crt", "@own bob", "@own-daemon "]
    found = imported.parse("h", [f"@begin {MARK}", *said, f"@end {MARK}"], MARK)
    trusted = {"r.test:5000": "~ops/x.crt"}
    assert found.own == (
        OwnDocker("ops", "docker-rootless", ("a.test:5000",), ("https://m.test",), trusted),
        OwnDocker("bob", "docker-rootless"),
    )
