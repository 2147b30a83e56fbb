"""The host of a gateway is killed over it: while the gateway comes, goes, and takes a role up.

A gateway on a host of its own before a registry (`gateway.hosts`), before registries that know
nothing of it (`gateway.before`), and with a common address (`gateway.vip`). In the soak alone, at
the last boundary of each name. No boundary is named here.
"""

import time

import pytest
from driver import Driver, kill_at
from urllib3 import PoolManager
from urllib3.util import make_headers

from regfleet.jobs.recovery import Recovery
from regfleet.rehearse.twin import HostSpec

pytestmark = [
    pytest.mark.long,
    pytest.mark.soak,
]

FRONT = "lb1"
REGISTRY = """
[registry.NAME]
WHERE
endpoint = "ENDPOINT"
image_archive = "$registry_tar"
tls = { source = "none" }
allow_plaintext_passwords = true
"""
ROLES = """
admins = ["root"]
users.root.password = "generate"
users.bob.password = "generate"
projects.team.members = { bob = "ROLE" }

[registry.main.gateway]
hosts = [HOSTS]
image_archive = "$nginx_tar"
MORE
"""
MAIN = REGISTRY.replace("NAME", "main").replace("ENDPOINT", "registry.test:5000")
ONE = REGISTRY.replace("NAME", "one").replace("ENDPOINT", "reg1.test:5001")
RUNS = "hosts = [$reg1]"
KINDS = {
    "hosts": (MAIN.replace("WHERE", RUNS) + ROLES, "$lb1", ""),
    "before": (
        ONE.replace("WHERE", RUNS) + MAIN.replace("WHERE", "") + ROLES, "$lb1", 'before = ["one"]'
    ),
    "vip": (MAIN.replace("WHERE", RUNS) + ROLES, "$lb1, $lb2", 'vip = "VIP/24"'),
}  # fmt: skip
CONTAINERS = ["regfleet-main.gateway", "regfleet-main.users"]
CHANGES = {"comes and goes": ("gone", "guest"), "a role": ("guest", "developer")}


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", aliases=("reg1.test",)),
        HostSpec(FRONT, aliases=("registry.test",)),
        HostSpec("lb2"),
    )


OLD, NEW = 'image_archive = "$nginx_tar"', 'image = "nginx:next"'
DRAIN = "/run/regfleet-main.vip/drain"


class Front:
    """The gateway's host in its states, and how it gets from one to another."""

    def __init__(self, twin, write_fleet, kind):
        self.kind, self.host = kind, twin.hosts[FRONT]
        body, hosts, more = KINDS[kind]
        vip = f"{twin.hosts['reg1'].address.rpartition('.')[0]}.250"
        body = body.replace("HOSTS", hosts).replace("MORE", more.replace("VIP", vip))
        self.drivers = {
            role: Driver(
                write_fleet(twin, body.replace("ROLE", role), name=f"{kind}-{role}.toml"), twin
            )
            for role in ("guest", "developer")
        }
        self.drivers["gone"] = self.drivers["guest"]
        ended = self.drivers["guest"].apply("reg1")
        assert ended is None or ended.result == "changed", ended

    def how(self, state):
        return {"gone": state == "gone"}

    def to(self, state):
        self.drivers[state].apply(FRONT, **self.how(state))

    @property
    def state(self):
        """What bob may do tells it."""
        if not self.containers:
            left = "ls -d /etc/regfleet; ls /etc/systemd/system | grep regfleet"
            assert self.host.run(left).stdout == ""
            return "gone"
        assert self.containers == CONTAINERS
        if self.kind == "vip":
            assert self.host.read("systemctl is-active regfleet-main.vip") == "active"
        word = self.drivers["guest"].materials.registries["main"].passwords["bob"].reveal()
        where = f"http://{self.host.address}:5000/v2/team/app/blobs/uploads/"
        pool = PoolManager(timeout=30, retries=False)
        answer = pool.request("POST", where, headers=make_headers(basic_auth=f"bob:{word}"))
        return {202: "developer", 403: "guest"}.get(answer.status, answer.status)

    @property
    def containers(self):
        return sorted(self.host.read("docker ps -a --format '{{.Names}}'").split())


@pytest.fixture
def front(twin, write_fleet, kind):
    made = Front(twin, write_fleet, kind)
    yield made
    for name in made.drivers["guest"].wanted:
        made.drivers["guest"].destroy(name)


