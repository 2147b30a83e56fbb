"""An account's own Docker is a client; Docker's own script has set it up."""

import json

import pytest

from regfleet.fleet.load import load
from regfleet.rehearse.twin import HostSpec
from rootless import ACCOUNT, AS, HOME, PLACE, READY, as_account, set_up, told

pytestmark = pytest.mark.long

BODY = """
[registry.main]
hosts = [$reg]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
ci = { password = "generate" }

[registry.plain]
hosts = [$reg]
endpoint = "registry.test:5001"
image_archive = "$registry_tar"
storage = "/var/lib/registry-plain"
[registry.plain.tls]
source = "none"

[client.alice]
hosts = [$own]
engine = "docker-rootless"
account = "ops"
registries = ["main", "plain"]
mirrors = ["https://m.example"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
SETTINGS = '{"storage-driver": "vfs", "live-restore": true}\n'
MIRRORS, INSECURE = "{{.RegistryConfig.Mirrors}}", "{{json .RegistryConfig.IndexConfigs}}"
TREE = f"find {HOME} -path {HOME}/.local -prune -o -printf '%M %U:%G %p\\n' | sort"
ENDPOINT = "registry.test:5000"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(
        HostSpec("reg", "bookworm", "docker", ("registry.test",)),
        HostSpec("own", "bookworm", "docker", ()),
        HostSpec("new", "sid", "docker", ()),
    )
    # Of a person, with links in it.
    twin.hosts["own"].read("echo 'alone' >/srv/secret && chmod 600 /srv/secret")
    return twin


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def own(twin):
    return twin.hosts["own"]


@pytest.fixture
def run(twin, write_fleet, state, regfleet):
    """`run("apply", "--yes", daemon=...)`: a command on the fleet, the client's part changed."""

    def run(command, *options, client="", body=BODY):
        body = body.replace("login = {", f"{client}\nlogin = {{") if client else body
        fleet = write_fleet(twin, body, user="ops")
        return regfleet(command, fleet, *options, "--state-dir", state)

    return run


