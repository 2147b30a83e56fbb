"""Podman on real hosts, old and new: installed, trusting, logged in, proven, taken out again."""

import json

import pytest

from regfleet.rehearse.twin import HostSpec
from regfleet.replication import engine

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
ci = { password = "generate" }

[registry.plain]
hosts = [$reg1]
endpoint = "registry.test:5001"
image_archive = "$registry_tar"
storage = "/srv/plain"
tls = { source = "none" }

[client.laptops]
hosts = [$pod1, $pod2, $reg1]
engine = "podman"
registries = ["main", "plain"]
mirrors = ["plain"]
login = { main = { user = "ci", for = ["root", "ops"] } }

[smoke]
image_archive = "$busybox_tar"
"""
STEPS = ("present", "push", "remove", "pull", "digest", "run", "delete")
CLIENTS = ("pod1", "pod2", "reg1")
ELSEWHERE = """
CONTAINER_HOST=tcp://192.0.2.1:2375
CONTAINER_CONNECTION=other
CONTAINERS_CONF=/root/elsewhere.conf
REGISTRY_AUTH_FILE=/root/nowhere.json
HTTPS_PROXY=http://192.0.2.1:9
"""
ETC, ROOTS = (f"{top}/containers/registries.conf.d" for top in ("/etc", "/root/.config"))
PLACES = "/etc/containers /root/.config /home/ops/.config"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    """`pod1` and `pod2` come without any engine; `reg1` gets Podman beside its Docker.

    On `pod1` and `pod2` everything says that another machine's Podman is to be used.
    """
    twin = boot_for_module(
        HostSpec("reg1", aliases=("registry.test",)),
        HostSpec("pod1", variant="bare"),
        HostSpec("pod2", "trixie", "bare"),
    )
    for name in ("pod1", "pod2"):
        twin.hosts[name].run("cat >>/etc/environment", stdin=ELSEWHERE)
        twin.hosts[name].read("printf '[engine]\\nremote = true\\n' >/root/elsewhere.conf")
    return twin


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """One state directory for all of the file's tests: they are one fleet's days."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def fleet(twin, write_fleet):
    return write_fleet(twin, BODY)


@pytest.fixture
def run(fleet, state, regfleet):
    """`run("apply", "--yes")` on the fleet."""
    return lambda command, *options: regfleet(command, fleet, "--state-dir", state, *options)


