"""daemon.json on real hosts: edited in place, given back to the byte, owned since version 1."""

import json

import pytest

from answering import RELOADED
from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

BODY = """
[registry.plain]
external = true
endpoint = "plain.example:5001"
smoke = false
tls = { source = "none" }

[client.build]
hosts = [$old, $new]
registries = ["plain"]
mirrors = ["https://mirror.example.com"]
daemon = { debug = true }

[smoke]
image_archive = "$busybox_tar"
"""
DAEMON = "/etc/docker/daemon.json"
BOM = "\ufeff"
ODD = '{\r\n\t"max-concurrent-uploads": 3, "labels": [ "caf\\u00e9=1",\r\n\t\t"b=2" ]\r\n}'
ADDED = (
    ', "insecure-registries": ["plain.example:5001"],'
    ' "registry-mirrors": ["https://mirror.example.com"], "debug": true'
)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(HostSpec("old"), HostSpec("new", "trixie"))


@pytest.fixture
def run(twin, write_fleet, regfleet):
    fleet = write_fleet(twin, BODY)
    yield lambda *command: regfleet(command[0], fleet, *command[1:])
    regfleet("destroy", fleet, "--yes")
    for host in twin.hosts.values():
        host.read(f"rm -f {DAEMON}; systemctl reset-failed docker; systemctl restart docker")


def put(host, text):
    done = host.run(f"mkdir -p /etc/docker && cat >{DAEMON}", stdin=text)
    assert done.returncode == 0, done.stderr
    host.read(RELOADED)


def bytes_of(host):
    done = host.run(f"base64 -w 0 {DAEMON}")
    return done.stdout.strip() if done.returncode == 0 else None


def live(host):
    shown = json.loads(host.read("docker info -f '{{json .}}'"))
    return shown["RegistryConfig"]["Mirrors"], shown["Debug"]


def test_bytes_of_others_stay_and_come_back(twin, run):
    before = {}
    for name, host in twin.hosts.items():
        put(host, ODD)
        before[name] = bytes_of(host)
    done = run("apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for host in twin.hosts.values():
        text = host.run(f"cat {DAEMON}").stdout
        assert text.replace("\r\n", "\n") == f"{ODD[:-3]}{ADDED}{ODD[-3:]}".replace("\r\n", "\n")
        assert live(host) == (["https://mirror.example.com/"], True)
    assert "nothing to do on 2 hosts" in run("apply", "--yes").stdout
    done = run("destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for name, host in twin.hosts.items():
        assert bytes_of(host) == before[name]
        mirrors, debug = live(host)
        assert (mirrors or [], debug) == ([], False)


def test_an_empty_file_comes_back_empty_and_a_missing_one_goes(twin, run):
    empty, missing = twin.hosts["new"], twin.hosts["old"]
    put(empty, "")
    missing.read(f"rm -f {DAEMON}")
    assert run("apply", "--yes").returncode == 0
    assert live(empty) == live(missing) == (["https://mirror.example.com/"], True)
    assert run("destroy", "--yes").returncode == 0
    assert bytes_of(empty) == ""
    assert bytes_of(missing) is None


def test_a_byte_order_mark_stays_or_is_refused(twin, run):
    for host in twin.hosts.values():
        host.run(f"mkdir -p /etc/docker && cat >{DAEMON}", stdin=f'{BOM}{{"labels": ["a=b"]}}\n')
    before = bytes_of(twin.hosts["old"])
    done = run("apply", "--yes")
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert "begins with a byte order mark, which Docker 20.10" in said
    assert bytes_of(twin.hosts["old"]) == before
    assert live(twin.hosts["new"]) == (["https://mirror.example.com/"], True)
    assert twin.hosts["new"].read(f"head -c 3 {DAEMON} | od -An -tx1").split() == ["ef", "bb", "bf"]
    twin.hosts["new"].read("systemctl restart docker")  # it reads it at its start, too
    assert live(twin.hosts["new"]) == (["https://mirror.example.com/"], True)


def as_version_1(text):
    """A record as the first version wrote it."""
    document = json.loads(text)
    document["version"] = 1
    for section in document["fleets"].values():
        edit = section["edits"].pop(DAEMON, {"created": False, "lists": {}, "values": {}})
        section["daemon_created"] = edit["created"]
        for kind in ("lists", "values"):
            section[kind] = {json.loads(key)[0]: each for key, each in edit[kind].items()}
    return json.dumps(document, indent=1) + "\n"


def test_what_version_1_applied_is_as_it_should_be_and_goes_again(twin, run):
    for host in twin.hosts.values():
        put(host, '{"debug": false}\n')
    assert run("apply", "--yes").returncode == 0
    for host in twin.hosts.values():
        record = as_version_1(host.run("cat /var/lib/regfleet/owned.json").stdout)
        host.run("cat >/var/lib/regfleet/owned.json", stdin=record)
    planned = run("plan", "--detailed-exitcode")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert run("destroy", "--yes").returncode == 0
    for host in twin.hosts.values():
        assert host.run(f"cat {DAEMON}").stdout == '{"debug": false}\n'
        assert host.run("ls /var/lib/regfleet").stdout == ""
