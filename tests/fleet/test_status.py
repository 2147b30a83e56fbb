"""`status` and `images` on a real registry and a real client, from the first look to bad days.

One fleet for the whole module; each test leaves it as it found it.
"""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from answering import answers
from regfleet.fleet.load import load
from regfleet.pki import pem
from regfleet.pki.authority import fleet_ca
from regfleet.state import StateDirectory

BODY = """
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
storage = "/var/lib/plain"
tls = {{ source = "none" }}

[registry.cache]
hosts = [$reg1]
endpoint = "registry.test:5002"
image_archive = "$registry_tar"
storage = "/var/lib/cache"
proxy = "http://UPSTREAM:5001"
serves_docker_hub = true

[registry.elsewhere]
external = true
endpoint = "UPSTREAM:5001"
tls = {{ source = "none" }}

[client.build]
hosts = [$client1]
registries = ["main", "plain"]
mirrors = ["cache"{mirrors}]
login = {{ main = "alice" }}

[smoke]
image_archive = "$busybox_tar"
"""
CA = "/etc/docker/certs.d/registry.test:5000/ca.crt"
LOGIN = "root@registry.test:5000"
PASSWORD = "Tr0ub4dor-and-3"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test", "client1")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture(scope="module")
def file(twin, place, seeds):
    """Writes the fleet file; gives its path."""

    def write(mirrors="", edit=lambda text: text):
        body = BODY.format(mirrors=mirrors)
        for host in twin.hosts.values():
            body = body.replace(
                f"${host.name}", f'{{ name = "{host.name}", address = "{host.address}" }}'
            )
        body = body.replace("UPSTREAM", twin.hosts["reg1"].address)
        body = body.replace("$registry_tar", str(seeds.registry))
        body = body.replace("$busybox_tar", str(seeds.busybox))
        path = place / "fleet.toml"
        path.write_text(
            edit(
                f'version = 1\nname = "test"\n[ssh]\nuser = "root"\nsudo = false\n'
                f'key = "{twin.key}"\nknown_hosts = "{twin.known_hosts}"\n{body}'
            )
        )
        return path

    return write


@pytest.fixture(scope="module")
def apply(file, regfleet):
    """Applies the fleet as it was declared first; gives its file."""

    def call(*options):
        path = file()
        done = regfleet("apply", path, "--yes", *options, ALICE_PASSWORD=PASSWORD)
        assert done.returncode == 0, done.stdout + done.stderr
        return path

    return call


@pytest.fixture(scope="module")
def applied(twin, apply, seeds):
    """The fleet, applied and smoke-tested, with images in it; its file."""
    path = apply()
    client = twin.hosts["client1"]
    client.copy_in(seeds.busybox, "/root/busybox.tar")
    client.read(
        "docker load -q -i /root/busybox.tar; for ref in team/app:1 team/app:latest tools/box:7; do"
        " docker tag busybox:latest registry.test:5000/$ref;"
        " docker push -q registry.test:5000/$ref; done;"
        "docker tag busybox:latest registry.test:5001/library/tool:1;"
        "docker push -q registry.test:5001/library/tool:1"
    )
    cached = "127.0.0.1:5002/library/tool:1"  # what is local needs no trust
    twin.hosts["reg1"].read(f"docker pull -q {cached}; docker rmi {cached}")
    return path


@pytest.fixture(scope="module")
def ask(applied, regfleet):
    """`ask("status", code=0)`: the document of `--json`; `plain=True` gives what people read."""

    def call(command, *arguments, code=0, plain=False, password=PASSWORD, path=None):
        environment = {"ALICE_PASSWORD": password} if password else {"ALICE_PASSWORD": ""}
        options = () if plain else ("--json",)
        done = regfleet(command, path or applied, *arguments, *options, **environment)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done.stdout if plain else json.loads(done.stdout)

    return call


@pytest.fixture
def away(file, twin):
    """The external registry is where nobody listens."""
    there = f'endpoint = "{twin.hosts["reg1"].address}:5001"'
    yield file(edit=lambda text: text.replace(there, 'endpoint = "127.0.0.1:9"'))
    file()


def _snapshot(host):
    return host.read(
        "find /etc /root /home /var/lib -xdev -type f -not -path '/var/lib/docker/*' "
        "-not -path '/var/lib/containerd/*' -not -name scheduler-state.json "  # the cache's clock
        "-printf '%p %s %m %T@\n' | sort; docker ps -a -q"
    )


