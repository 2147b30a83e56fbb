"""One registry on two hosts behind gateways that balance over both: registry 2.8, Docker 20.10.

Clients use the gateway of the first host. What dies, or is changed, is one instance or the other.
"""

import json
import re
import threading
from dataclasses import dataclass, field

import pytest
from urllib3 import PoolManager
from urllib3.util import make_headers

from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

ENDPOINT = "registry.test:5000"
BODY = """
[registry.main]
hosts = [$reg1, $reg2]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
storage = { shared = "/mnt/registry" }
delete = DELETE
users.ci = { password = "generate" }
users.other = { password = "generate" }
gateway = { image_archive = "$nginx_tar" }

[client.build]
hosts = [$client1]
registries = ["main"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
VOLUME = (("images", "/mnt/registry"),)
PORT = 22510


@pytest.fixture(scope="module")
def twin(boot_for_module, seeds):
    twin = boot_for_module(
        HostSpec("reg1", aliases=("registry.test",), volumes=VOLUME),
        HostSpec("reg2", volumes=VOLUME),
        HostSpec("client1"),
    )
    twin.hosts["client1"].copy_in(seeds.busybox, "/root/busybox.tar")
    twin.hosts["client1"].read("docker load -q -i /root/busybox.tar")
    return twin


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, regfleet, write_fleet, state):
    def of(command, *more, delete="true"):
        fleet = write_fleet(twin, BODY.replace("DELETE", delete))
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


def applied(run, **how):
    done = run("apply", "--yes", "--json", **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_both_hosts_get_all_three(twin, run):
    found = applied(run)
    assert set(found["hosts"]["client1"]["smoke"].values()) == {"passed"}
    for name in ("reg1", "reg2"):
        names = twin.hosts[name].read("docker ps --format '{{.Names}}'").split()
        assert sorted(names) == ["regfleet-main", "regfleet-main.gateway", "regfleet-main.users"]
    assert "nothing to do on 3 hosts" in run("apply", "--yes").stdout


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
            host.read("sleep 3; docker start regfleet-main; sleep 2")
        # A network that drops what is sent to the other host.
        reg2.read(f"iptables -I INPUT -p tcp --dport {PORT} -j DROP")
        reg2.read(f"sleep 6; iptables -D INPUT -p tcp --dport {PORT} -j DROP")
    assert load.failed == []
    assert load.pulled > 10


def test_a_change_disturbs_nobody(twin, run):
    with Load(twin.hosts["client1"]) as load:
        found = applied(run, delete="false")
    assert load.failed == []
    assert {found["hosts"][name]["status"] for name in ("reg1", "reg2")} == {"changed"}
    log = twin.hosts["reg1"].read("docker logs regfleet-main.gateway 2>&1 | tail -n 50")
    assert not re.search("emerg|no live upstreams", log)


def test_nothing_is_left(twin, run):
    done = run("destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("reg1", "reg2"):
        assert twin.hosts[name].read("docker ps -aq; ls -d /etc/regfleet || :") == ""
