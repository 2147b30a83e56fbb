"""A registry is killed on its way behind a gateway, on its way back, and while roles are taken up.

A boundary of every twelfth name, all of them in the soak. No boundary is named here.
"""

import pytest
from driver import Driver, kill_at
from urllib3 import PoolManager
from urllib3.util import make_headers

from regfleet.jobs.recovery import Recovery
from regfleet.rehearse.twin import HostSpec
from workers import SOAK

pytestmark = pytest.mark.long

HOST = "reg1"
BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
RUNTIME
storage = "/srv/images"
tls = { source = "none" }
allow_plaintext_passwords = true
ADMINS

[registry.main.users]
root = { password = "generate" }
bob = { password = "generate" }
"""
PROJECTS = """
GATEWAY
[registry.main.projects.team]
members = { MEMBERS }
"""
MEMBERS = {"none": "", "guest": 'bob = "guest"', "member": 'bob = "developer"'}
NAMES = {
    "users": ["regfleet-main"],
    **{key: ["regfleet-main", "regfleet-main.gateway", "regfleet-main.users"] for key in MEMBERS},
}
# From one state to another, and back.
CHANGES = {"gets and loses its gateway": ("users", "guest"), "a role": ("guest", "member")}
ARCHIVE = 'image_archive = "$registry_tar"'
RUNTIMES = {
    "container": ARCHIVE,
    "compose": f'runtime = "compose"\n{ARCHIVE}',
    "package": 'runtime = "package"',
}
FRONT = '[registry.main.gateway]\nimage_archive = "$nginx_tar"'


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(HostSpec(HOST, aliases=("registry.test",)))


@pytest.fixture
def drivers(twin, write_fleet):
    """By state: each brings the registry to it, from any."""
    return {state: made(twin, write_fleet, state) for state in ("users", *MEMBERS)}


def made(twin, write_fleet, state, runtime="container"):
    body = BODY.replace("ADMINS", "" if state == "users" else 'admins = ["root"]')
    if state != "users":
        body += PROJECTS.replace("MEMBERS", MEMBERS[state])
    body = body.replace("RUNTIME", RUNTIMES[runtime])
    body = body.replace("GATEWAY", "" if runtime == "package" else FRONT)
    return Driver(write_fleet(twin, body, name=f"{state}-{runtime}.toml"), twin)


@pytest.fixture
def by_runtime(twin, write_fleet):
    return {runtime: made(twin, write_fleet, "guest", runtime) for runtime in RUNTIMES}


def state_of(host, driver):
    """What bob may do tells the state; the image that was pushed is there in each."""
    pool = PoolManager(timeout=10, retries=False)

    def ask(method, path, user):
        word = driver.materials.registries["main"].passwords[user].reveal()
        headers = make_headers(basic_auth=f"{user}:{word}")
        return pool.request(method, f"http://{host.address}:5000{path}", headers=headers)

    assert ask("GET", "/v2/team/app/tags/list", "root").json()["tags"] == ["1"]
    if ask("GET", "/v2/_catalog", "bob").status == 200:
        return "users"
    if ask("POST", "/v2/team/app/blobs/uploads/", "bob").status == 202:
        return "member"
    return "guest" if ask("GET", "/v2/team/app/tags/list", "bob").status == 200 else "none"


def containers(host):
    return sorted(host.read("docker ps -a --format '{{.Names}}'").split())


def with_an_image(host, driver, seeds):
    host.copy_in(seeds.busybox, "/root/busybox.tar")
    word = driver.materials.registries["main"].passwords["root"].reveal()
    host.run("docker login -u root --password-stdin 127.0.0.1:5000", stdin=word)
    host.read(
        "docker load -q -i /root/busybox.tar; docker tag busybox 127.0.0.1:5000/team/app:1;"
        "docker push -q 127.0.0.1:5000/team/app:1; docker rmi busybox 127.0.0.1:5000/team/app:1"
    )


def chosen(boundaries):
    """The last boundary of a name: before it as much as may be has happened."""
    last = list({step: (number, step) for number, step in boundaries}.values())
    return boundaries if SOAK else last[1::12]


@pytest.mark.parametrize("change", CHANGES)
def test_a_kill_leaves_a_registry_with_its_roles_or_without(twin, drivers, seeds, tally, change):
    host, states = twin.hosts[HOST], CHANGES[change]
    drivers[states[0]].apply(HOST)
    with_an_image(host, drivers[states[0]], seeds)
    tried = survived = 0
    for before, after in (states, states[::-1]):
        driver = drivers[after]
        boundaries, ended = driver.boundaries(HOST)
        assert ended.result == "changed", ended
        assert state_of(host, driver) == after
        for number, step in chosen(boundaries):
            where = f"{before} to {after}: killed at {number}, {step}"
            drivers[before].apply(HOST)
            assert state_of(host, driver) == before, where
            tried += 1
            assert driver.touch_with(HOST, kill_at(number)).cut, where
            ended = driver.do(HOST, Recovery()).outcome
            assert ended.result in {"changed", "unchanged", "rolled-back"}, (where, ended)
            found = state_of(host, driver)
            assert found in states, where
            assert containers(host) == NAMES[found], where
            driver.apply(HOST)
            assert driver.plan(HOST).empty, where
            assert state_of(host, driver) == after, where
            assert containers(host) == NAMES[after], where
            survived += 1
    tally(f"touch killed while a registry's gateway changes: {change}", tried, survived)


def test_a_kill_while_it_is_taken_out(twin, drivers, tally):
    host, driver = twin.hosts[HOST], drivers["guest"]
    driver.destroy(HOST)
    driver.apply(HOST)
    boundaries, ended = driver.boundaries(HOST, gone=True)
    assert ended.result == "changed", ended
    points = chosen(boundaries)
    for number, step in points:
        where = f"killed at {number}, {step} of destroy"
        driver.apply(HOST)
        assert driver.touch_with(HOST, kill_at(number), gone=True).cut, where
        driver.destroy(HOST)
        assert containers(host) == [], where
        left = "docker images -q; docker volume ls -q; ls -d /etc/regfleet /var/lib/regfleet || :"
        assert host.read(left) == "", where
    tally("touch of a gateway killed while it is taken out", len(points), len(points))


@pytest.mark.soak
@pytest.mark.parametrize("runtime", ["compose", "package"])
def test_a_kill_while_the_runtime_of_the_three_changes(twin, by_runtime, seeds, tally, runtime):
    """From containers and back: roles hold, whichever of the two serves."""
    host = twin.hosts[HOST]
    each = by_runtime
    each["container"].apply(HOST)
    with_an_image(host, each["container"], seeds)
    tried = 0
    for before, after in (("container", runtime), (runtime, "container")):
        boundaries, ended = each[after].boundaries(HOST)
        assert ended.result == "changed", ended
        for number, step in chosen(boundaries):
            where = f"{before} to {after}: killed at {number}, {step}"
            each[before].apply(HOST)
            assert state_of(host, each[before]) == "guest", where
            tried += 1
            # A package is installed once: then there is a boundary less.
            ended = each[after].touch_with(HOST, kill_at(number))
            assert ended.cut or ended.result == "changed", (where, ended)
            each[after].do(HOST, Recovery())
            assert state_of(host, each[after]) == "guest", where
            each[after].apply(HOST)
            assert each[after].plan(HOST).empty, where
            assert state_of(host, each[after]) == "guest", where
            assert containers(host) == ([] if after == "package" else NAMES["guest"]), where
    each["container"].destroy(HOST)
    left = "pgrep nginx; pgrep docker-registry; ls -d /etc/regfleet /var/lib/regfleet"
    assert host.run(f"docker ps -aq; {left}").stdout == ""
    tally(f"touch of a gateway killed on its way to {runtime} and back", tried, tried)