def document(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def changes(done, host="own"):
    return {each["resource"]: each for each in document(done)["hosts"][host]["changes"]}


def said(done):
    return " ".join((done.stdout + done.stderr).split())


def of_root(own):
    """What in the home is not the account's."""
    return own.read(f"find {HOME} -path {HOME}/.local -prune -o ! -user {ACCOUNT} -print")


def test_an_account_without_one_is_refused_with_what_sets_it_up(run):
    done = run("plan", "--limit", "own")
    assert done.returncode == 1
    assert "ops runs no Docker of its own there" in said(done)
    assert "loginctl enable-linger ops" in said(done)
    assert "dockerd-rootless-setuptool.sh install" in said(done)
    done = run("plan", "--limit", "own", body=BODY.replace('"ops"\n', '"nobody-here"\n'))
    assert "the account nobody-here does not exist on the host" in said(done)


def test_it_is_set_up_and_proven_and_the_second_run_is_empty(run, own, proven):
    set_up(own, SETTINGS)
    own.read(f"{TREE} >/tmp/tree")
    planned = changes(run("plan", "--json"))
    home = "~ops/.config/docker"
    assert planned[f"file {home}/daemon.json"]["activation"] == "reload"
    assert f"file {home}/certs.d/{ENDPOINT}/ca.crt" in planned
    done = document(run("apply", "--yes", "--json"))
    smoke = done["hosts"]["own"]["smoke"]
    assert {smoke[f"{name}/{step}"] for name in ("main", "plain") for step in ("push", "run")} == {
        "passed"
    }
    assert run("plan", "--detailed-exitcode").returncode == 0
    assert json.loads(own.read(f"cat {PLACE}/daemon.json")) == {
        "storage-driver": "vfs",
        "live-restore": True,
        "insecure-registries": ["registry.test:5001"],
        "registry-mirrors": ["https://m.example"],
    }
    assert told(own, MIRRORS) == "[https://m.example/]"
    assert of_root(own) == ""
    # The host's own Docker has nothing of it: its files are where no other reads them.
    assert own.run("ls /etc/docker/certs.d /root/.docker").stdout == ""
    version = told(own, "{{.ServerVersion}}")
    proven("docker-rootless", version, "bookworm", "push, pull, run, reload, restart")
    status = run("status").stdout
    assert f"docker-rootless {version}" in status


def test_what_changes_on_the_host_is_drift_and_is_repaired(run, own):
    own.read(f"rm {PLACE}/certs.d/{ENDPOINT}/ca.crt")
    as_account(own, "docker logout registry.test:5000")
    found = changes(run("plan", "--json"))
    assert {name.split("/")[-1]: each["drift"] for name, each in found.items()} == {
        "ca.crt": True,
        f"login ops@{ENDPOINT}": True,
    }
    told_by_doctor = said(run("doctor"))
    assert f"~ops/.config/docker/certs.d/{ENDPOINT}/ca.crt is missing" in told_by_doctor
    assert "x509: certificate signed by unknown authority" in told_by_doctor
    document(run("apply", "--yes", "--json"))
    assert run("plan", "--detailed-exitcode").returncode == 0


def test_what_its_account_holds_is_deployed(run, own):
    """`keep_deployed` asks the account's own Docker; one that does not answer holds all."""
    rules = (
        '[[registry.main.retention.rules]]\nrepositories = ["dev/*"]\nkeep_last = 1\n'
        "keep_deployed = true\n"
    )
    body = BODY.replace("[registry.main.users]", f"{rules}[registry.main.users]")
    for tag in ("1", "2", "3"):
        as_account(
            own,
            f"echo {tag} >/tmp/{tag} && tar -C /tmp -c {tag} |"
            f" docker import - {ENDPOINT}/dev/app:{tag} && docker push -q {ENDPOINT}/dev/app:{tag}",
        )
    as_account(own, f"docker rmi {ENDPOINT}/dev/app:2")
    planned = document(run("prune", "--dry-run", "--json", body=body))["registries"]["main"]
    assert [each["tag"] for each in planned["delete"]] == ["2"]
    as_account(own, "systemctl --user stop docker")
    planned = document(run("prune", "--dry-run", "--json", body=body))["registries"]["main"]
    assert planned["delete"] == []
    assert planned["kept_for"].startswith("own: ")
    as_account(own, "systemctl --user start docker")
    own.read(READY)


def test_import_writes_it_as_a_group_of_its_own(twin, own, regfleet, tmp_path):
    output = tmp_path / "imported.toml"
    way = ("--user", "root", "--key", twin.key, "--known-hosts", twin.known_hosts)
    done = regfleet("import", own.address, *way, "--output", output)
    assert done.returncode == 0, done.stderr
    found = load(output)
    (client,) = found.clients.values()
    assert (client.name, client.engine, client.account) == ("own-ops", "docker-rootless", "ops")
    endpoints = {found.registries[name].endpoint for name in client.registries}
    assert endpoints == {ENDPOINT, "registry.test:5001"}
    assert [each.url for each in client.mirrors] == ["https://m.example"]
    assert [(found.registries[each.registry].endpoint, each.user) for each in client.logins] == [
        (ENDPOINT, "ci")
    ]


def test_a_restart_is_the_accounts_systemds_and_stops_its_containers(run, own, seeds):
    """Also with live-restore: rootlesskit's namespaces end with it."""
    own.copy_in(seeds.busybox, "/srv/busybox.tar")
    own.read(f"{AS} docker load -q </srv/busybox.tar")
    as_account(own, "docker run -d --name sleeper --network none busybox:latest sleep 600")
    before = own.read("pidof dockerd")
    debug = 'daemon = { "log-level" = "debug" }'
    planned = document(run("plan", "--json", client=debug))["hosts"]["own"]
    assert (planned["activation"], planned["containers_affected"]) == ("restart", 1)
    document(run("apply", "--yes", "--json", client=debug))
    assert own.read("pidof dockerd") != before
    assert own.run("pgrep -f '[s]leep 600'").stdout == ""
    assert "user@1000.service" in own.read("cat /proc/$(pidof dockerd)/cgroup")
    assert run("plan", "--detailed-exitcode", client=debug).returncode == 0
    done = document(run("rollback", "--yes", "--json"))
    assert done["hosts"]["own"]["status"] == "changed"
    assert "log-level" not in own.read(f"cat {PLACE}/daemon.json")
    as_account(own, "docker rm -f sleeper")


def test_what_dockerd_does_not_take_is_put_back(run, own):
    before = own.read(f"cat {PLACE}/daemon.json")
    done = run("apply", "--yes", client='daemon = { "debug" = "no switch" }')
    assert done.returncode == 1
    assert "rolled-back own" in done.stdout + done.stderr
    assert own.read(f"cat {PLACE}/daemon.json") == before
    assert told(own, MIRRORS) == "[https://m.example/]"


def test_an_older_one_gets_its_proxy_by_a_drop_in(run, own):
    """Docker before 23.0 knows no `proxies`, and would not start with it."""
    body = BODY.replace("[smoke]", '[client.alice.proxy]\nhttps = "http://p.test:3128"\n\n[smoke]')
    planned = document(run("plan", "--json", body=body))["hosts"]["own"]
    assert planned["activation"] == "restart"
    done = document(run("apply", "--yes", "--json", body=body))
    assert done["hosts"]["own"]["smoke"]["main/push"] == "passed"
    assert run("plan", "--detailed-exitcode", body=body).returncode == 0
    assert told(own, "{{.HTTPSProxy}}") == "http://p.test:3128"
    assert "registry.test" in told(own, "{{.NoProxy}}")
    place = f"{HOME}/.config/systemd/user/docker.service.d/regfleet-test-proxy"
    assert own.read(f"stat -c '%U %a' {place}.env") == f"{ACCOUNT} 600"
    assert "proxies" not in own.read(f"cat {PLACE}/daemon.json")
    assert of_root(own) == ""
    document(run("apply", "--yes", "--json"))
    assert told(own, "{{.HTTPSProxy}}") == ""
    assert own.run(f"ls {HOME}/.config/systemd/user/docker.service.d").stdout == ""
    assert run("plan", "--detailed-exitcode").returncode == 0


def test_one_that_is_stopped_is_started(run, own):
    as_account(own, "systemctl --user stop docker")
    found = changes(run("plan", "--json"))
    assert list(found) == ["service docker of ops"]
    document(run("apply", "--yes", "--json"))
    own.read(READY)


def test_links_lead_root_nowhere(run, own):
    """Whoever has the account says what its files are; root reads and writes none of them."""
    own.read(f"{AS} ln -sf /srv/secret {PLACE}/certs.d/{ENDPOINT}/ca.crt")
    own.read(
        f"{AS} mv {PLACE}/daemon.json {PLACE}/kept && {AS} ln -s /srv/secret {PLACE}/daemon.json"
    )
    done = run("plan", "--limit", "own")
    assert done.returncode == 1
    assert "daemon.json cannot be read by ops" in said(done)
    own.read(f"{AS} mv {PLACE}/kept {PLACE}/daemon.json")
    done = run("apply", "--yes")
    assert done.returncode == 1  # the account cannot write there: nothing is changed
    assert own.read("cat /srv/secret; stat -c '%U %a' /srv/secret") == "alone\nroot 600"
    own.read(f"{AS} rm {PLACE}/certs.d/{ENDPOINT}/ca.crt")
    document(run("apply", "--yes", "--json"))
    assert of_root(own) == ""


def test_another_account_is_refused_while_this_one_is_set_up(run, own):
    own.read("useradd -m bob")
    done = run("plan", "--limit", "own", body=BODY.replace('"ops"\n', '"bob"\n'))
    assert done.returncode == 1
    assert "this fleet set up the Docker of ops there" in said(done)


def test_destroy_takes_everything_away_again(run, own):
    document(run("destroy", "--yes", "--json", "--limit", "own"))
    assert own.read(f"cat {PLACE}/daemon.json") == SETTINGS.strip()
    own.read(f"{TREE} >/tmp/after; diff /tmp/tree /tmp/after")
    assert told(own, MIRRORS) == "[]"
    assert "5001" not in told(own, INSECURE)
    assert own.run("ls /var/lib/regfleet").returncode != 0


def test_started_by_hand_it_is_reloaded_and_never_restarted(run, own):
    as_account(own, "systemctl --user disable --now docker")
    own.read(
        f"setsid {AS} dockerd-rootless.sh --iptables=false >/tmp/hand.log 2>&1 </dev/null & {READY}"
    )
    document(run("apply", "--yes", "--json"))
    assert told(own, MIRRORS) == "[https://m.example/]"
    done = run("plan", client='daemon = { "log-level" = "debug" }')
    assert done.returncode == 1
    assert "needs a restart of the Docker of ops" in said(done)
    assert "started by hand" in said(done)
    document(run("destroy", "--yes", "--json", "--limit", "own"))
    assert told(own, MIRRORS) == "[]"


@pytest.mark.soak
def test_a_new_one_has_containerds_store_and_a_proxy(run, twin, proven):
    """hosts.toml beside the CA, whose path is relative to it; `proxies` in daemon.json."""
    new = twin.hosts["new"]
    settings = '{"features": {"containerd-snapshotter": true}, "storage-driver": "native"}\n'
    set_up(new, settings)
    body = BODY.replace("[$own]", "[$new]").replace(
        "[smoke]", '[client.alice.proxy]\nhttps = "http://p.test:3128"\n\n[smoke]'
    )
    done = document(run("apply", "--yes", "--json", body=body))
    smoke = done["hosts"]["new"]["smoke"]
    assert {smoke[f"{name}/{step}"] for name in ("main", "plain") for step in ("push", "run")} == {
        "passed"
    }
    assert run("plan", "--detailed-exitcode", body=body).returncode == 0
    assert told(new, "{{.HTTPSProxy}}") == "http://p.test:3128"
    refused = run("apply", "--yes", body=body, client='daemon = { "debug" = "no switch" }')
    assert "dockerd refuses the new ~ops/.config/docker/daemon.json" in said(refused)
    proven("docker-rootless", told(new, "{{.ServerVersion}}"), "sid", "containerd's store, proxy")
    document(run("destroy", "--yes", "--json", "--limit", "new", body=body))
    assert new.read(f"cat {PLACE}/daemon.json") == settings.strip()
    assert new.run(f"ls {PLACE}/certs.d /var/lib/regfleet").stdout == ""
    assert told(new, "{{.HTTPSProxy}}") == ""


def test_the_hosts_own_docker_is_meant_unless_the_accounts_is_declared(run, own):
    body = BODY.replace('engine = "docker-rootless"\naccount = "ops"\n', "")
    done = run("plan", "--limit", "own", body=body)
    assert done.returncode == 1
    assert 'engine = "docker-rootless"' in said(done)
    assert 'account = "ops"' in said(done)
    own.read("systemctl start docker")
    assert "file /etc/docker/certs.d/registry.test:5000/ca.crt" in changes(
        run("plan", "--json", "--limit", "own", body=body)
    )
