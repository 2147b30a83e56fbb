"""`regfleet doctor` on a fleet that is broken in one way after another: each is diagnosed.

One fleet for the whole module. Each test leaves it well, which the doctor itself has to say.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from answering import RELOADED, answers
from regfleet.fleet.load import load
from regfleet.pki import pem
from regfleet.pki.authority import fleet_ca
from regfleet.rehearse.twin import HostSpec
from regfleet.state import StateDirectory

pytestmark = pytest.mark.long

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
alice = { password = { env = "ALICE_PASSWORD" } }
ci = { password = "generate" }

[registry.plain]
hosts = [$reg1]
endpoint = "registry.test:5001"
image_archive = "$registry_tar"
storage = "/var/lib/plain"
tls = { source = "none" }

[client.build]
hosts = [$c1, $c2]
registries = ["main", "plain"]
login = { main = { user = "alice", for = ["root", "ops"] } }

[smoke]
image_archive = "$busybox_tar"
"""
MAIN, PLAIN = "registry.test:5000", "registry.test:5001"
CERTS = f"/etc/docker/certs.d/{MAIN}"
DROP_IN = "/etc/systemd/system/docker.service.d"
PASSWORD = "Tr0ub4dor-and-3"
RESTART = "systemctl daemon-reload; systemctl reset-failed docker; systemctl restart docker"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test", "c1", HostSpec("c2", "trixie"))


@pytest.fixture(scope="module")
def hosts(twin):
    return twin.hosts


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture(scope="module")
def file(twin, place, seeds):
    """The fleet file."""
    body = BODY.replace("$registry_tar", str(seeds.registry))
    body = body.replace("$busybox_tar", str(seeds.busybox))
    for name, host in twin.hosts.items():
        body = body.replace(f"${name}", f'{{ name = "{name}", address = "{host.address}" }}')
    path = place / "fleet.toml"
    path.write_text(
        f'version = 1\nname = "test"\n[ssh]\nuser = "root"\nsudo = false\n'
        f'key = "{twin.key}"\nknown_hosts = "{twin.known_hosts}"\n{body}'
    )
    return path


@pytest.fixture(scope="module")
def doctor(file, regfleet):
    """`doctor("--limit", "c1")`: the findings; `password=None` leaves the variable unset."""

    def call(*options, password=PASSWORD, path=None, plain=False):
        output = () if plain else ("--json",)
        environment = {"ALICE_PASSWORD": password or ""}
        done = regfleet("doctor", path or file, *output, *options, **environment)
        assert "Traceback" not in done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        assert "sesame" not in done.stdout + done.stderr
        if plain:
            return done
        document = json.loads(done.stdout)
        assert done.returncode == (0 if document["ok"] else 1)
        return document["findings"]

    return call


