"""What several gateways at one port get: one listens there, and passes on to the others."""

from dataclasses import replace

from making import fleet, host, materials, registry

from regfleet.desired.resolve import resolve
from regfleet.fleet.registries import Gateway, Project
from regfleet.gateway.nginx import STREAM_FILE
from regfleet.pki.tokens import TokenKeys
from regfleet.secret import Secret

ONE, TWO, OTHER = (
    registry(
        name,
        f"{name}.example.com:{port}",
        hosts=(host("reg1"),),
        storage=f"/srv/{name}",
        gateway=Gateway("nginx:stable"),
        projects=(Project("a"),),
    )
    for name, port in (("one", 5000), ("two", 5000), ("other", 5001))
)

KEYS = TokenKeys(Secret("key"), b"certificate", b"bundle")


def fronts(*declared):
    whole = fleet([*declared], [])
    made = materials(whole)
    sharing = {
        name: replace(made.registries[name], sharing=whole.sharing(each), tokens=KEYS)
        for name, each in whole.registries.items()
    }
    found = resolve(whole, replace(made, registries=sharing))["reg1"].services
    return {each.registry: each for each in found if each.name.endswith(".gateway")}


def text(service):
    return next(each.content.decode() for each in service.files if each.path.endswith(".conf"))


def test_the_first_listens_and_passes_on():
    found = fronts(ONE, TWO, OTHER)
    one, two, other = (text(found[name]) for name in ("one", "two", "other"))
    assert "listen 5000;" in one
    assert "default 127.82.19.136:22505;" in one
    place = found["two"].address
    assert f"two.example.com {place}:22505;" in one
    assert "listen 5000" not in two
    assert f"listen {place}:22505 ssl proxy_protocol;" in two
    assert "stream {" not in two
    assert "listen 5001 ssl;" in other
    assert "proxy_protocol" not in other


def test_packages_bring_the_module_that_passes_clients_on():
    one, two = (replace(each, runtime="package") for each in (ONE, TWO))
    found = fronts(one, replace(two, runtime="podman"))
    assert "libnginx-mod-stream" in found["one"].run.packages["apt-get"]
    assert STREAM_FILE in found["one"].run.brought
    found = fronts(replace(one, runtime="podman"), two)
    assert "libnginx-mod-stream" not in found["two"].run.packages["apt-get"]
    assert STREAM_FILE not in found["two"].run.brought


def test_each_is_probed_where_it_answers_itself():
    found = fronts(ONE, TWO)
    assert (found["one"].address, found["one"].port, found["one"].everywhere) == (
        "127.0.0.1", 5000, True,
    )  # fmt: skip
    assert (found["two"].port, found["two"].everywhere) == (22506, False)
    assert found["two"].address.startswith("127.")
    assert found["two"].address != "127.82.19.136"


def test_a_second_one_leaves_the_first_where_it_was():
    """So that its registry and its password check need no restart."""
    alone, beside = fronts(ONE)["one"], fronts(ONE, TWO)["one"]
    assert alone.specification == beside.specification
    assert text(alone) != text(beside)
