"""k3s and BuildKit, which no package has: their files on a real host, and the restart seen.

The services are stand-ins that do nothing: that the engines read these files is not shown here.
"""

import json
import subprocess

import pytest
import tomli
import yaml

from regfleet.rehearse.twin import HostSpec

BODY = """
[registry.theirs]
external = true
endpoint = "reg.test:5000"
tls = {{ source = "files", ca = "ca.crt" }}
users.ci = {{ password = {{ command = "echo canary-8d1f" }} }}

[registry.plain]
external = true
endpoint = "reg.test:5001"
tls = {{ source = "none" }}

[client.nodes]
hosts = [$node]
engine = "{engine}"
registries = ["theirs", "plain"]
mirrors = {{ "docker.io" = ["plain"], "quay.io" = ["plain"] }}
{login}
[client.nodes.proxy]
https = "http://proxy.test:3128"
user = "me"
password = {{ command = "echo canary-8d1f" }}
"""
ENGINES = {
    "k3s": {
        "program": "echo 'k3s version v1.30.4+k3s1 (98262b5d)'",
        "unit": "k3s-agent",
        "prefix": "CONTAINERD_",
        "file": "/etc/rancher/k3s/registries.yaml",
        "foreign": '# ours\nmirrors:\n  a.test: {endpoint: ["https://m.test"]} # first\n',
        "login": 'login = { theirs = "ci" }',
        "read": yaml.safe_load,
    },
    "buildkit": {
        "program": "echo 'buildkitd github.com/moby/buildkit v0.12.5 bac3f2b'",
        "unit": "buildkit",
        "prefix": "",
        "file": "/etc/buildkit/buildkitd.toml",
        "foreign": '# ours\n[registry."a.test"]\n  mirrors = ["m.test"] # first\n',
        "login": "",
        "read": tomli.loads,
    },
}


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(HostSpec("node", variant="bare"))
    for name, engine in ENGINES.items():
        program = "buildkitd" if name == "buildkit" else name
        twin.hosts["node"].run(
            f"cat >/usr/local/bin/{program}; chmod 0755 /usr/local/bin/{program}",
            stdin=f"#!/bin/sh\n{engine['program']}\n",
        )
        twin.hosts["node"].run(
            f"cat >/etc/systemd/system/{engine['unit']}.service; systemctl daemon-reload; "
            f"systemctl start {engine['unit']}",
            stdin="[Service]\nExecStart=/bin/sleep infinity\n",
        )
    return twin


def _authority(directory):
    """A CA's certificate, in the file that the fleet file names."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subprocess.run(
        [
            *("openssl", "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt"),
            *("-days", "9", "-subj", "/CN=theirs"),
        ],
        cwd=directory,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def fleet(twin, write_fleet, tmp_path, name):
    _authority(tmp_path)
    return write_fleet(twin, BODY.format(engine=name, login=ENGINES[name]["login"]))


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("foreign", [False, True], ids=["new", "foreign"])
def test_from_nothing_to_nothing(twin, fleet, regfleet, name, foreign):
    engine, node = ENGINES[name], twin.hosts["node"]
    unit, file = engine["unit"], engine["file"]
    ca = (fleet.parent / "ca.crt").read_text()
    if foreign:
        node.run(f"mkdir -p $(dirname {file}); cat >{file}", stdin=engine["foreign"])
    tree = "cd /etc; find rancher buildkit -type f -exec sha256sum {} + 2>/dev/null | sort"
    pid = f"systemctl show -p MainPID --value {unit}"
    before, first = node.read(tree), node.read(pid)

    done = regfleet("apply", fleet, "--yes", "--json", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    changes = json.loads(done.stdout)["hosts"]["node"]["changes"]
    assert {each["activation"] for each in changes if each["resource"] == f"file {file}"} == {
        "restart"
    }
    second = node.read(pid)
    assert second not in {first, "0"}
    environment = node.read(f"tr '\\0' '\\n' </proc/{second}/environ").splitlines()
    proxy = f"{engine['prefix']}HTTPS_PROXY=http://me:canary-8d1f@proxy.test:3128"
    assert proxy in environment
    assert "canary-8d1f" not in node.read(f"systemctl show {unit}")
    drop_ins = f"/etc/systemd/system/{unit}.service.d"
    assert node.read(f"stat -c %a {drop_ins}/regfleet-test-proxy.env") == "600"
    text = node.read(f"cat {file}")
    written = engine["read"](text)
    assert "quay.io" in written.get("mirrors", written.get("registry"))
    assert "reg.test:5000" in json.dumps(written)
    assert "a.test" in written.get("mirrors", written.get("registry")) or not foreign
    assert ("canary-8d1f" in text) == bool(engine["login"])
    if engine["login"]:
        assert node.read(f"stat -c %a {file}") == "600"
    ca_file = f"{file.rpartition('/')[0]}/certs.d/reg.test:5000/ca.crt"
    assert node.read(f"cat {ca_file}") == ca.strip()
    for shown in (done.stdout, done.stderr, node.read("cat /var/lib/regfleet/owned.json")):
        assert "canary-8d1f" not in shown

    again = regfleet("apply", fleet, "--yes")
    assert "nothing to do" in again.stdout
    assert node.read(pid) == second

    gone = regfleet("destroy", fleet, "--yes")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert node.read(tree) == before
    third = node.read(pid)
    assert third not in {second, "0"}
    assert "PROXY" not in node.read(f"tr '\\0' '\\n' </proc/{third}/environ")
    assert node.run(f"ls -d {drop_ins}").stdout == ""
    if foreign:
        node.read(f"rm -r $(dirname {file})")


def _planned(regfleet, fleet):
    done = regfleet("plan", fleet, "--json")
    return done.returncode, json.loads(done.stdout)["hosts"]["node"]


@pytest.fixture
def k3s_folder(twin):
    """k3s's directories, which no test before has left there."""
    node = twin.hosts["node"]
    places = "/etc/rancher /var/lib/rancher"
    node.read("mkdir -p /etc/rancher/k3s /var/lib/rancher/k3s/agent/etc/containerd")
    yield node
    node.read(f"rm -rf {places}")


