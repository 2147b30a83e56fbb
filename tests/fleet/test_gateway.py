"""A registry behind a gateway on real hosts: registry 2.8 and Docker 20.10 on bookworm.

A registry with users alone gets projects, keeps what it has, and loses them again. Docker's own
client says what a role may not do.
"""

import json
import re
import threading
import time
from contextlib import suppress

import pytest
from absence import Absence
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError
from urllib3.util import make_headers

from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

ENDPOINT = "registry.test:5000"
NAMES = ("regfleet-main.users", "regfleet-main", "regfleet-main.gateway")
HEAD = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
storage = "/srv/images"
ADMINS

[registry.main.users]
root = { password = "generate" }
alice = { password = "generate" }
bob = { password = "generate" }
carol = { password = "generate" }
ci = { password = "generate" }
"""
PROJECTS = """
[registry.main.gateway]
image_archive = "$nginx_tar"

[registry.main.projects.team-a]
members = { alice = "developer", bob = "guest", carol = "admin" }

[registry.main.projects.team-b]
members = { alice = "guest" }

[registry.main.projects.open]
public = true
members = { alice = "developer" }

[registry.main.projects.regfleet-smoke]
members = { ci = "admin" }
"""
TAIL = """
[client.build]
hosts = [$client1]
registries = ["main"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""


@pytest.fixture(scope="module")
def twin(boot_for_module, seeds):
    twin = boot_for_module(HostSpec("reg1", aliases=("registry.test",)), HostSpec("client1"))
    client = twin.hosts["client1"]
    client.copy_in(seeds.busybox, "/root/busybox.tar")
    client.read("docker load -q -i /root/busybox.tar")
    return twin


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, write_fleet, state, regfleet):
    def run(command, *options, projects=True, edit=lambda text: text):
        head = HEAD.replace("ADMINS", 'admins = ["root"]' if projects else "")
        fleet = write_fleet(twin, edit(head + (PROJECTS if projects else "") + TAIL))
        return regfleet(command, fleet, "--state-dir", state, *options)

    return run


@pytest.fixture
def docker(twin, state):
    """`docker("alice", "push APP/team-a/app:1", expect=0)`: what Docker's client of a user says."""
    client = twin.hosts["client1"]

    def call(user, words, expect=0):
        command = f"docker --config /root/of-{user} {words} 2>&1"
        if user != "nobody" and client.run(f"test -e /root/of-{user}/config.json").returncode:
            login(user)
        done = client.run(command.replace("APP", f"{ENDPOINT}"))
        assert done.returncode == expect, done.stdout
        return done.stdout

    def login(user):
        password = (state / "passwords" / "main" / user).read_text().strip()
        client.run(
            f"docker --config /root/of-{user} login -u {user} --password-stdin {ENDPOINT}",
            stdin=password,
        )

    return call


def password(state, user):
    return (state / "passwords" / "main" / user).read_text().strip()


def ask(twin, path, user=None, password=None):
    """Status and body of a request from this machine, with Basic as curl sends it."""
    pool = PoolManager(cert_reqs="CERT_NONE", timeout=10, retries=False)
    headers = make_headers(basic_auth=f"{user}:{password}") if user else {}
    url = f"https://{twin.hosts['reg1'].address}:5000{path}"
    answer = pool.request("GET", url, headers={**headers, "Host": ENDPOINT})
    return answer.status, answer.data.decode()


def planned(run, host="reg1", **how):
    done = run("plan", "--json", **how)
    assert done.returncode == 0, done.stderr
    changes = json.loads(done.stdout)["hosts"][host]["changes"]
    return [f"{change['action']} {change['resource']}" for change in changes]