def _tree(place):
    return {
        path: path.stat().st_mtime_ns for path in (place / ".regfleet").rglob("*") if path.is_file()
    }


class TestWell:
    def test_one_command_a_host_and_nothing_changes(self, twin, ask, place, counted, applied):
        assert applied
        before = {name: _snapshot(host) for name, host in twin.hosts.items()}
        kept = _tree(place)
        with counted(twin) as sessions:
            document = ask("status")
        assert sessions == {"reg1": 1, "client1": 1}
        assert {name: _snapshot(host) for name, host in twin.hosts.items()} == before
        assert _tree(place) == kept
        assert document["ok"] is True

    def test_the_document(self, ask):
        document = ask("status")
        assert set(document) == {
            "version",
            "fleet",
            "last_apply",
            "copies",
            "certificate_authority",
            "unknown",
            "hosts",
            "registries",
            "unproven",
            "ok",
        }
        assert (document["version"], document["fleet"]) == (1, "test")
        assert document["unknown"] == []
        since = datetime.now(timezone.utc) - datetime.fromisoformat(
            document["last_apply"].replace("Z", "+00:00")
        )
        assert timedelta(0) <= since < timedelta(hours=1)
        assert document["certificate_authority"]["days_left"] in (3648, 3649)
        assert list(document["hosts"]) == ["reg1", "client1"]
        client = document["hosts"]["client1"]
        assert client["engine"]["version"].startswith("20.10")
        assert client | {"engine": None} == {
            "state": "ok",
            "os": "debian 12",
            "engine": None,
            "reinstalled": False,
            "clock_skew_seconds": 0,
            "changes": [],
            "unknown": [],
            "error": None,
            "attention": [],
        }
        main = document["registries"]["main"]
        assert main["certificate"]["days_left"] in (395, 396)
        assert (main["health"], main["api_version"]) == ("healthy", "registry/2.0")
        # The smoke test's repository stays behind without a tag.
        assert (main["repositories"], main["empty_repositories"], main["tags"]) == (3, 1, 3)
        assert main["partial"] is False

    def test_the_size_is_that_of_the_stored_blobs_each_once(self, twin, ask):
        main = ask("status")["registries"]["main"]
        stored = twin.hosts["reg1"].read(
            "cd /var/lib/registry/docker/registry/v2; for link in $(find repositories/team/app "
            "repositories/tools/box -path '*_layers*' -name link); do cat $link; echo; done | sort "
            "-u | sed 's/sha256://' | while read d; do stat -c %s blobs/sha256/$(echo $d | cut "
            "-c1-2)/$d/data; done | awk '{n += $1} END {print n}'"
        )
        assert main["bytes"] == int(stored) > 100_000

    def test_an_external_registry_out_of_our_reach_is_unknown_and_not_well(self, ask, away):
        assert away
        document = ask("status", code=1)
        elsewhere = document["registries"]["elsewhere"]
        assert (elsewhere["health"], elsewhere["attention"]) == ("unknown", ["unknown"])
        assert "refused" in elsewhere["error"]
        said = ask("status", plain=True, code=1)
        assert said.splitlines()[-1] == "Not known: registry elsewhere (unknown)"

    def test_a_cache_is_not_asked_for_what_it_would_fetch(self, twin, ask):
        content = "find /var/lib/cache -path '*/v2/*' -type f | sort | xargs sha256sum"
        before = twin.hosts["reg1"].read(content)
        cache = ask("status")["registries"]["cache"]
        assert (cache["health"], cache["tags"]) == ("healthy", None)
        assert "pulled through it" in cache["note"]
        listed = ask("images", "cache")["registries"]["cache"]
        assert listed["repositories"] == {"library/tool": []}
        assert "upstream" in listed["note"]
        assert twin.hosts["reg1"].read(content) == before

    def test_people_read_it(self, ask):
        said = ask("status", plain=True)
        assert "test: 2 hosts, 4 registries; last apply from here:" in said
        assert "reg1, client1  docker 20.10" in said
        assert "3 repositories (1 empty), 3 tags" in said
        assert said.splitlines()[-1] == "All is well."
        assert "\x1b" not in said

    def test_a_limit_leaves_the_registry_alone(self, twin, ask, counted):
        with counted(twin) as sessions:
            document = ask("status", "--limit", "client1")
        assert sessions == {"reg1": 0, "client1": 1}
        assert list(document["hosts"]) == ["client1"]
        assert document["registries"] == {}

    def test_without_a_password_what_needs_it_is_unknown(self, ask):
        document = ask("status", password=None, code=1)
        assert document["ok"] is False
        assert "ALICE_PASSWORD" in document["unknown"][0]
        assert document["hosts"]["client1"]["unknown"] == [f"login {LOGIN}"]
        assert document["hosts"]["client1"]["changes"] == []
        assert document["registries"]["main"]["tags"] == 3  # asked as the generated user

    def test_without_the_state_directory_nothing_is_known_to_be_well(self, twin, ask, tmp_path):
        elsewhere = tmp_path / "state"
        twin.hosts["reg1"].read("docker stop regfleet-plain")
        try:
            document = ask("status", "--state-dir", elsewhere, code=1)
            said = ask("status", "--state-dir", elsewhere, code=1, plain=True)
        finally:
            twin.hosts["reg1"].read(f"docker start regfleet-plain; {answers(5001)}")
        assert not elsewhere.exists()
        assert document["last_apply"] is None
        assert any("not in the state directory" in reason for reason in document["unknown"])
        assert document["hosts"]["reg1"]["changes"] == []
        assert "container regfleet-main" in document["hosts"]["reg1"]["unknown"]
        assert document["registries"]["main"]["health"] == "unknown"
        assert document["registries"]["plain"]["health"] == "unhealthy"
        assert said.splitlines()[1].startswith("not known: ")
        assert "All is well" not in said


