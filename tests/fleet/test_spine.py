"""The main job from end to end: a fleet file becomes proven registries, once, and goes again.

One fleet for the whole module; the tests follow its life and build on each other.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from answering import RELOADED
from regfleet.rehearse.twin import HostSpec

ROOT = Path(__file__).resolve().parents[2]
HOSTS = (
    HostSpec("reg1", aliases=("registry.test",)),
    HostSpec("client1"),
    HostSpec("trixie1", suite="trixie"),
    HostSpec("sysv1", variant="sysv"),
    HostSpec("bare1", variant="bare"),
)
NAMES = [spec.name for spec in HOSTS]
FOREIGN = (
    '{\n    "max-concurrent-uploads": 3,\n    "insecure-registries": ["old.example:5000"]\n}\n'
)
PASSWORD = "Tr0ub4dor-and-3"
FLEET = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
alice = {{ password = {{ env = "ALICE_PASSWORD" }} }}
ci = {{ password = "generate" }}

[registry.plain]
hosts = [$reg1]
endpoint = "registry.test:5001"
image_archive = "$registry_tar"
storage = "/srv/plain"
delete = false
tls = {{ source = "none" }}

[client.build]
hosts = [$client1, $trixie1, $sysv1, $bare1]
install = true
registries = ["main", "plain"]
mirrors = ["https://mirror.example.com"{mirrors}]
{login}
daemon = {{ "live-restore" = true{daemon} }}

[smoke]
image_archive = "$busybox_tar"
"""
DEBUG = ', "debug" = true'
LOGIN = 'login = { main = { user = "alice", for = ["root", "ops"] } }'


def fleet_text(mirrors="", login=LOGIN, daemon=""):
    return FLEET.format(mirrors=mirrors, login=login, daemon=daemon)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(*HOSTS)
    for name in ("client1", "trixie1"):
        twin.hosts[name].run(
            f"mkdir -p /etc/docker; printf '%s' '{FOREIGN}' >/etc/docker/daemon.json"
        )
        twin.hosts[name].read(RELOADED)
    return twin


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture
def run(twin, place, seeds, regfleet):
    """`run("apply", "--yes", text=...)`: the document of `--json`, and the process."""

    def call(command, *options, text=None, code=0, password=PASSWORD, parse=True, **given):
        file = place / "fleet.toml"
        file.write_text(_render(twin, seeds, text or fleet_text()))
        given |= {"ALICE_PASSWORD": password} if password else {}
        done = regfleet(command, file, "--json", *options, **given)
        assert done.returncode == code, done.stdout + done.stderr
        assert not password or password not in done.stdout + done.stderr
        return (json.loads(done.stdout), done) if parse else done

    return call


def _render(twin, seeds, body):
    # client1 is reached as an ordinary user with sudo, everybody else as root.
    for host in twin.hosts.values():
        ssh = ', ssh = { user = "ops", sudo = true }' if host.name == "client1" else ""
        body = body.replace(
            f"${host.name}", f'{{ name = "{host.name}", address = "{host.address}"{ssh} }}'
        )
    body = body.replace("$registry_tar", str(seeds.registry))
    body = body.replace("$busybox_tar", str(seeds.busybox))
    head = f'version = 1\nname = "spine"\n[ssh]\nuser = "root"\nkey = "{twin.key}"\n'
    return f'{head}known_hosts = "{twin.known_hosts}"\nsudo = false\n{body}'


def _daemon(host):
    return json.loads(host.read("cat /etc/docker/daemon.json"))


def test_plan_says_what_and_changes_nothing(twin, run, place):
    before = {name: _snapshot(host) for name, host in twin.hosts.items()}
    document, _ = run("plan", "--detailed-exitcode", code=3)
    assert document["version"] == 1
    assert document["fleet"] == "spine"
    assert set(document["hosts"]) == set(NAMES)
    client = document["hosts"]["client1"]
    assert set(client) == {"changes", "activation", "containers_affected", "error"}
    assert client["activation"] == "reload"
    resources = {change["resource"]: change for change in client["changes"]}
    assert resources["daemon.json insecure-registries"]["action"] == "update"
    assert resources["daemon.json registry-mirrors"]["action"] == "create"
    assert resources["file /etc/docker/certs.d/registry.test:5000/ca.crt"]["activation"] == "none"
    assert all({"resource", "action", "reason", "activation"} <= set(c) for c in client["changes"])
    packages = [c["resource"] for c in document["hosts"]["bare1"]["changes"]]
    assert packages[0] == "package docker.io"
    assert {name: _snapshot(host) for name, host in twin.hosts.items()} == before
    assert not (place / ".regfleet").exists()


