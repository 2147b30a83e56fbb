"""Before which hosts of plain pyinfra a shared storage is proven. Real hosts: tests/fleet."""

from types import SimpleNamespace

from making import fleet, host, registry

from regfleet.errors import HostError
from regfleet.run.shared import InTurn

AWAY = HostError("a", "the connection broke", "run it again")
FLEET = fleet(
    [
        registry(hosts=(host("a"), host("b"), host("c")), shared=True),
        registry("one", "one.example.com:5000", hosts=(host("d"),)),
    ],
    [],
)


class Hosts:
    """All but c would change; the first one asked is away."""

    def __init__(self):
        self.fleet, self.token, self.connections = FLEET, "run-1", self
        self.seen = dict.fromkeys("abcde")
        self.planned, self.asked = [], []

    def plan(self, name):
        self.planned.append(name)
        return SimpleNamespace(empty=name == "c")

    def run(self, name, _program, _seconds):
        self.asked.append(name)
        raise AWAY


def test_it_is_proven_once_before_the_first():
    hosts = Hosts()
    sharing = InTurn(hosts)
    assert sharing.refused("a") is AWAY
    assert sharing.refused("b") is None  # its turn says that a failed
    assert hosts.asked == ["a"]


def test_a_host_of_no_shared_storage_has_nobody_planned():
    """Else a fleet of hundreds would be planned once more for each of its hosts."""
    hosts = Hosts()
    sharing = InTurn(hosts)
    assert sharing.refused("d") is None
    assert sharing.refused("e") is None
    assert hosts.planned == []
    sharing.refused("a")
    assert set(hosts.planned) == {"a", "b", "c"}


def test_a_host_that_stays_as_it_is_proves_nothing():
    hosts = Hosts()
    assert InTurn(hosts).refused("c") is None
    assert hosts.asked == []
