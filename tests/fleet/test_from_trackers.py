"""daemon.json as people's bug reports have it, on hosts with old and newer Docker.

Each is either edited, so that the engine has what is declared and what was there, and the next plan
is empty; or refused, and left as it is.
"""

import json

import pytest

from regfleet.rehearse.twin import HostSpec

BODY = """
[registry.plain]
external = true
endpoint = "plain.test:5000"
tls = { source = "none" }

[client.all]
hosts = [$old, $newer]
registries = ["plain"]
mirrors = ["https://m.test"]
"""
FILE = "/etc/docker/daemon.json"
RESTART = "systemctl reset-failed docker; systemctl restart docker"
# By where it is from (an issue of that repository), or by what is wrong in many: the text.
EDITED = {
    "a scheme before the address": '{"insecure-registries": ["http://10.0.0.1:5000"]}',
    "docker/for-linux 327": '{\n  "insecure-registries" : ["192.168.0.2:5000"]\n}\n',
    "lines as Windows ends them": '{\r\n\t"insecure-registries": ["10.0.0.1:5000"]\r\n}\r\n',
    "all networks": '{"insecure-registries": ["0.0.0.0/0", "::/0"]}',
    "one mirror twice": (
        '{"registry-mirrors": ["https://m.test/", "https://n.test", "https://n.test/"]}'
    ),
}
REFUSED = {
    "moby 43051, a blank before the name": '{"insecure-registries": [" myregistry:5000"]}',
    "moby 30183, one document behind another": '{}\n{ "insecure-registries":["10.0.0.1:5000"] }\n',
    "moby 30183, half a list": '{ "insecure-registries":"this.is.my.ip:5000"] }\n',
    "geerlingguy/ansible-role-docker 411, hosts beside the unit's -H": (
        '{"hosts": ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2375"]}'
    ),
    "a key that stands there twice": (
        '{"insecure-registries": ["a.test:1"], "insecure-registries": ["b.test:1"]}'
    ),
    "a comment": '{"debug": true} // as long as it hangs\n',
    "capitals, which Docker takes for a key that it has not": (
        '{"Insecure-Registries": ["a.test:1"]}'
    ),
    "a text for a list": '{"insecure-registries": "10.0.0.1:5000"}',
    "moby 34476, a mirror without a scheme": '{"registry-mirrors": ["example.com:5000"]}',
}
# Those on which the engine does not come up, or has the same to do as with another one.
REPEATED = (
    "a scheme before the address",
    "one mirror twice",
    "moby 43051, a blank before the name",
    "capitals, which Docker takes for a key that it has not",
    "moby 34476, a mirror without a scheme",
)


def some(texts):
    """All of them; those that repeat another are in the soak alone."""
    return [
        pytest.param(text, id=name, marks=[pytest.mark.soak] if name in REPEATED else [])
        for name, text in texts.items()
    ]


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(HostSpec("old"), HostSpec("newer", "trixie"))


@pytest.fixture
def run(twin, write_fleet, regfleet, tmp_path):
    fleet = write_fleet(twin, BODY)

    def command(name, *options):
        return regfleet(name, fleet, "--json", "--state-dir", tmp_path / "state", *options)

    yield command
    put(twin, "{}")
    for host in twin.hosts.values():
        host.read(f"{RESTART}; rm -rf {FILE} /var/lib/regfleet")


def put(twin, text):
    for host in twin.hosts.values():
        host.run(f"cat >{FILE}", stdin=text)


def live(host):
    config = json.loads(host.read("docker info -f '{{json .RegistryConfig}}'"))
    insecure = {name for name, each in config["IndexConfigs"].items() if not each["Secure"]}
    return insecure, {each.rstrip("/") for each in config["Mirrors"] or ()}


