"""One registry on two hosts behind gateways that balance over both, and share an address.

Registry 2.8, Docker 20.10. What dies, vanishes or is changed is one instance or gateway.
"""

import json
import re
import threading
import time
from dataclasses import dataclass, field

import pytest
from absence import Absence
from urllib3 import PoolManager
from urllib3.util import make_headers

from answering import answers
from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

ENDPOINT = "registry.test:5000"
PORT = 22510
BODY = """
[registry.main]
hosts = [$reg1, $reg2]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
storage = { shared = "/mnt/registry" }
delete = DELETE
users.ci = { password = "generate" }

[registry.main.gateway]
image_archive = "$nginx_tar"
vip = "VIP/24"

[client.build]
hosts = [$client1]
registries = ["main"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
VOLUME = (("images", "/mnt/registry"),)
AWAY = "for where in 'INPUT -i' 'OUTPUT -o'; do iptables HOW $where eth0 -j DROP; done"


@pytest.fixture(scope="module")
def twin(boot_for_module, seeds):
    twin = boot_for_module(
        HostSpec("reg1", volumes=VOLUME), HostSpec("reg2", volumes=VOLUME), HostSpec("client1")
    )
    client = twin.hosts["client1"]
    client.copy_in(seeds.busybox, "/root/busybox.tar")
    client.read("docker load -q -i /root/busybox.tar")
    return twin


@pytest.fixture(scope="module")
def keepalived(twin):
    """Whether the package can be had there; without it there is no common address."""
    found = "apt-get -qq update && apt-cache policy keepalived | grep -q 'Candidate: [0-9]'"
    there = all(twin.hosts[name].run(found).returncode == 0 for name in ("reg1", "reg2"))
    where = vip(twin) if there else twin.hosts["reg1"].address
    twin.hosts["client1"].read(f"echo {where} registry.test >>/etc/hosts")
    return there


@pytest.fixture
def needs_vip(keepalived):
    if not keepalived:
        pytest.skip("the package keepalived cannot be had")


def vip(twin):
    return twin.hosts["reg1"].address.rpartition(".")[0] + ".250"


class Common:
    """The common address, as `Absence` takes hosts."""

    def __init__(self, twin):
        self.address = vip(twin)


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, keepalived, regfleet, write_fleet, state):
    def of(command, *more, delete="true", edit=lambda text: text):
        body = BODY if keepalived else BODY.replace('vip = "VIP/24"', "")
        body = body.replace("VIP", vip(twin)).replace("DELETE", delete)
        fleet = write_fleet(twin, edit(body))
        return regfleet(command, fleet, "--state-dir", state, *more)

    return of


@dataclass
class Load:
    """One push after the other, and pulls, by Docker's client, while `with` lasts."""

    host: object
    failed: list = field(default_factory=list)
    pushed: int = 0
    pulled: int = 0
    _stop: bool = False

    def _work(self):
        while not self._stop:
            name = f"{ENDPOINT}/team/load:{self.pushed}"
            push = self.host.run(
                "cd /root/load && head -c 200000 /dev/urandom >part && "
                f"docker build -q -t {name} . >/dev/null && docker push {name} 2>&1"
            )
            self.pushed += 1
            if push.returncode:
                self.failed.append(push.stdout)
                continue
            for _ in range(3):
                pull = self.host.run(f"docker rmi -f {name} >/dev/null; docker pull {name} 2>&1")
                self.pulled += 1
                if pull.returncode:
                    self.failed.append(pull.stdout)
            self.host.run(f"docker rmi -f {name}")

    def __enter__(self):
        self.host.read(
            "mkdir -p /root/load; printf 'FROM scratch\\nCOPY part /part\\n' >/root/load/Dockerfile"
        )
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop = True
        self._thread.join()