@pytest.mark.parametrize("name", ["k3s"])
@pytest.mark.parametrize(
    "case",
    [
        # k3s-io/k3s#6754, rancher/rke2#5084: a template that is a copy of config.toml.
        (
            "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl",
            'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\n',
            "config.toml.tmpl takes the place of what K3s writes for containerd",
        ),
        ("/etc/rancher/k3s/config.yaml", "docker: true\ntoken: secret-7f31\n", "runs Docker there"),
        (
            "/etc/rancher/k3s/config.yaml.d/crio.yaml",
            'container-runtime-endpoint: "unix:///run/crio/crio.sock"\n',
            "another runtime there (container-runtime-endpoint: unix:///run/crio/crio.sock)",
        ),
    ],
    ids=["template", "docker", "endpoint"],
)
def test_a_k3s_that_does_not_read_its_file_is_refused(k3s_folder, fleet, regfleet, case):
    file, text, said = case
    k3s_folder.run(f"mkdir -p $(dirname {file}); cat >{file}", stdin=text)
    code, found = _planned(regfleet, fleet)
    assert code == 1
    assert said.lower() in found["error"].lower(), found
    assert "secret-7f31" not in json.dumps(found)


@pytest.mark.parametrize("name", ["k3s"])
def test_the_file_that_k3s_reads_elsewhere_is_written(k3s_folder, fleet, regfleet):
    """Also one with a template that takes over what registries.yaml says."""
    template = "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl"
    k3s_folder.run(f"cat >{template}", stdin='{{ template "base" . }}\n[debug]\nlevel = "info"\n')
    settings = "private-registry: /srv/k3s/ours.yaml # by hand\ntoken: secret-7f31\n"
    k3s_folder.run("mkdir -p /srv/k3s; cat >/etc/rancher/k3s/config.yaml", stdin=settings)
    done = regfleet("apply", fleet, "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reg.test:5000" in k3s_folder.read("cat /srv/k3s/ours.yaml")
    assert k3s_folder.run("ls /etc/rancher/k3s/registries.yaml").returncode != 0
    # It reads the usual one again: ours moves there.
    k3s_folder.read("rm /etc/rancher/k3s/config.yaml")
    done = regfleet("apply", fleet, "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    assert k3s_folder.run("ls /srv/k3s/ours.yaml").returncode != 0
    assert "reg.test:5000" in k3s_folder.read("cat /etc/rancher/k3s/registries.yaml")
    assert "nothing to do" in regfleet("apply", fleet, "--yes", "--no-smoke").stdout
    assert regfleet("destroy", fleet, "--yes").returncode == 0
    assert k3s_folder.run("ls /etc/rancher/k3s/registries.yaml").returncode != 0


def test_a_cri_o_that_reads_registries_elsewhere_is_refused(twin, write_fleet, regfleet, tmp_path):
    node = twin.hosts["node"]
    node.run("cat >/usr/local/bin/crio; chmod 0755 /usr/local/bin/crio", stdin="#!/bin/sh\n:\n")
    unit = (
        "[Service]\nEnvironment=CONTAINER_REGISTRIES_CONF_DIR={}\nExecStart=/bin/sleep infinity\n"
    )
    _authority(tmp_path)
    fleet = write_fleet(twin, BODY.format(engine="cri-o", login=""))
    start = "cat >/etc/systemd/system/crio.service; systemctl daemon-reload; systemctl restart crio"
    node.run(start, stdin=unit.format("/srv/registries.conf.d"))
    code, found = _planned(regfleet, fleet)
    assert code == 1
    assert "CONTAINER_REGISTRIES_CONF_DIR=/srv/registries.conf.d" in found["error"], found
    node.run(start, stdin=unit.format("/etc/containers/registries.conf.d"))
    code, found = _planned(regfleet, fleet)
    assert code == 0, found
    node.read("systemctl stop crio; rm /etc/systemd/system/crio.service /usr/local/bin/crio")