def test_first_apply_makes_and_proves_it(twin, run, counted):
    with counted(twin) as sessions:
        document, _ = run("apply", "--yes")
    assert document["ok"] is True
    for name in NAMES:
        assert document["hosts"][name]["status"] == "changed", document["hosts"][name]
    # One look, one touch; one archive for two registries there, and one each for the smoke test.
    # Where an engine is installed, the package manager is asked what comes with it.
    assert sessions == dict.fromkeys(NAMES[1:], 4) | {"reg1": 3, "bare1": 5}
    assert document["hosts"]["reg1"]["smoke"] == {
        f"main/{check}": "passed"
        for check in (
            "anonymous-refused",
            "wrong-password-refused",
            "untrusted-ca-refused",
            "plain-http-refused",
        )
    } | {"main/old-tls-refused": document["hosts"]["reg1"]["smoke"]["main/old-tls-refused"]}
    expected = {
        f"{registry}/{check}": "passed"
        for registry in ("main", "plain")
        for check in ("present", "push", "remove", "pull", "digest", "run", "delete")
    } | {"plain/delete": "skipped"}
    for name in NAMES[1:]:
        assert document["hosts"][name]["smoke"] == expected


def test_second_apply_finds_nothing_with_one_command_a_host(twin, run, counted):
    with counted(twin) as sessions:
        document, _ = run("apply", "--yes")
    assert sessions == dict.fromkeys(NAMES, 1)
    assert {host["status"] for host in document["hosts"].values()} == {"unchanged"}
    assert all(host["changes"] == [] for host in document["hosts"].values())


def test_foreign_settings_stay_in_their_order(twin):
    text = twin.hosts["client1"].read("cat /etc/docker/daemon.json")
    assert list(json.loads(text)) == [
        "max-concurrent-uploads",
        "insecure-registries",
        "registry-mirrors",
        "live-restore",
    ]
    assert _daemon(twin.hosts["client1"])["insecure-registries"] == [
        "old.example:5000",
        "registry.test:5001",
    ]
    assert '\n    "max-concurrent-uploads"' in text  # indented as it was


@pytest.mark.parametrize("name", NAMES[1:])
def test_the_running_engine_holds_it(twin, name):
    info = twin.hosts[name].read(
        "docker info --format '{{json .RegistryConfig}}{{json .LiveRestoreEnabled}}'"
    )
    assert '"registry.test:5001"' in info
    assert "https://mirror.example.com/" in info
    assert info.endswith("true")


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/etc/docker/certs.d/registry.test:5000", "755 root:root"),
        ("/etc/docker/certs.d/registry.test:5000/ca.crt", "444 root:root"),
        ("/root/.docker/config.json", "600 root:root"),
        ("/home/ops/.docker/config.json", "600 ops:ops"),
        ("/var/lib/regfleet/owned.json", "600 root:root"),
    ],
)
def test_modes_on_a_client(twin, path, mode):
    assert twin.hosts["client1"].read(f"stat -c '%a %U:%G' '{path}'") == mode


def test_no_secret_is_readable_by_others_on_the_registry(twin):
    open_files = twin.hosts["reg1"].read(
        "find /etc/regfleet/main -type f -perm /044 -printf '%f\n'"
    )
    assert open_files == "registry.crt"
    assert "restart always" in twin.hosts["reg1"].read(
        "docker inspect -f 'restart {{.HostConfig.RestartPolicy.Name}}' regfleet-main"
    )