def applied(run, *more, **how):
    done = run("apply", "--yes", "--json", *more, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def holder(twin, address="", but=""):
    """The one host that has the address, once they have agreed; not the one that is named."""
    for _ in range(60):
        found = [
            name
            for name in ("reg1", "reg2")
            if f" {address or vip(twin)}/" in twin.hosts[name].read("ip -o addr show dev eth0")
        ]
        if len(found) == 1 and found != [but]:
            return found[0]
        time.sleep(0.25)
    raise AssertionError(found)


def push(twin, tag):
    name = f"registry.test:5000/team/app:{tag}"
    return twin.hosts["client1"].run(
        f"docker tag busybox {name}; docker push {name} 2>&1 && docker rmi {name} && "
        f"docker pull {name} 2>&1"
    )


def test_clients_reach_the_registry_there(twin, run):
    found = applied(run)
    assert set(found["hosts"]["client1"]["smoke"].values()) == {"passed"}
    for name in ("reg1", "reg2"):
        names = twin.hosts[name].read("docker ps --format '{{.Names}}'").split()
        assert sorted(names) == ["regfleet-main", "regfleet-main.gateway", "regfleet-main.users"]
    assert "nothing to do on 3 hosts" in run("apply", "--yes").stdout


@pytest.mark.usefixtures("needs_vip")
def test_one_of_them_has_the_address(twin):
    assert holder(twin) in ("reg1", "reg2")
    # The distribution's own service is not used, and the scripts are root's.
    for name in ("reg1", "reg2"):
        host = twin.hosts[name]
        assert host.run("systemctl is-active keepalived").returncode != 0
        assert host.run("systemctl is-enabled keepalived").returncode != 0
        assert host.read("stat -c '%a %u' /etc/regfleet/main.vip") == "700 0"


def test_an_instance_lets_in_nobody_without_a_token(twin, state):
    password = (state / "passwords" / "main" / "ci").read_text().strip()
    pool = PoolManager(cert_reqs="CERT_NONE", timeout=10, retries=False)
    url = f"https://{twin.hosts['reg2'].address}:{PORT}/v2/_catalog"
    assert pool.request("GET", url).status == 401
    assert pool.request("GET", url, headers=make_headers(basic_auth=f"ci:{password}")).status == 401
    # It speaks TLS alone; its key is root's, and so is that of tokens, which no instance reads.
    assert pool.request("GET", url.replace("https", "http")).status == 400
    host = twin.hosts["reg2"]
    assert host.read("stat -c '%a %u' /etc/regfleet/main/instance.key") == "600 0"
    assert host.read("grep -l PRIVATE /etc/regfleet/main/*") == "/etc/regfleet/main/instance.key"


def test_no_request_is_lost_while_one_is_dead(twin, run, state):
    del run, state
    reg1, reg2 = twin.hosts["reg1"], twin.hosts["reg2"]
    with Load(twin.hosts["client1"]) as load:
        for host in (reg1, reg2, reg1):
            host.read("docker kill regfleet-main")
            host.read(f"sleep 3; docker start regfleet-main; {answers(PORT)}; sleep 1")
        # A network that drops what is sent to the other host.
        reg2.read(f"iptables -I INPUT -p tcp --dport {PORT} -j DROP")
        reg2.read(f"sleep 6; iptables -D INPUT -p tcp --dport {PORT} -j DROP")
    assert load.failed == []
    assert load.pulled > 5


def test_a_change_disturbs_nobody(twin, run):
    with Load(twin.hosts["client1"]) as load:
        found = applied(run, "--no-smoke", delete="false")
    assert load.failed == []
    assert {found["hosts"][name]["status"] for name in ("reg1", "reg2")} == {"changed"}
    log = twin.hosts["reg1"].read("docker logs regfleet-main.gateway 2>&1 | tail -n 50")
    assert not re.search("emerg|no live upstreams", log)


@pytest.mark.usefixtures("needs_vip")
def test_it_moves_when_a_host_vanishes(twin, proven):
    first = holder(twin)
    host = twin.hosts[first]
    with Absence(Common(twin), 5000) as absence:
        time.sleep(1)
        host.read(AWAY.replace("HOW", "-I"))
        other = next(each for each in ("reg1", "reg2") if each != first)
        for _ in range(120):
            if f" {vip(twin)}/" in twin.hosts[other].read("ip -o addr show dev eth0"):
                break
            time.sleep(0.5)
        found = push(twin, "away")
    try:
        assert found.returncode == 0, found.stdout
        assert vip(twin) in twin.hosts[other].read("ip -o addr show dev eth0")
    finally:
        host.read(AWAY.replace("HOW", "-D"))
    proven("vip", "keepalived", "bookworm", f"away {absence.longest:.1f} s when a host vanished")
    assert holder(twin)
    assert push(twin, "back").returncode == 0


@pytest.mark.usefixtures("needs_vip")
def test_it_moves_when_nginx_does_not_run(twin):
    first = holder(twin)
    twin.hosts[first].read("docker stop regfleet-main.gateway")
    try:
        assert holder(twin, but=first)
        found = push(twin, "without")
        assert found.returncode == 0, found.stdout
    finally:
        twin.hosts[first].read("docker start regfleet-main.gateway")


@pytest.mark.usefixtures("needs_vip")
def test_it_is_passed_on_before_nginx_is_replaced(twin, run, proven):
    """By another name of the same image, which both hosts have."""
    for name in ("reg1", "reg2"):
        image = "{{.Config.Image}}"
        of = f"$(docker inspect -f '{image}' regfleet-main.gateway)"
        twin.hosts[name].read(f"docker tag {of} nginx:next")
    made = started(twin)
    other = lambda text: text.replace('image_archive = "$nginx_tar"', 'image = "nginx:next"')  # noqa: E731
    with Load(twin.hosts["client1"]) as load, Absence(Common(twin), 5000) as absence:
        applied(run, "--no-smoke", edit=other)
    # Nobody is refused. The address moves once a host at most, and one request is under way then.
    assert not [each for each in load.failed if "refused" in each or "timeout" in each]
    assert len(load.failed) <= 2, load.failed
    assert all(made[name] != now for name, now in started(twin).items())
    proven(
        "vip", "keepalived", "bookworm", f"away {absence.longest:.2f} s for a new image of nginx"
    )
    for name in made:
        assert twin.hosts[name].read("cat /run/regfleet-main.vip/drain") == "0"


def started(twin):
    """The gateways' containers."""
    inspect = "docker inspect -f '{{.Id}}' regfleet-main.gateway"
    return {name: twin.hosts[name].read(inspect) for name in ("reg1", "reg2")}


@pytest.mark.usefixtures("needs_vip")
def test_it_stays_where_all_have_failed(twin):
    """Then clients are told why by the gateway; without an address nobody would tell them."""
    for name in ("reg1", "reg2"):
        twin.hosts[name].read("docker stop regfleet-main")
    try:
        time.sleep(6)
        assert holder(twin)
        pool = PoolManager(cert_reqs="CERT_NONE", timeout=10, retries=False)
        answer = pool.request("GET", f"https://{vip(twin)}:5000/v2/team/app/tags/list")
        assert answer.status == 503
        assert b"the registry behind the gateway does not answer" in answer.data
    finally:
        for name in ("reg1", "reg2"):
            twin.hosts[name].read("docker start regfleet-main")


@pytest.mark.usefixtures("needs_vip")
def test_it_is_changed_without_a_restart_and_goes_again(twin, run):
    pids = {name: pid(twin, name) for name in ("reg1", "reg2")}
    other = vip(twin).replace(".250", ".249")
    edit = lambda text: text.replace(vip(twin), other)  # noqa: E731
    applied(run, "--no-smoke", edit=edit)
    assert holder(twin, other)
    assert {name: pid(twin, name) for name in pids} == pids
    none = lambda text: text.replace(f'vip = "{vip(twin)}/24"', "")  # noqa: E731
    applied(run, "--no-smoke", edit=none)
    for name in pids:
        host = twin.hosts[name]
        assert other not in host.read("ip -o addr show dev eth0")
        assert host.run("systemctl status regfleet-main.vip").returncode != 0
        assert host.read("ls -d /etc/regfleet/main.vip 2>/dev/null || :") == ""


def pid(twin, name):
    return twin.hosts[name].read("systemctl show -p MainPID --value regfleet-main.vip")


def test_nothing_is_left(twin, run):
    applied(run)
    done = run("destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("reg1", "reg2"):
        host = twin.hosts[name]
        assert host.read("docker ps -aq; ls -d /etc/regfleet /run/regfleet-main.vip || :") == ""
        assert vip(twin) not in host.read("ip -o addr show dev eth0")