class TestDrift:
    def test_a_host_edited_by_hand_is_told_from_a_new_declaration(self, twin, ask, file, applied):
        client = twin.hosts["client1"]
        text = client.read("cat /etc/docker/daemon.json")
        try:
            client.read("echo '{\"debug\": false}' >/etc/docker/daemon.json")
            document = ask("status", code=1)
            found = document["hosts"]["client1"]
            assert (found["state"], found["attention"]) == ("drift", ["drift"])
            assert [(c["resource"], c["origin"]) for c in found["changes"]] == [
                ("daemon.json insecure-registries", "host"),
                ("daemon.json registry-mirrors", "host"),
            ]
            assert document["hosts"]["reg1"]["state"] == "ok"
            said = ask("status", plain=True, code=1)
            assert "create daemon.json registry-mirrors  client.build.mirrors" in said
            assert "(changed on the host)" in said
            assert f"regfleet plan {applied} --diff" in said
        finally:
            client.run(f"printf '%s\\n' '{text}' >/etc/docker/daemon.json")
        assert ask("status")["ok"] is True
        try:
            file(mirrors=', "https://second.example.com"')
            found = ask("status", code=1)["hosts"]["client1"]
            assert [(c["resource"], c["origin"]) for c in found["changes"]] == [
                ("daemon.json registry-mirrors", "fleet")
            ]
        finally:
            file()

    @pytest.mark.parametrize(
        ("break_it", "resource"),
        [
            pytest.param(f"rm {CA}", f"file {CA}", id="deleted", marks=pytest.mark.soak),
            pytest.param(f"chmod 0600 {CA}", f"file {CA}", id="mode"),
            pytest.param("docker logout registry.test:5000", f"login {LOGIN}", id="login"),
        ],
    )
    def test_what_else_is_done_by_hand(self, twin, ask, apply, break_it, resource):
        twin.hosts["client1"].read(break_it)
        found = ask("status", code=1)["hosts"]["client1"]
        assert [(c["resource"], c["origin"]) for c in found["changes"]] == [(resource, "host")]
        apply()
        assert ask("status")["ok"] is True

    def test_a_new_password_is_a_new_declaration(self, ask):
        document = ask("status", code=1, password="another-password")
        client, registry = (document["hosts"][name]["changes"] for name in ("client1", "reg1"))
        assert [(c["resource"], c["origin"]) for c in client] == [(f"login {LOGIN}", "fleet")]
        assert [(c["resource"], c["origin"]) for c in registry] == [
            ("file /etc/regfleet/main/htpasswd", "fleet")
        ]

    def test_a_configuration_edited_on_the_registry(self, twin, ask):
        registry, config = twin.hosts["reg1"], "/etc/regfleet/main/config.yml"
        registry.read(f"cp -p {config} /root/kept; echo '# mine' >>{config}")
        try:
            changes = ask("status", code=1)["hosts"]["reg1"]["changes"]
        finally:
            registry.read(f"mv /root/kept {config}")
        assert [(c["resource"], c["origin"]) for c in changes] == [(f"file {config}", "host")]