def test_pushed_images_outlive_the_container(twin, run):
    client = twin.hosts["client1"]
    client.read("docker pull -q registry.test:5001/regfleet-smoke/client1:nothing || true")
    script = (
        "docker load -q -i /dev/stdin >/dev/null; docker tag busybox:latest "
        "registry.test:5000/team/app:1; docker push -q registry.test:5000/team/app:1"
    )
    archive = (ROOT / ".build/images/busybox.tar").resolve()
    client.copy_in(archive, "/root/busybox.tar")
    client.read(script.replace("/dev/stdin", "/root/busybox.tar"))
    twin.hosts["reg1"].read("docker rm -f regfleet-main")
    document, _ = run("apply", "--yes")
    changes = document["hosts"]["reg1"]["changes"]
    assert [c["resource"] for c in changes] == ["container regfleet-main"]
    assert changes[0]["reason"] == "it was removed by hand"
    client.read(
        "docker rmi registry.test:5000/team/app:1; docker pull -q registry.test:5000/team/app:1"
    )
    client.read("docker rmi registry.test:5000/team/app:1 busybox:latest; rm /root/busybox.tar")


def test_a_changed_password_is_rotated_everywhere(twin, run, counted):
    with counted(twin) as sessions:
        document, done = run("apply", "--yes", password="correct-horse-battery")
    assert sessions["reg1"] == 2  # htpasswd alone: no archive travels, the container stays
    assert [c["resource"] for c in document["hosts"]["reg1"]["changes"]] == [
        "file /etc/regfleet/main/htpasswd"
    ]
    (change,) = document["hosts"]["reg1"]["changes"]
    assert change["parts"] == [{"resource": "password of alice", "action": "update"}]
    assert "~ password of alice" in done.stderr
    assert document["hosts"]["client1"]["smoke"]["main/push"] == "passed"
    refused = twin.hosts["client1"].run(
        f"echo {PASSWORD} | docker --config /tmp/x login -u alice --password-stdin "
        "registry.test:5000"
    )
    assert "401" in refused.stderr
    assert refused.returncode != 0