def chosen(boundaries):
    """The last boundary of a name: before it as much as may be has happened."""
    return list({step: (number, step) for number, step in boundaries}.values())


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_kill_leaves_a_gateways_host_with_or_without(front, tally, kind):
    tried = 0
    for states in CHANGES.values():
        front.to(states[0])
        for before, after in (states, states[::-1]):
            driver = front.drivers[after]
            boundaries, ended = driver.boundaries(FRONT, **front.how(after))
            assert ended.result == "changed", ended
            assert front.state == after
            for number, step in chosen(boundaries):
                where = f"{kind}, {before} to {after}: killed at {number}, {step}"
                front.to(before)
                assert front.state == before, where
                cut = driver.touch_with(FRONT, kill_at(number), **front.how(after))
                # A package is installed once: then there is a boundary less.
                assert cut.cut or cut.result == "changed", where
                ended = driver.do(FRONT, Recovery()).outcome
                assert ended.result in {"changed", "unchanged", "rolled-back"}, (where, ended)
                assert front.state in states, where
                front.to(after)
                assert driver.plan(FRONT, **front.how(after)).empty, where
                assert front.state == after, where
                tried += 1
    tally(f"touch of a gateway's own host killed: {kind}", tried, tried)


@pytest.fixture
def pair(twin, write_fleet):
    """Both gateways with one address, and drivers for either image of nginx; `address`."""
    vip = f"{twin.hosts['reg1'].address.rpartition('.')[0]}.250"
    body, hosts, more = KINDS["vip"]
    body = body.replace("HOSTS", hosts).replace("MORE", more.replace("VIP", vip))
    body = body.replace("ROLE", "guest")
    assert OLD in body
    drivers = {
        "old": Driver(write_fleet(twin, body, name="old.toml"), twin),
        "new": Driver(write_fleet(twin, body.replace(OLD, NEW), name="new.toml"), twin),
    }
    for name in ("reg1", FRONT, "lb2"):
        ended = drivers["old"].apply(name)
        assert ended is None or ended.result == "changed", ended
    twin.hosts[FRONT].read("docker tag nginx:stable nginx:next")
    yield drivers, vip
    for name in drivers["old"].wanted:
        drivers["old"].destroy(name)


def holders(twin, vip):
    found = "ip -o addr show dev eth0"
    return [name for name in (FRONT, "lb2") if f" {vip}/" in twin.hosts[name].read(found)]


def settled(twin, vip, where=""):
    """The one that has the address, which answers; given to `where` first, if that is named."""
    if where:
        other = next(name for name in (FRONT, "lb2") if name != where)
        twin.hosts[other].read(f"echo 1 >{DRAIN}")
    for _ in range(80):
        found = holders(twin, vip)
        if len(found) == 1 and found[0] == (where or found[0]):
            break
        time.sleep(0.25)
    if where:
        twin.hosts[other].read(f"echo 0 >{DRAIN}")
    assert len(found) == 1, found
    pool = PoolManager(timeout=10, retries=False)
    assert pool.request("GET", f"http://{vip}:5000/v2/").status == 401
    return found[0]


def test_a_kill_while_an_address_is_elsewhere_leaves_it_to_one_that_answers(twin, pair, tally):
    drivers, vip = pair
    host = twin.hosts[FRONT]

    def image():
        return host.read("docker inspect -f '{{.Config.Image}}' regfleet-main.gateway")

    settled(twin, vip, FRONT)
    boundaries, ended = drivers["new"].boundaries(FRONT)
    assert ended.result == "changed", ended
    assert "drain" in {step for _, step in boundaries}
    assert settled(twin, vip) == "lb2"
    tried = 0
    for number, step in chosen(boundaries):
        where = f"killed at {number}, {step}"
        drivers["old"].apply(FRONT)
        assert image() == "nginx:stable", where
        settled(twin, vip, FRONT)
        assert drivers["new"].touch_with(FRONT, kill_at(number)).cut, where
        # Nobody has to put anything back for it: one of the two answers.
        settled(twin, vip)
        ended = drivers["new"].do(FRONT, Recovery()).outcome
        assert ended.result in {"changed", "unchanged", "rolled-back"}, (where, ended)
        assert image() in ("nginx:stable", "nginx:next"), where
        assert host.read(f"cat {DRAIN}") == "0", where
        settled(twin, vip)
        drivers["new"].apply(FRONT)
        assert image() == "nginx:next", where
        assert drivers["new"].plan(FRONT).empty, where
        tried += 1
    tally("touch of a gateway with a common address killed", tried, tried)