def applied(run, **how):
    done = run("apply", "--yes", "--json", **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def containers(twin):
    return twin.hosts["reg1"].read("docker ps -q --no-trunc | sort")


def test_a_registry_with_users_alone_is_as_ever(twin, run, docker):
    applied(run, projects=False)
    assert twin.hosts["reg1"].read("docker ps --format '{{.Names}}'") == "regfleet-main"
    docker("bob", "tag busybox APP/team-a/old:1")
    docker("bob", "push APP/team-a/old:1")


def test_it_keeps_its_users_when_projects_cannot_be_had(twin, run, docker):
    """An image without nginx: what was there is there again, and nothing is left of the other."""
    host = twin.hosts["reg1"]
    before = host.read("sha256sum /etc/regfleet/main/*; ls /etc/regfleet")

    def broken(text):
        archive = 'image = "busybox:latest"\nimage_archive = "$busybox_tar"'
        return text.replace('image_archive = "$nginx_tar"', archive)

    done = run("apply", "--yes", "--json", edit=broken)
    assert done.returncode == 1
    found = json.loads(done.stdout)["hosts"]["reg1"]
    assert found["status"] == "rolled-back", found
    assert "regfleet-main.gateway cannot be run" in found["error"]
    assert host.read("docker ps --format '{{.Names}}'") == "regfleet-main"
    assert host.read("docker ps -aq | wc -l") == "1"
    assert host.read("sha256sum /etc/regfleet/main/*; ls /etc/regfleet") == before
    assert planned(run, projects=False) == []
    docker("bob", "push APP/team-a/old:1")


def test_it_stays_as_it_was_when_a_client_cannot_work_with_its_gateway(twin, run, docker):
    """The gateway itself works; a client that sends its requests elsewhere fails its smoke test."""
    host, client = twin.hosts["reg1"], twin.hosts["client1"]
    client.read("cp /etc/hosts /root/hosts; echo 127.0.0.9 registry.test >/etc/hosts")
    done = run("apply", "--yes", "--json")
    client.read("cat /root/hosts >/etc/hosts")
    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads(done.stdout)["hosts"]["reg1"]
    assert found["status"] == "rolled-back", found
    assert "the smoke test of main failed" in found["error"]
    assert "on client1" in found["error"]
    assert host.read("docker ps -a --format '{{.Names}}'") == "regfleet-main"
    assert host.read("ls /etc/regfleet") == "main"
    assert planned(run, projects=False) == []
    # dockerd reads /etc/hosts anew after five seconds (Go, src/net/hosts.go, cacheMaxAge).
    client.read("sleep 6")
    docker("bob", "push APP/team-a/old:1")


def test_it_gets_projects_and_is_hardly_away(twin, run, docker, proven):
    done = run("plan")
    assert "its registry is away for about 3 s" in done.stdout
    with Absence(twin.hosts["reg1"], 5000) as absence:
        found = applied(run)
    assert set(found["hosts"]["client1"]["smoke"].values()) == {"passed"}
    names = twin.hosts["reg1"].read("docker ps --format '{{.Names}}'").split()
    assert sorted(names) == sorted(NAMES)
    # Endpoint, logins and images are those of before.
    assert "Image is up to date" in docker("bob", "pull APP/team-a/old:1")
    version = twin.hosts["client1"].read("docker version -f '{{.Server.Version}}'")
    proven("gateway", version, "bookworm", f"away {absence.longest:.1f} s when it came")


def test_a_second_run_finds_nothing(twin, run, counted):
    with counted(twin) as counts:
        done = run("apply", "--yes")
    assert "nothing to do on 2 hosts" in done.stdout, done.stdout + done.stderr
    assert counts == dict.fromkeys(twin.hosts, 1)


def test_the_containers_are_confined(twin):
    host = twin.hosts["reg1"]
    for name in NAMES:
        found = json.loads(host.read(f"docker inspect {name}"))[0]
        settings = found["HostConfig"]
        assert settings["CapDrop"] == ["ALL"]
        wanted = ["CHOWN", "SETGID", "SETUID"] if name.endswith("gateway") else None
        assert [each.removeprefix("CAP_") for each in settings["CapAdd"] or ()] == (wanted or [])
        assert settings["ReadonlyRootfs"] is True
        assert settings["SecurityOpt"] == ["no-new-privileges"]
        assert settings["RestartPolicy"]["Name"] == "always"
        assert [each["Type"] for each in found["Mounts"]] == ["bind"] * len(found["Mounts"])
    # Only the gateway is to be reached from elsewhere; its workers are nobody's.
    listening = host.read("ss -Hltn | awk '{ print $4 }' | grep -e :225 -e :5000 | sort").split()
    assert listening == [*(f"127.82.19.136:2250{number}" for number in range(3)), "*:5000"] or (
        set(listening)
        == {"0.0.0.0:5000", "[::]:5000", *(f"127.82.19.136:2250{n}" for n in range(3))}
    )
    owners = host.read(
        "ps -eo user:20,args | grep '[n]ginx: worker' | awk '{ print $1 }' | sort -u"
    )
    assert owners == host.read("id -un 101 2>/dev/null || echo 101")
    # The key of tokens and that of TLS are root's alone, and in no other container.
    assert host.read("stat -c '%a %u' /etc/regfleet/main.gateway/policy.js") == "600 0"
    assert host.read("stat -c '%a %u' /etc/regfleet/main.gateway") == "700 0"
    assert host.read("grep -l -r -e 'PRIVATE KEY' /etc/regfleet/main || :") == ""


def test_what_docker_says(twin, docker):
    client = twin.hosts["client1"]
    client.read(
        f"docker tag busybox {ENDPOINT}/team-a/app:1; docker tag busybox {ENDPOINT}/open/app:1"
    )
    docker("alice", "push APP/team-a/app:1")
    docker("alice", "push APP/open/app:1")
    docker("bob", "pull APP/team-a/app:1")
    assert "denied: bob may only pull in team-a/app" in docker("bob", "push APP/team-a/app:1", 1)
    client.read(f"docker tag busybox {ENDPOINT}/team-b/app:1")
    assert "denied: bob has no rights in team-b/app" in docker("bob", "push APP/team-b/app:1", 1)
    assert "bob has no rights in team-b/app" in docker("bob", "pull APP/team-b/app:1", 1)
    docker("nobody", "pull APP/open/app:1")
    assert "docker login" in docker("nobody", "pull APP/team-a/app:1", 1)
    done = client.run(
        f"docker --config /root/of-wrong login -u bob --password-stdin {ENDPOINT} 2>&1", stdin="no"
    )
    assert done.returncode == 1
    assert "incorrect username or password" in done.stdout
    # A build pulls its base and pushes what it makes.
    client.run(
        "mkdir -p /root/build; cat >/root/build/Dockerfile",
        stdin=(f"FROM {ENDPOINT}/team-a/app:1\nRUN echo made >/made\n"),
    )
    client.read(f"docker rmi {ENDPOINT}/team-a/app:1")
    docker("alice", "build -q -t APP/team-a/built:1 /root/build")
    docker("alice", "push APP/team-a/built:1")


def test_what_basic_gets(twin, state):
    def get(path, user=None, word=None):
        return ask(twin, path, user, word or (user and password(state, user)))

    assert get("/v2/_catalog", "root")[0] == 200
    status, body = get("/v2/_catalog", "carol")
    assert (status, "carol may not list all repositories" in body) == (403, True)
    assert get("/v2/open/app/tags/list")[0] == 200
    assert get("/v2/team-a/app/tags/list")[0] == 401
    assert get("/v2/team-a/app/tags/list", "bob")[0] == 200
    for path in ("/v2/", "/v2/open/app/tags/list", "/v2/_catalog", "/auth/token"):
        assert get(path, "bob", "wrong")[0] == 401


class Busy:
    """Requests without end from this machine while `with` lasts; `failures` were no success."""

    def __init__(self, twin):
        self.twin, self.failures, self.count, self._stop = twin, [], 0, False

    def _ask(self):
        while not self._stop:
            self.count += 1
            found = "nothing"
            with suppress(HTTPError):
                found = ask(self.twin, "/v2/open/app/tags/list")
            if found[0] != 200:
                self.failures.append(found)

    def __enter__(self):
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop = True
        for thread in self._threads:
            thread.join()


def test_a_role_is_changed_without_a_restart(twin, run, docker):
    before = containers(twin)
    developer = lambda text: text.replace('bob = "guest"', 'bob = "developer"')  # noqa: E731
    assert planned(run, edit=developer) == [
        "update file /etc/regfleet/main/roles.json",
        "update file /etc/regfleet/main.gateway/policy.js",
        "update container regfleet-main.gateway",
    ]
    assert (
        "regfleet-main.gateway is reloaded on reg1: no request is lost"
        in run("plan", edit=developer).stdout
    )
    without = lambda text: text.replace('bob = "guest", ', "")  # noqa: E731
    with Busy(twin) as busy:
        applied(run, edit=developer)
        docker("bob", "push APP/team-a/app:1")
        applied(run, edit=without)
        assert "bob has no rights in team-a/app" in docker("bob", "push APP/team-a/app:1", 1)
        done = run("rollback", "--yes", edit=without)
        assert done.returncode == 0, done.stdout + done.stderr
        docker("bob", "push APP/team-a/app:1")
        applied(run)
        assert "bob may only pull in team-a/app" in docker("bob", "push APP/team-a/app:1", 1)
    assert containers(twin) == before
    assert busy.failures == []
    assert busy.count > 20


@pytest.fixture
def rotate(twin, write_fleet, state, regfleet):
    text = HEAD.replace("ADMINS", 'admins = ["root"]') + PROJECTS + TAIL
    words = (write_fleet(twin, text, name="rotated.toml"), "--yes", "--state-dir", state)
    return lambda: regfleet("rotate", "tokens", *words)


def test_keys_of_tokens_follow_one_another_without_a_failed_pull(twin, run, docker, rotate, state):
    bundle = "grep -c BEGIN /etc/regfleet/main/tokens.crt"
    key = state / "registry" / "main.token-key"
    before = key.read_text()
    with Busy(twin) as busy:
        done = rotate()
        assert done.returncode == 0, done.stdout + done.stderr
        assert "run this again after" in done.stdout
        assert twin.hosts["reg1"].read(bundle) == "2"
        docker("bob", "pull APP/team-a/app:1")
        assert "run this again after" in rotate().stdout
        switched = state / "registry" / "main.token-switched"
        switched.write_text(str(int(switched.read_text()) - 600))
        done = rotate()
        assert done.returncode == 0, done.stdout + done.stderr
        assert "accepted no more" in done.stdout
        docker("bob", "pull APP/team-a/app:1")
    assert busy.failures == []
    assert twin.hosts["reg1"].read(bundle) == "1"
    assert key.read_text() != before
    assert planned(run) == []


def test_what_was_changed_by_hand_is_put_back(twin, run, docker):
    host = twin.hosts["reg1"]
    path = "/etc/regfleet/main.gateway/policy.js"
    host.read(f"sed -i 's/guest/admin/g' {path}; docker kill -s HUP regfleet-main.gateway")
    done = run("plan")
    assert re.search(r"policy\.js.*\[drift\]", done.stdout), done.stdout
    applied(run)
    assert "bob may only pull in team-a/app" in docker("bob", "push APP/team-a/app:1", 1)
    assert planned(run) == []
    host.read("docker stop regfleet-main.gateway; docker rm -f regfleet-main.users")
    assert planned(run) == [
        "create container regfleet-main.users",
        "run container regfleet-main.gateway",
    ]
    applied(run)
    assert planned(run) == []


def test_nginx_that_is_killed_comes_back(twin, docker):
    host = twin.hosts["reg1"]
    host.read("kill -9 $(docker inspect -f '{{.State.Pid}}' regfleet-main.gateway)")
    for _ in range(240):
        with suppress(HTTPError):
            if ask(twin, "/v2/open/app/tags/list")[0] == 200:
                break
        time.sleep(0.25)
    docker("bob", "pull APP/team-a/app:1")


@pytest.mark.soak
def test_compose_runs_the_three(twin, run, docker, proven):
    host = twin.hosts["reg1"]
    if host.run("apt-get -qq update && apt-get -qq -s install docker-compose").returncode:
        pytest.skip("no package sources: docker-compose cannot be installed")
    compose = lambda text: text.replace("storage =", 'runtime = "compose"\nstorage =')  # noqa: E731
    applied(run, edit=compose)
    projects = host.read(
        "docker ps --format '{{.Names}} {{.Label \"com.docker.compose.project\"}}' | sort"
    )
    assert projects.splitlines() == [
        "regfleet-main regfleet-main",
        "regfleet-main.gateway regfleet_main_gateway",
        "regfleet-main.users regfleet_main_users",
    ]
    docker("bob", "pull APP/team-a/app:1")
    assert "bob may only pull in team-a/app" in docker("bob", "push APP/team-a/app:1", 1)
    assert planned(run, edit=compose) == []
    before = containers(twin)
    without = lambda text: compose(text).replace('bob = "guest", ', "")  # noqa: E731
    applied(run, edit=without)
    assert "bob has no rights in team-a/app" in docker("bob", "push APP/team-a/app:1", 1)
    host.read("cd / && docker-compose -f /etc/regfleet/main.gateway/compose.yaml up -d 2>&1")
    assert containers(twin) == before
    assert "wrong login" in run("status", edit=without).stdout
    proven("gateway", host.read("docker-compose version --short"), "bookworm", "runtime compose")
    applied(run)
    assert planned(run) == []
    assert "bob may only pull in team-a/app" in docker("bob", "push APP/team-a/app:1", 1)
    assert host.read("ls /etc/regfleet").split() == ["main", "main.gateway"]


def test_it_loses_its_projects_and_is_hardly_away(twin, run, docker, proven):
    done = run("plan", projects=False)
    assert "its registry is gone" not in done.stdout
    with Absence(twin.hosts["reg1"], 5000) as absence:
        applied(run, projects=False)
    version = twin.hosts["client1"].read("docker version -f '{{.Server.Version}}'")
    proven("gateway", version, "bookworm", f"away {absence.longest:.1f} s when it went")
    assert twin.hosts["reg1"].read("docker ps -a --format '{{.Names}}'") == "regfleet-main"
    assert twin.hosts["reg1"].read("ls /etc/regfleet") == "main"
    docker("bob", "push APP/team-a/app:1")
    assert planned(run, projects=False) == []


def test_nothing_is_left_of_it(twin, run):
    applied(run)
    done = run("destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    host = twin.hosts["reg1"]
    assert host.read("docker ps -aq; docker images -q") == ""
    assert host.read("ls -d /etc/regfleet /var/lib/regfleet 2>/dev/null || :") == ""
    assert host.read("docker volume ls -q") == ""
    assert host.read("ls /srv/images") == "docker"
