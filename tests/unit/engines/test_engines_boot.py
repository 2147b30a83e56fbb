"""Services of engines that are masked, or do not start when their machine boots."""

import pytest
from making import client, fleet, host, materials, observed

from regfleet.desired.resolve import resolve
from regfleet.engines import ENGINES
from regfleet.errors import HostError
from regfleet.fleet.clients import Mirror
from regfleet.fleet.registries import Proxy
from regfleet.model.observed import OtherEngine
from regfleet.model.plan import ActivateUnit
from regfleet.record import Owned

UNITS = {
    "containerd": ("containerd", "containerd"),
    "cri-o": ("crio", "crio"),
    "k3s": ("k3s-agent", "rancher"),
    "buildkit": ("buildkit", "buildkit"),
}


def planned(name, boot, state="up", **settings):
    unit, word = UNITS[name]
    made = fleet(clients=[client(engine=name, hosts=(host("web1"),), **settings)])
    want = resolve(made, materials(made))["web1"]
    facts = {"boot": boot, "product": name, "unit": unit}
    found = OtherEngine(state, "2.9.9", facts=facts)
    return ENGINES[name].plan(want, observed(others={word: found}), Owned(), ())


@pytest.mark.parametrize("name", UNITS)
def test_one_that_does_not_start_with_the_machine_is_noted(name):
    (note,) = planned(name, "disabled", registries=()).notes
    unit = UNITS[name][0]
    assert note.endswith(f"run there: systemctl enable {unit}")
    assert planned(name, "enabled", registries=()).notes == ()
    assert planned(name, "", registries=()).notes == ()


@pytest.mark.parametrize("name", UNITS)
def test_a_masked_one_is_refused_where_it_has_to_start(name):
    unit = UNITS[name][0]
    proxy = Proxy("http://p.lan:3128")
    assert planned(name, "enabled", proxy=proxy).configure[-1] == ActivateUnit(
        UNITS[name][1], unit, "restart", stops=False
    )
    with pytest.raises(HostError, match=f"{unit}.service is masked") as caught:
        planned(name, "masked", proxy=proxy)
    assert f"systemctl unmask {unit}" in caught.value.hint


def test_a_masked_one_can_reload():
    from_masked = planned("cri-o", "masked", mirrors=(Mirror("https://m.lan"),))
    (step,) = from_masked.configure
    assert step.how == "reload"
    assert "is masked" in from_masked.notes[0]