@pytest.fixture(scope="module")
def applied(file, regfleet):
    """The fleet, applied; its file."""
    done = regfleet("apply", file, "--yes", "--no-smoke", ALICE_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stdout + done.stderr
    return file


@pytest.fixture
def broken(hosts, doctor, applied):
    """`broken({host: (how, mend)})`: the findings while it is so; behind it all is well again."""
    assert applied

    def on_each(scripts):
        with ThreadPoolExecutor() as pool:
            done = [pool.submit(hosts[name].read, f"set -e; {script}") for name, script in scripts]
        for each in done:
            each.result()

    def call(cases):
        try:
            on_each([(name, how) for name, (how, _) in cases.items()])
            findings = doctor()
        finally:
            on_each([(name, mend) for name, (_, mend) in cases.items()])
        assert doctor() == []
        return findings

    return call


def causes(findings):
    return [(each["cause"], each["hosts"], each["registry"]) for each in findings]


def _snapshot(host):
    return host.read(
        "find /etc /root /home /var/lib /tmp -xdev -type f -not -path '/var/lib/docker/*' "
        "-not -path '/var/lib/containerd/*' -printf '%p %s %m %T@\\n' | sort; "
        "docker ps -a -q; docker images -aq"
    )


def test_a_fleet_that_was_never_applied(doctor, hosts):
    """What would hinder the first apply is said with it."""
    hosts["reg1"].read("/usr/sbin/sshd -p 5000 -E /dev/null -o PidFile=/run/other.pid")
    try:
        found = doctor()
    finally:
        hosts["reg1"].read("kill $(cat /run/other.pid)")
    assert causes(found) == [
        ("port-taken", ["reg1"], "main"),
        ("not-applied", ["reg1", "c1", "c2"], None),
    ]
    assert "sshd (process" in found[0]["found"]
    assert found[1]["fix"][0].startswith("$ regfleet apply ")


class TestWell:
    def test_one_command_a_host_and_nothing_changes(self, applied, twin, doctor, counted):
        before = {name: _snapshot(host) for name, host in twin.hosts.items()}
        state = (applied.parent / ".regfleet").rglob("*")
        kept = {path: path.stat().st_mtime_ns for path in state}
        with counted(twin) as sessions:
            assert doctor() == []
        assert sessions == {"reg1": 1, "c1": 1, "c2": 1}
        assert {name: _snapshot(host) for name, host in twin.hosts.items()} == before
        assert {path: path.stat().st_mtime_ns for path in kept} == kept

    def test_people_read_it(self, applied, doctor):
        assert applied
        done = doctor(plain=True)
        assert done.returncode == 0
        assert done.stdout.startswith("Nothing found: 3 hosts and 2 registries examined")
        assert "\x1b" not in done.stdout

    def test_by_sudo(self, applied, doctor, place):
        text = applied.read_text().replace(
            'user = "root"\nsudo = false', 'user = "ops"\nsudo = true'
        )
        path = place / "sudo.toml"
        path.write_text(text)
        assert doctor(path=path) == []


NO_CA = f"mv {CERTS}/ca.crt /root/ca.crt"
OTHER_CA = (
    f"cp -p {CERTS}/ca.crt /root/ca.crt; openssl req -x509 -newkey rsa:2048 -nodes -days 2 "
    f"-subj /CN=other -keyout /dev/null -out /root/other.crt; cat /root/other.crt >{CERTS}/ca.crt"
)
OLD_CA = f"mv /root/ca.crt {CERTS}/ca.crt"
PROXY = "Environment=HTTPS_PROXY=http://joe:sesame@127.0.0.1:3128 NO_PROXY=localhost"
UNPLAIN = f"echo '{{\"insecure-registries\": []}}' >/etc/docker/daemon.json; {RELOADED}"
SAVED = "cp -p /etc/docker/daemon.json /root/daemon.json"
BACK = f"cp -p /root/daemon.json /etc/docker/daemon.json; {RESTART}"
FLAG = f"--insecure-registry={PLAIN}"
UNIT_WITH_FLAG = (
    f"mkdir -p {DROP_IN}; printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/dockerd "
    f"-H fd:// \\\\\\n  {FLAG}\\n' >{DROP_IN}/x.conf"
)
LOGIN = "/root/.docker/config.json"

CLIENT = {
    "no CA": (NO_CA, OLD_CA, "ca-missing", "main", f"{CERTS}/ca.crt is missing"),
    "another CA": (OTHER_CA, OLD_CA, "ca-other", "main", "is not the declared CA"),
    "orphan key": (
        f"touch {CERTS}/client.key",
        f"rm {CERTS}/client.key",
        "orphan-pair",
        "main",
        "has client.key, and no client.cert",
    ),
    "orphan certificate": (
        f"cp {CERTS}/ca.crt {CERTS}/ca.cert",
        f"rm {CERTS}/ca.cert",
        "orphan-pair",
        "main",
        "has ca.cert, and no ca.key",
    ),
    "logged out": (
        f"cp -p {LOGIN} /root/login; docker logout {MAIN}",
        f"mv /root/login {LOGIN}",
        "logged-out",
        "main",
        "no login of root's was sent",
    ),
    "another password": (
        (
            f"cp -p {LOGIN} /root/login; auth=$(printf alice:sesame | base64);"
            f'printf \'{{"auths": {{"{MAIN}": {{"auth": "%s"}}}}}}\' "$auth" >{LOGIN}'
        ),
        f"mv /root/login {LOGIN}",
        "unauthorized",
        "main",
        "asked as root",
    ),
    "config.json with a stray comma": (
        f"cp -p {LOGIN} /root/login; echo '{{\"auths\": {{}},}}' >{LOGIN}",
        f"mv /root/login {LOGIN}",
        "config-json",
        "main",
        "asked as root",
    ),
    "not told to be plain": (
        f"{SAVED}; {UNPLAIN}",
        BACK,
        "plain-missing",
        "plain",
        "not among the running",
    ),
    "daemon.json with a stray comma": (
        f"{SAVED}; sed -i 's/]$/],/; s/]}}/],}}/' /etc/docker/daemon.json",
        BACK,
        "daemon-json",
        None,
        "/etc/docker/daemon.json: line",
    ),
    "a flag's name as a key": (
        f'{SAVED}; sed -i \'s/^{{/{{"insecure-registry": ["x"],/\' /etc/docker/daemon.json',
        BACK,
        "ignored-key",
        None,
        '"insecure-registry" in',
    ),
    "flag conflict, not started yet": (
        f"{UNIT_WITH_FLAG}; systemctl daemon-reload",
        f"rm -r {DROP_IN}; {RESTART}",
        "flag-conflict",
        None,
        f"--insecure-registry in {DROP_IN}/x.conf",
    ),
    "unit file not read yet": (
        UNIT_WITH_FLAG,
        f"rm -r {DROP_IN}; {RESTART}",
        "units-unread",
        None,
        "systemd has not read changed files of docker.service",
    ),
    "flag conflict, engine down": (
        f"printf 'DOCKER_OPTS=\"{FLAG}\"\\n' >>/etc/default/docker; {RESTART} || true",
        f"sed -i /DOCKER_OPTS=.--insecure/d /etc/default/docker; {RESTART}",
        "flag-conflict",
        None,
        "--insecure-registry in /etc/default/docker",
    ),
    "engine stopped": (
        "systemctl stop docker.socket docker",
        "systemctl start docker",
        "engine-stopped",
        None,
        "it does not run",
    ),
    "unknown key": (
        f"{SAVED}; echo '{{\"registry-mirors\": []}}' >/etc/docker/daemon.json; {RESTART} || true",
        BACK,
        "unknown-key",
        None,
        "it ",  # systemd may be starting it once more
    ),
    "unknown key, and started for ever": (
        (
            f"{SAVED}; mkdir -p {DROP_IN}; printf '[Unit]\\nStartLimitIntervalSec=0\\n"
            f"[Service]\\nRestart=always\\nRestartSec=0\\n' >{DROP_IN}/x.conf;"
            f"echo '{{\"no-such-key\": []}}' >/etc/docker/daemon.json; {RESTART} || true"
        ),
        f"rm -r {DROP_IN}; {BACK}",
        "unknown-key",
        None,
        "it ",
    ),
    "name not resolved": (
        "cp /etc/resolv.conf /root; echo nameserver 127.0.0.1 >/etc/resolv.conf",
        f"cat /root/resolv.conf >/etc/resolv.conf; {RESTART}",
        "name-not-resolved",
        "main",
        "`getent hosts registry.test` gives nothing",
    ),
    "name leads elsewhere": (
        f"cp /etc/hosts /root; echo '127.0.0.9 registry.test' >>/etc/hosts; {RESTART}",
        f"cat /root/hosts >/etc/hosts; {RESTART}",
        "wrong-address",
        "main",
        "registry.test leads to 127.0.0.9 there; the registry is on reg1",
    ),
    "a proxy that is not there": (
        f"mkdir -p {DROP_IN}; printf '[Service]\\n{PROXY}\\n' >{DROP_IN}/x.conf; {RESTART}",
        f"rm -r {DROP_IN}; {RESTART}",
        "proxy",
        "main",
        "it asks http://***@127.0.0.1:3128; NO_PROXY is localhost",
    ),
    "full disk": (  # nothing is written unless the small one is mounted
        (
            "cp -a /var/lib/regfleet /root/kept; mount -t tmpfs -o size=1m none /var/lib/regfleet;"
            "cp -a /root/kept/. /var/lib/regfleet/;"
            "dd if=/dev/zero of=/var/lib/regfleet/filler bs=1k count=2000 2>/dev/null || true"
        ),
        "umount /var/lib/regfleet; rm -r /root/kept",
        "disk-full",
        None,
        "/var/lib/regfleet: nothing free",
    ),
}
# Two at a time, each on a client of its own: of Docker 20.10, and of 26.1.
ROUNDS = [*zip(list(CLIENT)[::2], [*list(CLIENT)[1::2], *list(CLIENT)[:1]], strict=False)]


@pytest.mark.parametrize("cases", ROUNDS, ids=["; ".join(each) for each in ROUNDS])
def test_clients(cases, broken):
    by_host = {name: CLIENT[case] for name, case in zip(("c1", "c2"), cases, strict=True)}
    findings = broken({name: (how, mend) for name, (how, mend, *_) in by_host.items()})
    told = {each["hosts"][0]: each for each in findings}
    assert sorted(map(str, causes(findings))) == sorted(
        str((cause, [name], registry)) for name, (_, _, cause, registry, _) in by_host.items()
    )
    for name, (*_, text) in by_host.items():
        assert text in told[name]["found"]
        assert told[name]["means"]
        assert told[name]["fix"]


AWAY = "docker stop -t 1 regfleet-{0}"
AGAIN = f"docker start regfleet-main; {answers(5000)}"
SERVER = "/etc/regfleet/main"
KEPT = f"mkdir -p /root/kept; cp -p {SERVER}/* /root/kept/"
RESTORED = f"cp -p /root/kept/* {SERVER}/; docker restart -t 1 regfleet-main; {answers(5000)}"

REGISTRY = {
    "stopped": (
        AWAY.format("main"),
        AGAIN,
        "registry-down",
        "main",
        "the container regfleet-main has exited",
    ),
    "another certificate": (
        (
            f"{KEPT}; openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other -addext "
            f"subjectAltName=DNS:registry.test -keyout /root/k -out /root/c; cat /root/k "
            f">{SERVER}/registry.key; cat /root/c >{SERVER}/registry.crt;"
            f"docker restart -t 1 regfleet-main; {answers(5000)}"
        ),
        RESTORED,
        "server-other",
        "main",
        "unknown authority",
    ),
    "another htpasswd": (
        f"{KEPT}; sed -i 's/^alice:/alicia:/' {SERVER}/htpasswd",
        f"{RESTORED}; touch {SERVER}/htpasswd",
        "password-differs",
        "main",
        "does not accept the password of user 'alice'",
    ),
}


@pytest.mark.parametrize("name", REGISTRY)
def test_a_registry(name, broken):
    """One finding, not one for each client that feels it."""
    how, mend, cause, registry, text = REGISTRY[name]
    (finding,) = broken({"reg1": (how, mend)})
    assert causes([finding]) == [(cause, ["reg1"], registry)]
    assert text in finding["found"]
    assert finding["felt_by"] == ["c1", "c2"]


def test_a_missing_ca_is_found_beside_a_registry_that_is_down(broken):
    """Nobody can pull to find it: the plan knows."""
    found = broken(
        {
            "reg1": ("docker stop regfleet-main", AGAIN),
            "c1": (NO_CA, OLD_CA),
        }
    )
    assert causes(found) == [
        ("registry-down", ["reg1"], "main"),
        ("ca-missing", ["c1"], "main"),
    ]


def test_a_certificate_whose_time_has_not_come(broken, applied, hosts, tmp_path):
    """What a client with a wrong clock sees; host clocks are this machine's and stay right."""
    fleet = load(applied)
    state = StateDirectory.beside(fleet.path, fleet.name)
    now = datetime.now(timezone.utc)
    later = now + timedelta(days=2)
    certificate, key = fleet_ca(state, "test", now, save=False).issue("x", ["registry.test"], later)
    for name, text in (
        ("c", pem.certificates_to_pem(certificate)),
        ("k", pem.key_to_pem(key).encode()),
    ):
        (tmp_path / name).write_bytes(text)
        hosts["reg1"].copy_in(tmp_path / name, f"/root/{name}")
    how = (
        f"{KEPT}; cat /root/k >{SERVER}/registry.key; cat /root/c >{SERVER}/registry.crt;"
        f"docker restart -t 1 regfleet-main; {answers(5000)}"
    )
    (finding,) = broken({"reg1": (how, RESTORED)})
    assert causes([finding]) == [("certificate-dates", ["reg1"], "main")]
    assert finding["felt_by"] == ["c1", "c2"]


class TestDeclaredOtherwise:
    """The fleet file says what is not so."""

    def doctor(self, doctor, applied, place, old, new):
        text = applied.read_text()
        assert old in text
        path = place / "otherwise.toml"
        path.write_text(text.replace(old, new))
        return doctor(path=path)

    def test_tls_where_there_is_none(self, doctor, applied, place):
        found = self.doctor(doctor, applied, place, 'tls = { source = "none" }', "")
        assert causes(found) == [("plain-server", ["reg1"], "plain")]
        assert found[0]["felt_by"] == []  # the clients hold it insecure, as it is

    def test_none_where_there_is_tls(self, doctor, applied, place):
        line = 'endpoint = "registry.test:5000"\n'
        plain = f'{line}tls = {{ source = "none" }}\nallow_plaintext_passwords = true\n'
        found = self.doctor(doctor, applied, place, line, plain)
        assert causes(found) == [("tls-server", ["reg1"], "main")]

    def test_a_host_that_cannot_be_reached(self, doctor, applied, place, hosts):
        address = f'address = "{hosts["reg1"].address}"'
        found = self.doctor(doctor, applied, place, address, 'address = "127.0.0.1"')
        assert causes(found) == [("unreachable", ["reg1"], None)]
        assert found[0]["fix"]


def test_a_password_that_is_not_there(doctor, applied):
    assert applied
    (finding,) = doctor(password=None)
    assert finding["cause"] == "password-unknown"
    assert "ALICE_PASSWORD" in finding["found"]


def test_from_elsewhere(doctor, applied, tmp_path):
    assert applied
    (finding,) = doctor("--state-dir", tmp_path / "none")
    assert finding["cause"] == "elsewhere"
    assert not (tmp_path / "none").exists()


def test_an_engine_that_hangs(broken):
    """It is found out once, and not waited for at every check."""
    stop, go = (f"kill -{signal} $(cat /run/docker.pid)" for signal in ("STOP", "CONT"))
    (finding,) = broken({"c1": (stop, go)})
    assert causes([finding]) == [("engine-silent", ["c1"], None)]