@pytest.mark.parametrize("text", some(EDITED))
def test_what_is_edited(twin, run, text):
    put(twin, text)
    for host in twin.hosts.values():
        host.read(RESTART)
    before = {name: live(host) for name, host in twin.hosts.items()}
    done = run("apply", "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    for name, host in twin.hosts.items():
        insecure, mirrors = live(host)
        assert insecure >= before[name][0] | {"plain.test:5000"}
        assert mirrors >= before[name][1] | {"https://m.test"}
    again = run("plan", "--detailed-exitcode")
    assert again.returncode == 0, again.stdout
    assert run("destroy", "--yes").returncode == 0
    for name, host in twin.hosts.items():
        assert host.run(f"cat {FILE}").stdout == text
        assert live(host) == before[name]


def test_an_empty_file_with_which_dockerd_would_not_start_again(twin, run):
    """moby/moby#25471: it ends with EOF. With what is declared in it, it starts."""
    put(twin, "")
    done = run("apply", "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    for host in twin.hosts.values():
        host.read(RESTART)
        insecure, mirrors = live(host)
        assert ("plain.test:5000" in insecure, "https://m.test" in mirrors) == (True, True)
    done = run("destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for host in twin.hosts.values():
        assert host.run(f"cat {FILE}").stdout == ""  # as it was


@pytest.mark.parametrize("text", some(REFUSED))
def test_what_is_refused(twin, run, text):
    put(twin, text)
    done = run("apply", "--yes", "--no-smoke")
    assert done.returncode == 1
    errors = {name: each["error"] for name, each in json.loads(done.stdout)["hosts"].items()}
    for name, host in twin.hosts.items():
        assert any(word in errors[name] for word in (FILE, "example.com:5000", "myregistry")), (
            errors
        )
        assert host.read(f"cat {FILE}") == text.strip()
        assert host.run("docker version").returncode == 0


# How the file lies there: what lays it so, what takes it back.
AWAY = "mkdir -p /srv/away && cp /etc/docker/daemon.json /srv/away/"
READ_ONLY = "mount --bind /srv/away /srv/away; mount -o remount,ro,bind /srv/away"
TO_LINK = "mv /etc/docker /etc/docker.kept && ln -s /srv/away /etc/docker"
LAID = {
    "a link, as people keep their settings in a repository": (
        f"{AWAY}; ln -sf /srv/away/daemon.json {FILE}",
        f"rm -f {FILE}",
    ),
    "the directory is a link": (
        f"cp -a /etc/docker /srv/away && {TO_LINK}",
        "rm /etc/docker; mv /etc/docker.kept /etc/docker",
    ),
}
NOT_WRITTEN = {
    "NixOS, a link into a store that is read-only": (
        f"{AWAY}; {READ_ONLY}; ln -sf /srv/away/daemon.json {FILE}",
        f"rm -f {FILE}; umount /srv/away",
    ),
    "moby 28187, a file that is mounted there cannot be replaced": (
        f"{AWAY}; mount --bind /srv/away/daemon.json {FILE}",
        f"umount {FILE}",
    ),
    "a directory, which docker run -v makes of a file that is not there": (
        f"rm -f {FILE}; mkdir {FILE}",
        f"rmdir {FILE}",
    ),
}


@pytest.fixture
def laid(twin, run, request):
    del run  # what it puts right comes last
    lay, take_back = request.param
    put(twin, '{"debug": false}\n')
    for host in twin.hosts.values():
        host.read(lay)
    yield
    for host in twin.hosts.values():
        host.read(f"{take_back}; rm -rf /srv/away")


@pytest.mark.usefixtures("laid")
@pytest.mark.parametrize("laid", LAID.values(), ids=LAID, indirect=True)
def test_where_it_lies_it_stays(twin, run):
    done = run("apply", "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    for host in twin.hosts.values():
        assert "plain.test:5000" in host.read("cat /srv/away/daemon.json")
        assert host.read(f"readlink -f {FILE}") == "/srv/away/daemon.json"
        assert "plain.test:5000" in live(host)[0]
    assert run("plan", "--detailed-exitcode").returncode == 0
    assert run("destroy", "--yes").returncode == 0
    for host in twin.hosts.values():
        assert host.run("cat /srv/away/daemon.json").stdout == '{"debug": false}\n'


@pytest.mark.usefixtures("laid")
@pytest.mark.parametrize("laid", NOT_WRITTEN.values(), ids=NOT_WRITTEN, indirect=True)
def test_what_cannot_be_written_stays_as_it_is(twin, run):
    before = {name: live(host) for name, host in twin.hosts.items()}
    done = run("apply", "--yes", "--no-smoke")
    assert done.returncode == 1
    for name, each in json.loads(done.stdout)["hosts"].items():
        assert FILE in each["error"] or "/srv/away/daemon.json" in each["error"]
        assert "putting things back did not succeed" not in each["error"]
        assert live(twin.hosts[name]) == before[name]