def test_pyinfra_alone_does_the_same_work(twin, run, place, counted):
    run("validate", text=fleet_text(daemon=DEBUG))
    (place / "fleet.py").write_text((ROOT / "inventories/example.py").read_text())
    command = [sys.executable, "-m", "pyinfra", "fleet.py", str(ROOT / "deploys/site.py"), "-y"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src"), "HOME": str(place)}
    environment["ALICE_PASSWORD"] = "correct-horse-battery"

    def pyinfra():
        with counted(twin) as sessions:
            done = subprocess.run(
                command, cwd=place, env=environment, capture_output=True, text=True, check=False
            )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "correct-horse-battery" not in done.stdout + done.stderr
        return done.stdout + done.stderr, sessions

    said, sessions = pyinfra()
    assert "create daemon.json debug" in said
    assert "main/push passed" in said
    assert sessions["reg1"] == 1
    assert sessions["client1"] == 4  # look, touch, the smoke test and its archive
    said, sessions = pyinfra()
    assert "create" not in said
    assert sessions == dict.fromkeys(NAMES, 1)
    assert twin.hosts["client1"].read("docker info -f '{{.Debug}}'") == "true"


def test_a_lost_state_is_refused_and_leaves_no_new_ca(run, place, tmp_path):
    state, aside = place / ".regfleet", tmp_path / "aside"
    options = ("--limit", "reg1,client1")
    current = {"password": "correct-horse-battery", "REGFLEET_NEW_IDENTITY": ""}
    state.rename(aside)  # as after a checkout by CI
    _, planned = run("plan", *options, **current)
    assert (
        "warning: 2 hosts of the fleet spine (reg1, client1) were set up before" in planned.stderr
    )
    assert not state.exists()
    text = fleet_text(daemon=', "debug" = false')
    document, planned = run("plan", "--no-secrets", *options, text=text, password=None)
    hosts = document["hosts"]
    assert [each["resource"] for each in hosts["client1"]["changes"]] == ["daemon.json debug"]
    assert hosts["reg1"]["changes"] == []
    assert "file /etc/regfleet/main/registry.key" in hosts["reg1"]["unknown"]
    assert "login root@registry.test:5000" in hosts["client1"]["unknown"]
    assert "Not compared: " in planned.stderr
    done = run("apply", "--yes", *options, **current, code=2, parse=False)
    assert "--new-identity" in done.stderr
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src"), "HOME": str(place)}
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "fleet.py", str(ROOT / "deploys/site.py"), "-y"],
        cwd=place,
        env={**environment, "ALICE_PASSWORD": "correct-horse-battery"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "REGFLEET_NEW_IDENTITY" in done.stdout + done.stderr
    kept = {path.name for path in state.rglob("*") if path.is_file()}
    assert kept <= {".gitignore", "lock", "lock.owner"}
    shutil.rmtree(state)
    aside.rename(state)
    password = state / "spine/passwords/main/ci"
    before = password.read_text()
    password.unlink()
    done = run("apply", "--yes", *options, **current, code=2, parse=False)
    assert "the generated password of ci of the registry main" in done.stderr
    assert not password.exists()
    password.write_text(before)
    run("plan", "--detailed-exitcode", *options, **current, text=fleet_text(daemon=DEBUG))


def test_what_is_no_longer_declared_goes(twin, run):
    text = fleet_text(login="").replace('mirrors = ["https://mirror.example.com"]\n', "")
    document, _ = run("apply", "--yes", text=text, password="correct-horse-battery")
    resources = {c["resource"]: c["action"] for c in document["hosts"]["client1"]["changes"]}
    assert resources == {
        "daemon.json registry-mirrors": "delete",
        "daemon.json debug": "delete",
        "login root@registry.test:5000": "delete",
        "login ops@registry.test:5000": "delete",
    }
    client = twin.hosts["client1"]
    assert set(_daemon(client)) == {"max-concurrent-uploads", "insecure-registries", "live-restore"}
    live = client.read("docker info -f '{{json .RegistryConfig.Mirrors}}{{.Debug}}'")
    assert live in ("[]false", "nullfalse")
    assert client.run("ls -d /root/.docker /home/ops/.docker").stdout == ""
    again, _ = run("apply", "--yes", text=text, password="correct-horse-battery")
    assert {host["status"] for host in again["hosts"].values()} == {"unchanged"}


def test_a_host_that_left_the_file_is_told_and_taken_out(twin, run):
    whole = fleet_text(login="").replace('mirrors = ["https://mirror.example.com"]\n', "")
    text, current = whole.replace(", $sysv1", ""), {"password": "correct-horse-battery"}
    planned, done = run("plan", "--limit", "client1", text=text, **current)
    assert planned["gone"] == {"sysv1": ["client_build"]}
    assert "Gone: sysv1 (client_build) is no longer in the fleet file" in done.stderr
    sysv1 = twin.hosts["sysv1"]
    assert sysv1.run("ls /etc/docker/certs.d/*/ca.crt").returncode == 0
    document, done = run("apply", "--yes", "--prune", "--limit", "sysv1", text=text, **current)
    assert document["hosts"]["sysv1"]["status"] == "changed"
    assert "Gone:" not in done.stderr
    assert sysv1.run("ls /etc/docker/certs.d /var/lib/regfleet/owned.json").stdout == ""
    planned, _ = run("plan", "--limit", "client1", text=text, **current)
    assert "gone" not in planned
    document, _ = run("apply", "--yes", "--limit", "sysv1", text=whole, **current)
    assert document["hosts"]["sysv1"]["status"] == "changed"


def test_destroy_leaves_what_was_there(twin, run):
    document, _ = run("destroy", "--yes")
    assert document["ok"] is True
    for name in ("client1", "trixie1"):
        assert _daemon(twin.hosts[name]) == json.loads(FOREIGN)
        assert '"registry.test' not in twin.hosts[name].read("docker info -f '{{json .}}'")
    for host in twin.hosts.values():
        traces = host.read(
            "find /etc /root /home /var/lib -xdev "
            "\\( -name '*regfleet*' -o -path '*certs.d/registry.test*' \\) "
            "-not -path '/var/lib/docker/*' -not -path '/var/lib/registry/*' "
            "-not -path '/etc/ssh/*'"  # the test host's own
        )
        assert traces == ""
    registry = twin.hosts["reg1"]
    assert registry.read("docker ps -aq; docker images -q") == ""
    assert re.search(r"team/app", registry.read("find /var/lib/registry -type d -name app"))


def _snapshot(host):
    return host.read(
        "find /etc /root /home /var/lib -xdev -type f -not -path '/var/lib/docker/*' "
        "-not -path '/var/lib/containerd/*' -printf '%p %s %m %T@\n' | sort | sha256sum"
    )