class TestBadDays:
    def test_a_stopped_registry(self, twin, ask):
        twin.hosts["reg1"].read("docker stop regfleet-main")
        try:
            document = ask("status", code=1)
            main = document["registries"]["main"]
            assert (main["health"], main["attention"]) == ("unhealthy", ["unhealthy"])
            assert "no service listens" in main["error"]
            changes = document["hosts"]["reg1"]["changes"]
            assert [(c["resource"], c["reason"]) for c in changes] == [
                ("container regfleet-main", "it does not run")
            ]
            listed = ask("images", "main", code=1)
            assert listed["ok"] is False
            assert "hint" in listed["registries"]["main"]["error"]
            assert "failed: " in ask("images", "main", code=1, plain=True)
        finally:
            twin.hosts["reg1"].read(f"docker start regfleet-main; {answers(5000)}")
        assert ask("status")["ok"] is True

    def test_a_host_that_cannot_be_reached(self, ask, file, twin):
        address = twin.hosts["client1"].address
        try:
            file(edit=lambda text: text.replace(f'"{address}"', '"127.0.0.1", ssh = { port = 1 }'))
            document = ask("status", code=1)
        finally:
            file()
        assert document["hosts"]["client1"]["state"] == "unreachable"
        assert document["hosts"]["reg1"]["state"] == "ok"
        assert document["registries"]["main"]["health"] == "healthy"

    def test_a_registry_whose_host_cannot_be_reached_is_unknown(self, ask, file, twin):
        address = twin.hosts["reg1"].address
        try:
            file(edit=lambda text: text.replace(f'"{address}"', '"127.0.0.1", ssh = { port = 1 }'))
            document = ask("status", code=1)
            listed = ask("images", "main", code=1)
        finally:
            file()
        assert document["registries"]["main"]["health"] == "unknown"
        assert "reg1" in document["registries"]["main"]["error"]
        assert "no SSH connection" in listed["registries"]["main"]["error"]

    def test_a_certificate_near_its_end(self, applied):
        """Of days to come, the survey itself is asked; status knows today alone."""
        fleet = load(applied)
        state = StateDirectory.beside(fleet.path, fleet.name)
        kept = {name: state.read(f"registry/main.{name}") for name in ("crt", "key")}
        now = datetime.now(timezone.utc)
        authority = fleet_ca(state, "test", now, save=False)
        certificate, key = authority.issue("soon over", ["registry.test"], now)
        try:
            state.write_text("registry/main.key", pem.key_to_pem(key))
            state.write("registry/main.crt", pem.certificates_to_pem(certificate))
            done = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    IN_DAYS,
                    str(applied),
                    now.isoformat(),
                    "200",
                    "300",
                    "3000",
                ],
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
                env={
                    **os.environ,
                    "ALICE_PASSWORD": PASSWORD,
                    "PYTHONPATH": os.pathsep.join(sys.path),
                },
            )
        finally:
            for name, content in kept.items():
                state.write(f"registry/main.{name}", content)
        assert done.returncode == 0, done.stderr
        well, soon, much_later = json.loads(done.stdout)
        assert well["warn"] is False
        assert soon["days_left"] == 96
        assert soon["attention"]["registry main"] == ["certificate"]
        assert "fleet CA" not in soon["attention"]
        assert much_later["days_left"] < 0
        assert much_later["attention"]["fleet CA"] == ["certificate"]


# A session needs gevent in place before anything opens a socket, as in every command.
IN_DAYS = """
from gevent import monkey
monkey.patch_all()
import json, sys
from datetime import datetime, timedelta
from pathlib import Path
from regfleet.fleet.load import load
from regfleet.ssh.session import Session
from regfleet.run.survey import survey
from regfleet.state import StateDirectory

fleet = load(Path(sys.argv[1]))
state = StateDirectory.beside(fleet.path, fleet.name)
session = Session(fleet, fleet.hosts())
told = []
for days in sys.argv[3:]:
    when = datetime.fromisoformat(sys.argv[2]) + timedelta(days=int(days))
    status = survey(fleet, state, session, ["reg1"], now=when)
    certificate = status.registries["main"].certificate
    told.append({"warn": certificate.warn, "days_left": certificate.days_left,
                 "attention": status.attention})
session.close()
print(json.dumps(told))
"""


