"""containerd on real hosts, 1.6, 1.7 and 2.x: ctr and CRI pull as they are to, and all goes again.

CRI is asked as kubelet asks it: by gRPC on containerd's socket. No package has crictl.
"""

import json
import re

import pytest

from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

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

[client.nodes]
hosts = [$ctd1, $ctd2, $reg1]
engine = "containerd"
registries = ["main", "plain"]
mirrors = ["plain"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
STEPS = ("present", "push", "remove", "pull", "digest", "run", "delete")
CLIENTS = ("ctd1", "ctd2", "reg1")
CONFIG = "/etc/containerd/config.toml"
HOSTS = "/etc/containerd/certs.d"
MAIN = f"{HOSTS}/registry.test:5000/hosts.toml"
PACKAGED = (
    "cd /; dpkg-query -f '${Conffiles}\\n' -W containerd | "
    "awk '/config.toml/ { print $2, $1 }' | md5sum -c -"
)
STATE = "find /etc/containerd -type f -exec sha256sum {} + | sort; find /etc/containerd | sort"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    """`ctd1` and `ctd2` come without any engine; `reg1` has containerd under its Docker.

    On `ctd1` the environment says that ctr has to ask another containerd.
    """
    twin = boot_for_module(
        HostSpec("reg1", aliases=("registry.test",)),
        HostSpec("ctd1", variant="bare"),
        HostSpec("ctd2", "trixie", "bare"),
    )
    elsewhere = "CONTAINERD_ADDRESS=/run/none.sock\nCONTAINERD_NAMESPACE=none\n"
    twin.hosts["ctd1"].run("cat >>/etc/environment", stdin=elsewhere)
    return twin


@pytest.fixture
def fleet(twin, write_fleet):
    return write_fleet(twin, BODY)


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """One state directory for all of the file's tests: they are one fleet's days."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(fleet, state, regfleet):
    """`run("apply", "--yes")` on the fleet."""
    return lambda command, *options: regfleet(command, fleet, "--state-dir", state, *options)


def _smoke_passed(hosts, names):
    for name in names:
        checks = {f"{registry}/{step}" for registry in ("main", "plain") for step in STEPS}
        assert {check: hosts[name]["smoke"].get(check) for check in checks} == dict.fromkeys(
            checks, "passed"
        )


def _apply(run, *arguments):
    done = run("apply", "--yes", "--json", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["hosts"]


def _push(twin, seeds, name, target):
    """An image that stays in a registry."""
    host = twin.hosts[name]
    host.copy_in(seeds.busybox, "/root/busybox.tar")
    host.read(
        "ctr -n push images import /root/busybox.tar && rm /root/busybox.tar && "
        f"ctr -n push images tag docker.io/library/busybox:latest {target} && "
        f"ctr -n push images push --hosts-dir {HOSTS} {target} && "
        f"ctr -n push images rm --sync {target} docker.io/library/busybox:latest && "
        "ctr ns rm push"
    )


def _version(host):
    return host.read("containerd --version").split()[2].lstrip("v")


def test_it_is_installed_configured_and_proven(twin, run):
    hosts = _apply(run)
    _smoke_passed(hosts, CLIENTS)
    for name in ("ctd1", "ctd2"):
        assert "package containerd" in [each["resource"] for each in hosts[name]["changes"]]
        assert twin.hosts[name].read(f"stat -c '%a %U' {MAIN}") == "600 root"
        assert twin.hosts[name].read("ctr namespaces ls -q") == ""
    for name in CLIENTS:
        assert 'config_path = "/etc/containerd/certs.d"' in twin.hosts[name].read(f"cat {CONFIG}")


def test_a_second_run_finds_nothing_and_costs_one_command(twin, run, counted):
    with counted(twin) as counts:
        done = run("apply", "--yes")
    assert "nothing to do on 3 hosts" in done.stdout, done.stdout + done.stderr
    assert counts == dict.fromkeys(CLIENTS, 1)


@pytest.mark.parametrize("name", CLIENTS)
def test_cri_pulls_with_the_login_and_by_the_mirror(twin, seeds, cri_pull, proven, name):
    _push(twin, seeds, name, f"registry.test:5000/kept/{name}:1")
    _push(twin, seeds, name, f"registry.test:5001/library/{name}:1")
    for reference in (f"registry.test:5000/kept/{name}:1", f"docker.io/library/{name}:1"):
        assert "grpc-status: 0" in cri_pull(name, reference)
        twin.hosts[name].read(f"ctr -n k8s.io images rm --sync {reference}")
    host = twin.hosts[name]
    proven("containerd", _version(host), host.spec.suite, "TLS, plain, mirror, login; ctr, CRI")


DROP_IN = "/etc/containerd/conf.d/99-nvidia.toml"
TAKES_OVER = r"""
mkdir -p /etc/containerd/conf.d
sed -i '1i imports = ["/etc/containerd/conf.d/*.toml"]' /etc/containerd/config.toml
cat >/etc/containerd/conf.d/99-nvidia.toml <<'X'
version = 2
# written by nvidia-ctk
[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "runc"
X
systemctl restart containerd
"""
GONE_AGAIN = r"""
rm -r /etc/containerd/conf.d
sed -i '/^imports/d' /etc/containerd/config.toml
systemctl restart containerd
"""


def test_an_imported_file_that_takes_the_plugins_table_over(twin, run, cri_pull):
    """As NVIDIA's toolkit writes it. Up to 1.7 it makes CRI forget config.toml's config_path."""
    names = ("ctd1", "ctd2")

    def effective(name):
        dump = twin.hosts[name].read("containerd config dump")
        return re.findall(r"^ +config_path = ['\"](/[^'\"]*)", dump, re.MULTILINE)

    for name in names:
        twin.hosts[name].read(TAKES_OVER)
    assert [effective(name) for name in names] == [[], []]
    hosts = _apply(run, "--limit", ",".join(names))
    for name in names:
        changed = [each["resource"] for each in hosts[name]["changes"]]
        assert f"file {DROP_IN}" in changed, changed
        assert effective(name) == [HOSTS]
        assert "# written by nvidia-ctk" in twin.hosts[name].read(f"cat {DROP_IN}")
        assert "grpc-status: 0" in cri_pull(name, f"registry.test:5000/kept/{name}:1")
        twin.hosts[name].read(f"ctr -n k8s.io images rm --sync registry.test:5000/kept/{name}:1")
    assert "nothing to do" in run("plan").stdout
    for name in names:
        twin.hosts[name].read(GONE_AGAIN)
    _apply(run, "--limit", ",".join(names))
    assert [effective(name) for name in names] == [[HOSTS], [HOSTS]]


def test_what_drifts_comes_back(twin, run):
    host = twin.hosts["ctd1"]
    before = host.read(STATE)
    started = host.read("systemctl show -p ActiveEnterTimestampMonotonic containerd")
    host.read(f"chmod 0644 {MAIN}; sed -i '/^ca = /d' {MAIN}; rm -r {HOSTS}/docker.io")
    done = run("plan", "--diff", "--limit", "ctd1")
    assert '+ca = "/etc/containerd/certs.d/registry.test:5000/ca.crt"' in done.stdout
    _apply(run, "--limit", "ctd1")
    assert host.read(f"stat -c %a {MAIN}") == "600"
    assert host.read(STATE) == before
    host.read(f"chmod 0644 {MAIN}")
    _apply(run, "--limit", "ctd1", "--no-smoke")
    assert host.read(f"stat -c %a {MAIN}") == "600"
    # hosts.toml is read at every pull: nothing was restarted for it.
    assert host.read("systemctl show -p ActiveEnterTimestampMonotonic containerd") == started


def test_a_service_that_is_disabled_or_masked_is_said(twin, run):
    host = twin.hosts["ctd1"]
    host.read("systemctl disable containerd")
    done = run("plan", "--limit", "ctd1")
    noted = " ".join((done.stdout + done.stderr).split())
    assert "run there: systemctl enable containerd" in noted, noted
    host.read(f"systemctl mask containerd; cp {CONFIG} /root/kept; sed -i /config_path/d {CONFIG}")
    refused = run("apply", "--yes", "--limit", "ctd1")
    assert refused.returncode == 1
    said = " ".join((refused.stdout + refused.stderr).split())
    assert "containerd.service is masked" in said, said
    assert "config_path" not in host.read(f"cat {CONFIG}")
    host.read(f"cp /root/kept {CONFIG}; systemctl unmask containerd; systemctl enable containerd")
    assert "nothing to do" in run("apply", "--yes", "--limit", "ctd1").stdout


def test_a_login_is_shown_nowhere(twin, fleet, run):
    host = twin.hosts["ctd2"]
    (secret,) = re.findall(r"Basic ([^\"]+)", host.read(f"cat {MAIN}"))
    fleet.write_text(fleet.read_text().replace('login = { main = "ci" }\n', ""))
    gone = run("plan", "--diff", "--limit", "ctd2", "-v")
    assert "Authorization" in gone.stdout
    _apply(run, "--limit", "ctd2", "--no-smoke")
    assert "Authorization" not in host.read(f"cat {MAIN}")
    fleet.write_text(
        fleet.read_text().replace('mirrors = ["plain"]', 'mirrors = ["plain"]\nlogin.main = "ci"')
    )
    come = run("plan", "--diff", "--limit", "ctd2", "-v")
    _apply(run, "--limit", "ctd2")
    record = host.read("cat /var/lib/regfleet/owned.json")
    for text in (gone.stdout, gone.stderr, come.stdout, come.stderr, record):
        assert secret not in text
    assert secret in host.read(f"cat {MAIN}")


def test_a_configuration_that_it_does_not_start_with_is_taken_back(twin, run):
    host = twin.hosts["ctd1"]
    run("destroy", "--yes", "--limit", "ctd1")
    host.read("mkdir -p /etc/systemd/system/containerd.service.d")
    host.run(
        "cat >/etc/systemd/system/containerd.service.d/refuse.conf; systemctl daemon-reload",
        stdin=f"[Service]\nRestart=no\nExecStartPre=/bin/sh -c '! grep -q certs.d {CONFIG}'\n",
    )
    before = host.read(STATE)
    try:
        done = run("apply", "--yes", "--json", "--limit", "ctd1")
    finally:
        host.read("rm -r /etc/systemd/system/containerd.service.d; systemctl daemon-reload")
    assert done.returncode == 1
    told = json.loads(done.stdout)["hosts"]["ctd1"]
    assert told["status"] == "rolled-back", told
    assert "containerd" in told["error"]
    assert host.read(STATE) == before
    host.read("ctr version && test ! -e /var/lib/regfleet")


REFUSED = [
    (
        '[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\n',
        "registry.mirrors (docker.io)",
    ),
    (
        '[plugins."io.containerd.grpc.v1.cri".registry.configs."a:1".tls]\nca_file = "/a"\n',
        "registry.configs.*.tls (a:1)",
    ),
    ("[[plugins\n", "containerd cannot read"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_cannot_stand_beside_it_is_refused(twin, run, text, said):
    """On `ctd1`, which has nothing of ours at this point."""
    host = twin.hosts["ctd1"]
    host.run(f"cp -p {CONFIG} /root/; cat >>{CONFIG}", stdin=text)
    try:
        before = host.read(STATE)
        done = run("apply", "--yes", "--limit", "ctd1")
        assert host.read(STATE) == before
    finally:
        host.read(f"cp -p /root/config.toml {CONFIG}")
    assert done.returncode == 1
    assert said in done.stdout + done.stderr


FOREIGN_CONFIG = """\
# ours, since 2019
version = 2
oom_score = -999 # do not

[plugins]

  [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = 'registry.k8s.io/pause:3.9'
    [plugins."io.containerd.grpc.v1.cri".registry]
      # config_path = ""
[debug]
  level = "warn"
"""
FOREIGN_HOSTS = """\
# a mirror of theirs
[host."https://theirs.example"]
  capabilities = ["pull"]
  [host."https://theirs.example".header]
    X-Key = "theirs-alone"
"""


def test_what_others_wrote_stays_and_comes_back_to_the_byte(twin, run):
    host = twin.hosts["ctd1"]
    host.run(f"cat >{CONFIG}", stdin=FOREIGN_CONFIG)
    host.run(f"mkdir -p {HOSTS}/docker.io; cat >{HOSTS}/docker.io/hosts.toml", stdin=FOREIGN_HOSTS)
    host.read("systemctl restart containerd")
    before = host.read(STATE)
    planned = run("plan", "--diff", "--limit", "ctd1")
    assert "theirs-alone" not in planned.stdout + planned.stderr
    _apply(run, "--limit", "ctd1")
    for path, text in ((CONFIG, FOREIGN_CONFIG), (f"{HOSTS}/docker.io/hosts.toml", FOREIGN_HOSTS)):
        after = host.read(f"cat {path}").splitlines()
        lines = iter(after)
        assert all(line in lines for line in text.splitlines()), after
        assert len(after) > len(text.splitlines())
    assert "nothing to do" in run("apply", "--yes", "--limit", "ctd1").stdout
    run("destroy", "--yes", "--limit", "ctd1")
    assert host.read(STATE) == before


def test_another_directory_is_respected_and_nothing_is_restarted(twin, run, cri_pull):
    host = twin.hosts["ctd1"]
    text = FOREIGN_CONFIG.replace('# config_path = ""', 'config_path = "/srv/hosts:/etc/other"')
    host.run(f"cat >{CONFIG}; systemctl restart containerd", stdin=text)
    before = host.read(f"ls -A /srv; cat {CONFIG}")
    hosts = _apply(run, "--limit", "ctd1")
    assert {each["activation"] for each in hosts["ctd1"]["changes"]} == {"none"}
    assert host.read("ls /srv/hosts").split() == [
        "docker.io",
        "registry.test:5000",
        "registry.test:5001",
    ]
    assert "grpc-status: 0" in cri_pull("ctd1", "registry.test:5000/kept/ctd1:1")
    assert "nothing to do" in run("apply", "--yes", "--limit", "ctd1").stdout
    run("destroy", "--yes", "--limit", "ctd1")
    host.read("rmdir /srv/hosts")
    assert host.read(f"ls -A /srv; cat {CONFIG}") == before


def test_without_cri_its_file_is_left_alone(twin, run):
    """As Docker's own package has it."""
    host = twin.hosts["ctd1"]
    host.run(f"cat >{CONFIG}; systemctl restart containerd", stdin='disabled_plugins = ["cri"]\n')
    hosts = _apply(run, "--limit", "ctd1")
    _smoke_passed(hosts, ["ctd1"])
    assert host.read(f"cat {CONFIG}") == 'disabled_plugins = ["cri"]'


@pytest.fixture
def sid(twin, host_image, write_fleet, regfleet, state):
    """A host with containerd 2.x, and how to run commands on it."""
    host_image("sid", "bare")
    twin.boot([HostSpec("ctd3", "sid", "bare")])
    fleet = write_fleet(twin, BODY.replace("$ctd1, $ctd2", "$ctd3"))
    options = (fleet, "--state-dir", state, "--limit", "ctd3")
    return twin.hosts["ctd3"], lambda command, *more: regfleet(command, *options, *more)


def test_the_second_age(twin, sid, seeds, cri_pull, proven):
    """2.x has the CRI plugin's images in a section of another name."""
    host, run = sid
    _smoke_passed(_apply(run), ["ctd3"])
    assert _version(host).startswith("2.")
    _push(twin, seeds, "ctd3", "registry.test:5000/kept/ctd3:1")
    assert "grpc-status: 0" in cri_pull("ctd3", "registry.test:5000/kept/ctd3:1")
    proven("containerd", _version(host), "sid", "TLS, plain, mirror, login; ctr, CRI")
    run("destroy", "--yes")
    # Without a file of its own it gets one of the newest format.
    host.read(f"rm {CONFIG}; systemctl restart containerd")
    _apply(run, "--no-smoke")
    assert host.read(f"head -n 1 {CONFIG}") == "version = 3"
    assert "grpc-status: 0" in cri_pull("ctd3", "registry.test:5000/kept/ctd3:1")
    assert "nothing to do" in run("apply", "--yes").stdout
    run("destroy", "--yes")
    assert host.run(f"test -e {CONFIG}").returncode == 1


def test_all_of_it_goes_again_and_no_container_stops(twin, run, seeds):
    reg, ctd = twin.hosts["reg1"], twin.hosts["ctd2"]
    ctd.read(
        f"ctr -n k8s.io images pull --hosts-dir {HOSTS} registry.test:5000/kept/ctd2:1 && "
        "ctr -n k8s.io run -d --cpu-shares 0 registry.test:5000/kept/ctd2:1 long sleep 600"
    )
    task = ctd.read("ctr -n k8s.io tasks ls | grep long")
    reg.copy_in(seeds.busybox, "/root/busybox.tar")
    reg.read("docker load -q -i /root/busybox.tar")
    reg.read("docker run -d --name bystander --entrypoint sh busybox -c 'sleep 600'")
    bystander = reg.read("docker inspect -f '{{.State.Pid}}' bystander")
    done = run("destroy", "--yes", "--delete-data", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("reg1", "ctd2"):
        host = twin.hosts[name]
        host.read(PACKAGED)
        assert host.read(f"ls -d {HOSTS} /var/lib/regfleet 2>/dev/null; :") == ""
    assert ctd.read("ctr -n k8s.io tasks ls | grep long") == task
    assert reg.read("docker inspect -f '{{.State.Pid}} {{.State.Running}}' bystander") == (
        f"{bystander} true"
    )