def test_it_is_installed_configured_and_proven(twin, run, proven):
    done = run("apply", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    hosts = json.loads(done.stdout)["hosts"]
    for name in CLIENTS:
        changes = [change["resource"] for change in hosts[name]["changes"]]
        assert "package podman" in changes
        assert not [change for change in changes if "daemon.json" in change]
        checks = {f"{registry}/{step}" for registry in ("main", "plain") for step in STEPS}
        assert {check: hosts[name]["smoke"].get(check) for check in checks} == dict.fromkeys(
            checks, "passed"
        )
        assert twin.hosts[name].read("stat -c '%a %U' /home/ops/.config/containers/auth.json") == (
            "600 ops"
        )
        twin.hosts[name].read(": >/etc/environment")  # so that the tests use it as it is
        version = twin.hosts[name].read("podman version --format '{{.Client.Version}}'")
        suite = twin.hosts[name].spec.suite
        proven("podman", version, suite, "TLS, plain, mirror, login")
    assert twin.hosts["pod1"].run("command -v docker").returncode != 0


def test_a_second_run_finds_nothing_and_costs_one_command(twin, run, counted):
    with counted(twin) as counts:
        done = run("apply", "--yes")
    assert "nothing to do on 3 hosts" in done.stdout, done.stdout + done.stderr
    assert counts == dict.fromkeys(CLIENTS, 1)


def test_another_state_directory_is_refused(fleet, regfleet, run, tmp_path):
    empty = tmp_path / "empty"
    done = regfleet("apply", fleet, "--yes", "--state-dir", empty, REGFLEET_NEW_IDENTITY="")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "3 hosts of the fleet test" in " ".join(done.stderr.split())
    assert run("plan").returncode == 0


def test_status_tells_of_podman(run):
    done = run("status", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    hosts = json.loads(done.stdout)["hosts"]
    for name in CLIENTS:
        assert hosts[name]["engine"]["name"] == "podman"
        assert hosts[name]["engine"]["state"] == "up"
        assert hosts[name]["engine"]["version"].startswith(("4.", "5."))


def test_the_mirror_serves_what_it_has(twin):
    """It is asked before Docker Hub, which cannot be reached from here."""
    pod = twin.hosts["pod2"]
    pod.read("podman pull -q registry.test:5001/none 2>&1 | grep -q 'manifest unknown'")
    said = pod.run("podman pull docker.io/library/nothing-there:1").stderr
    assert "registry.test:5001/library/nothing-there" in said


def test_an_account_of_its_own_is_logged_in(twin):
    for name in ("pod1", "pod2"):
        said = twin.hosts[name].read(
            "cd /; su ops -c 'podman login --get-login registry.test:5000' 2>/dev/null || "
            "su ops -c 'podman login --authfile ~/.config/containers/auth.json "
            "--get-login registry.test:5000'"
        )
        assert said == "ci"


def test_what_an_account_holds_is_deployed(twin, run, fleet, state):
    """`keep_deployed`: images in the store of an account that runs containers without root."""
    pod, app = twin.hosts["pod1"], "registry.test:5000/dev/app"
    login = "--authfile .config/containers/auth.json"
    for tag in ("part", *"1234"):
        pod.read(
            f"cd /root; echo {tag} >/tmp/{tag}; tar -C /tmp -c {tag} |"
            f" podman import -q - {app}:{tag} && podman push -q {login} {app}:{tag};"
            f" podman rmi {app}:{tag}"
        )
    pod.read(f"su - ops -c 'podman pull -q {login} {app}:1'")
    # As when its tag is pulled anew while a container runs the earlier image.
    pod.read(f"cd /root; podman pull -q {login} {app}:3; podman untag {app}:3")
    # By its digest, one platform of an image for several, which is lost with that.
    registry = engine.Registry(
        {
            "url": "https://registry.test:5000",
            "connect": f"{twin.hosts['reg1'].address}:5000",
            "ca": (state / "ca.crt").read_text(),
            "user": "ci",
            "password": (state / "passwords/main/ci").read_text().strip(),
        },
        engine.Clock(60),
    )
    part, kind = registry.manifest("dev/app", "part")
    member = {"mediaType": kind, "digest": engine.digest_of(part, "sha256"), "size": len(part)}
    member["platform"] = {"os": "linux", "architecture": "amd64"}
    index = {"schemaVersion": 2, "mediaType": engine.INDEX, "manifests": [member]}
    registry.put_manifest("dev/app", "multi", json.dumps(index).encode(), engine.INDEX)
    tags = "/var/lib/registry/docker/registry/v2/repositories/dev/app/_manifests/tags"
    twin.hosts["reg1"].read(f"touch -d '2 days ago' {tags}/multi/current/link")
    pod.read(f"cd /root; podman pull -q {login} {app}@{member['digest']}")
    rules = (
        '[[registry.main.retention.rules]]\nrepositories = ["dev/*"]\nkeep_last = 1\n'
        "keep_deployed = true\n[registry.main.users]"
    )
    fleet.write_text(fleet.read_text().replace("[registry.main.users]", rules))
    done = run("prune", "--dry-run", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    planned = json.loads(done.stdout)["registries"]["main"]
    assert (planned["kept_for"], planned["tags"]) == (None, 6)
    assert [each["tag"] for each in planned["delete"]] == ["2"]
    pod.read(
        "podman image prune -f; su - ops -c 'podman rmi -a -f';"
        " rm -rf /home/ops/.local/share/containers"
    )


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        (f"{ETC}/90-hand.conf", '[[registry]]\nlocation = "docker.io"\n', "too"),
        (f"{ETC}/90-hand.conf", '[[registry]]\nlocation = "docker.io/"\n', "too"),
        (f"{ETC}/90-hand.conf", "[registries.search]\nregistries = ['a']\n", "older format"),
        (f"{ETC}/90-hand.conf", "[[registry\n", "not TOML"),
        (f"{ROOTS}/0-hand.conf", '[[registry]]\nlocation = "registry.test:5001"\n', "too"),
    ],
)
def test_a_file_that_would_undo_ours_is_refused(twin, run, path, text, said):
    host = twin.hosts["pod1"]
    host.run(f"mkdir -p {ROOTS}; cat >{path}", stdin=text)
    try:
        if ROOTS in path:
            seen = json.loads(host.read("podman info --format '{{json .Registries}}'"))
            assert seen["registry.test:5001"]["Insecure"] is False
        done = run("plan", "--limit", "pod1")
    finally:
        host.read(f"rm {path}; rmdir {ROOTS}")
    assert done.returncode == 1
    assert path in done.stderr + done.stdout
    assert said in done.stderr + done.stdout


def test_roots_own_file_in_place_of_all_others_is_refused(twin, run):
    host, own = twin.hosts["pod1"], "/root/.config/containers/registries.conf"
    assert "registry.test:5001" in host.read("podman info --format json")
    host.run(f"mkdir -p $(dirname {own}); cat >{own}", stdin="short-name-mode = 'enforcing'\n")
    try:
        assert "registry.test:5001" not in host.read("podman info --format json")
        done = run("plan", "--limit", "pod1")
    finally:
        host.read(f"rm {own}")
    assert done.returncode == 1
    assert f"reads {own} alone" in " ".join((done.stderr + done.stdout).split())


def test_an_accounts_own_file_is_told(twin, run):
    host, own = twin.hosts["pod1"], "/home/ops/.config/containers/registries.conf"
    host.read(f'su ops -c "echo \'short-name-mode = \\"enforcing\\"\' >{own}"')
    try:
        assert "registry.test:5001" not in host.read("cd /; su ops -c 'podman info --format json'")
        done = run("plan", "--limit", "pod1")
    finally:
        host.read(f"rm {own}")
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join((done.stderr + done.stdout).split())
    assert "the Podman of ops reads ~ops/.config/containers/registries.conf and nothing" in said


def test_what_its_commands_do_not_show_is_put_back(twin, run, fleet):
    """A script in Podman's place gives it another home, as where homes are on NFS."""
    host, place = twin.hosts["pod1"], "/srv/home/.config/containers"
    host.read("mv /usr/bin/podman /usr/bin/podman.real")
    host.run(
        "cat >/usr/bin/podman; chmod +x /usr/bin/podman",
        stdin='#!/bin/sh\nHOME=/srv/home exec /usr/bin/podman.real "$@"\n',
    )
    host.run(
        f"mkdir -p {place}; cat >{place}/registries.conf", stdin="short-name-mode = 'enforcing'\n"
    )
    before = host.read("cat /etc/containers/registries.conf.d/regfleet-test.conf")
    fleet.write_text(
        fleet.read_text().replace('mirrors = ["plain"]', 'mirrors = ["https://m.test"]')
    )
    try:
        done = run("apply", "--yes", "--limit", "pod1")
    finally:
        host.read("mv /usr/bin/podman.real /usr/bin/podman")
    said = " ".join((done.stderr + done.stdout).split())
    assert done.returncode == 1, said
    assert "`podman info` does not show it" in said
    assert host.read("cat /etc/containers/registries.conf.d/regfleet-test.conf") == before


def test_another_engine_is_not_slipped_under_it(fleet, run):
    fleet.write_text(fleet.read_text().replace('engine = "podman"\n', ""))
    done = run("plan", "--limit", "pod1")
    assert done.returncode == 1
    assert "set the host up for the engine podman" in done.stderr + done.stdout


def test_all_of_it_goes_again(twin, run):
    done = run("destroy", "--yes", "--delete-data")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in CLIENTS:
        left = twin.hosts[name].read(
            "ls -d /etc/containers/certs.d /etc/containers/registries.conf.d/regfleet* "
            "/var/lib/regfleet /root/.config/containers /home/ops/.config/containers 2>/dev/null; :"
        )
        assert left == ""
        assert twin.hosts[name].read("podman version --format x >/dev/null; echo still") == "still"


CRIO = """
[registry.plain]
external = true
endpoint = "registry.test:5001"
tls = { source = "none" }

[client.nodes]
hosts = [$pod1]
engine = "cri-o"
registries = ["plain"]
mirrors = ["plain"]
"""
# No package of it can be had here: its place is taken by a service that counts reloads.
STAND_IN = r"""
printf '#!/bin/sh\necho Version: 1.30.0\n' >/usr/local/bin/crio
chmod +x /usr/local/bin/crio
cat >/etc/systemd/system/crio.service <<'UNIT'
[Service]
ExecStart=/bin/sleep infinity
ExecReload=/bin/sh -c 'echo reload >>/run/crio-reloads'
UNIT
systemctl daemon-reload
systemctl start crio
: >/run/crio-reloads
"""


def test_cri_o_is_told_once(twin, write_fleet, regfleet):
    node = twin.hosts["pod1"]
    node.read(STAND_IN)
    fleet = write_fleet(twin, CRIO)
    done = regfleet("apply", fleet, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reload, no container stops" in done.stdout or "no container stops" in done.stdout
    assert node.read("cat /run/crio-reloads") == "reload"
    # What it reads is what Podman reads, by the same library.
    assert "registry.test:5001" in node.read("podman info --format '{{json .Registries}}'")
    assert "nothing to do on 1 host" in regfleet("apply", fleet, "--yes").stdout
    assert regfleet("destroy", fleet, "--yes").returncode == 0
    assert node.read("wc -l </run/crio-reloads") == "2"