def test_a_registry_that_is_down_is_so_without_a_ca_to_ask_with(twin, ask, tmp_path):
    twin.hosts["reg1"].read("docker stop regfleet-main regfleet-plain")
    try:
        document = ask("status", "--state-dir", tmp_path / "state", code=1, password=None)
    finally:
        twin.hosts["reg1"].read(f"docker start regfleet-main regfleet-plain; {answers(5000, 5001)}")
    found = {name: each["health"] for name, each in document["registries"].items()}
    assert found["main"] == found["plain"] == "unhealthy"


def test_a_storage_that_is_full(twin, ask):
    registry = twin.hosts["reg1"]
    assert ask("status")["registries"]["plain"]["room"]["warnings"] == []
    registry.read(
        "mount -t tmpfs -o size=1m,nr_inodes=20,mode=$(stat -c %a /var/lib/plain) none "
        "/var/lib/plain; cd /var/lib/plain; "
        "dd if=/dev/zero of=full bs=64k count=99 2>/dev/null; touch $(seq 18)"
    )
    try:
        document = ask("status", code=1)
        said = ask("status", plain=True, code=1)
    finally:
        registry.read("umount /var/lib/plain")
    plain = document["registries"]["plain"]
    assert plain["attention"] == ["room"]
    assert plain["room"]["bytes_free"] == 0
    assert plain["room"]["warnings"] == [
        "less than 10 % free",
        "less than 10 % of the inodes free",
    ]
    assert document["hosts"]["reg1"]["state"] == "ok"
    assert "Needs attention: registry plain (room)" in said


class TestImages:
    def test_what_the_registry_says_is_what_docker_pushed(self, twin, ask):
        document = ask("images", "main")
        assert document["ok"] is True
        found = document["registries"]["main"]["repositories"]
        assert set(found) == {"team/app", "tools/box"}
        assert document["registries"]["main"]["hidden_repositories"] == 1
        everything = ask("images", "main", "--all")["registries"]["main"]
        assert set(everything["repositories"]) == {*found, "regfleet-smoke/client1"}
        assert everything["repositories"]["regfleet-smoke/client1"] == []
        assert everything["hidden_repositories"] == 0
        assert [tag["tag"] for tag in found["team/app"]] == ["1", "latest"]
        pushed = twin.hosts["client1"].read(
            "docker image inspect -f '{{range .RepoDigests}}{{println .}}{{end}}' busybox:latest"
        )
        one = found["team/app"][0]
        assert f"registry.test:5000/team/app@{one['digest']}" in pushed.split()
        assert one["platforms"] == ["linux/amd64"]
        created = twin.hosts["client1"].read(
            "docker image inspect -f '{{.Created}}' busybox:latest"
        )
        assert one["created"][:19] == created[:19]
        assert one | {"tag": ""} == found["tools/box"][0] | {"tag": ""}

    @pytest.mark.parametrize("what", ["main/team/app", "registry.test:5000/team/app"])
    def test_one_repository(self, ask, what):
        document = ask("images", what)
        assert list(document["registries"]["main"]["repositories"]) == ["team/app"]

    def test_people_read_it(self, ask):
        lines = ask("images", "main", plain=True).splitlines()
        assert lines[0] == "main  registry.test:5000: 2 repositories, 3 tags"
        assert lines[1].split() == [
            "repository",
            "tag",
            "digest",
            "size",
            "platforms",
            "created",
        ]
        assert [line.split()[:2] for line in lines[2:5]] == [
            ["team/app", "1"],
            ["team/app", "latest"],
            ["tools/box", "7"],
        ]
        assert lines[5] == "  1 empty repository of the smoke test left out (--all)"
        shown = ask("images", "main", "--all", plain=True).splitlines()
        assert shown[5] == "  regfleet-smoke/client1  no tags"

    def test_no_password_of_one_user_is_needed_where_another_is_known(self, ask):
        assert ask("images", "main", password=None)["ok"] is True

    @pytest.mark.parametrize(
        ("what", "code", "words"),
        [
            ("mian", 2, "did you mean main?"),
            ("nothing-like-it", 2, "registries are main, plain, cache, elsewhere"),
            ("main/team/ap", 1, "did you mean team/app?"),
        ],
    )
    def test_names_that_are_not_there(self, regfleet, applied, what, code, words):
        done = regfleet("images", applied, what, ALICE_PASSWORD=PASSWORD)
        assert done.returncode == code
        assert words in done.stdout + done.stderr

    def test_another_registry_that_is_down_does_not_hide_this_one(self, ask, away):
        assert away
        document = ask("images", code=1)
        assert document["registries"]["elsewhere"]["error"]
        assert "team/app" in document["registries"]["main"]["repositories"]
