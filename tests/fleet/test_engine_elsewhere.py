"""An engine is there by what runs and by what its unit starts, not by PATH: no second one comes."""

import json

import pytest

from regfleet.rehearse.twin import HostSpec

SSH = 'ssh = {{ user = "ops", sudo = true }}'
BODY = """
[registry.main]
hosts = [$static]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
ci = { password = "generate" }

[client.build]
hosts = [$static, $snap]
registries = ["main"]
mirrors = ["https://m.example"]
install = true
login = { main = "ci" }
daemon = { "live-restore" = true }

[smoke]
image_archive = "$busybox_tar"
"""
# As sudoers of Red Hat, SUSE and Amazon have it: without /usr/local.
SECURE_PATH = "Defaults secure_path = /sbin:/bin:/usr/sbin:/usr/bin"
# Docker's own tar has its programs there, and people write units for them.
OFFICIAL = r"""
set -e
for program in dockerd docker docker-proxy containerd containerd-shim-runc-v2 ctr runc; do
    cp -a "$(readlink -f "$(command -v $program)")" /usr/local/bin/$program
done
cp -aL "$(command -v docker-init || command -v tini-static)" /usr/local/bin/docker-init
for unit in docker.service docker.socket containerd.service; do
    sed -e 's|/usr/sbin/dockerd|/usr/local/bin/dockerd|' \
        -e 's|/usr/bin/containerd|/usr/local/bin/containerd|' \
        /lib/systemd/system/$unit >/etc/systemd/system/$unit
done
systemctl stop docker docker.socket containerd
dpkg --remove --force-depends docker.io containerd runc >/dev/null
systemctl daemon-reload
systemctl unmask docker docker.socket containerd
systemctl start containerd docker.socket docker
"""
# canonical/docker-snap: bin/dockerd-wrapper; snapd mounts $SNAP_DATA/etc/docker over /etc/docker.
SNAP = r"""
set -e
systemctl stop docker docker.socket containerd
data=/var/snap/docker
mkdir -p /snap/docker/2915/bin $data/2915/etc/docker $data/2915/config $data/common/run /etc/docker
ln -s 2915 /snap/docker/current
ln -s 2915 $data/current
for program in dockerd docker docker-proxy containerd containerd-shim-runc-v2 runc ctr; do
    mv "$(readlink -f "$(command -v $program)")" /snap/docker/2915/bin/$program
done
echo '{"log-level": "error"}' >$data/2915/config/daemon.json
cat >/snap/docker/2915/bin/dockerd-wrapper <<EOF
#!/bin/sh
export PATH=/snap/docker/2915/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec dockerd --group docker --exec-root=$data/common/run/docker --data-root=/var/lib/docker \
    --pidfile=$data/common/run/docker.pid --config-file=\$SNAP_DATA/config/daemon.json
EOF
chmod +x /snap/docker/2915/bin/dockerd-wrapper
cat >/etc/systemd/system/snap.docker.dockerd.service <<EOF
[Service]
Environment=SNAP_DATA=$data/2915
ExecStart=/snap/docker/2915/bin/dockerd-wrapper
BindPaths=$data/2915/etc/docker:/etc/docker
Restart=always
EOF
rm -f /usr/lib/systemd/system/docker.* /usr/lib/systemd/system/containerd.service /run/docker.*
rm -f /etc/init.d/docker
systemctl daemon-reload
systemctl start snap.docker.dockerd
"""
REFRESHED = r"""
set -e
systemctl stop snap.docker.dockerd
cd /var/snap/docker
cp -a 2915 2916
ln -sfn 2916 current
sed -i 's|docker/2915$|docker/2916|; s|docker/2915/etc|docker/2916/etc|' \
    /etc/systemd/system/snap.docker.dockerd.service
systemctl daemon-reload
"""
ROOTLESS = r"""
set -e
apt-get -qq update
apt-get -qq -y --no-install-recommends install rootlesskit uidmap dbus-user-session fuse-overlayfs
systemctl stop docker docker.socket
loginctl enable-linger ops
cat >/usr/local/bin/rootless <<'EOF'
#!/bin/sh
export XDG_RUNTIME_DIR=/run/user/1000 HOME=/home/ops PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec rootlesskit --net=host --copy-up=/etc --copy-up=/run --state-dir=/run/user/1000/rootless \
    sh -c 'rm -f /run/docker /run/containerd /run/xtables.lock
           exec dockerd --iptables=false --bridge=none'
EOF
chmod +x /usr/local/bin/rootless
setsid su ops -s /bin/sh -c rootless >/tmp/rootless.log 2>&1 </dev/null &
for second in $(seq 60); do
    DOCKER_HOST=unix:///run/user/1000/docker.sock docker info 2>/dev/null | grep rootless && exit
    sleep 1
done
cat /tmp/rootless.log >&2
exit 1
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(
        HostSpec("static", "bookworm", "docker", ("registry.test",)),
        HostSpec("snap", "trixie", "docker", ()),
        HostSpec("account", "bookworm", "docker", ()),
    )
    for name, script in (("static", OFFICIAL), ("snap", SNAP), ("account", ROOTLESS)):
        host = twin.hosts[name]
        host.read(script)
        host.run("cat >/etc/sudoers.d/secure-path", stdin=f"{SECURE_PATH}\n")
    return twin


@pytest.fixture
def fleet(twin, write_fleet):
    return write_fleet(twin, BODY, user="ops")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


def planned(done):
    return {
        name: [change["resource"] for change in host["changes"]]
        for name, host in json.loads(done.stdout)["hosts"].items()
    }


def test_the_path_of_sudo_does_not_show_it(twin, ssh):
    said = ssh(twin, "ops", "static", "sudo -n sh -c 'command -v dockerd || echo none'").stdout
    assert said == "none\n"


def test_official_binaries_and_a_snap_are_clients_and_get_no_other_engine(
    twin, fleet, state, regfleet
):
    options = ("--json", "--state-dir", state)
    found = planned(regfleet("plan", fleet, *options))
    assert not [each for each in (*found["static"], *found["snap"]) if each.startswith("package")]
    done = regfleet("apply", fleet, "--yes", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    hosts = json.loads(done.stdout)["hosts"]
    for name in ("static", "snap"):
        assert {hosts[name]["smoke"][f"main/{step}"] for step in ("push", "pull", "run")} == {
            "passed"
        }, name
    assert regfleet("plan", fleet, "--detailed-exitcode", *options).returncode == 0
    snap = twin.hosts["snap"]
    current = "/var/snap/docker/current"
    assert snap.run(f"ls {current}/etc/docker/certs.d/registry.test:5000/ca.crt").returncode == 0
    assert json.loads(snap.read(f"cat {current}/config/daemon.json")) == {
        "log-level": "error",
        "registry-mirrors": ["https://m.example"],
        "live-restore": True,
    }
    assert snap.read("ls -A /etc/docker") == ""


def test_a_snap_is_refreshed(twin, fleet, state, regfleet):
    """Each revision has its directory, to which snapd copies what the one before had."""
    options = ("--json", "--state-dir", state)
    twin.hosts["snap"].read(REFRESHED)
    found = planned(regfleet("plan", fleet, *options))
    assert found["snap"] == ["service docker"]
    done = regfleet("apply", fleet, "--yes", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2916" in twin.hosts["snap"].read("tr '\\0' '\\n' </proc/$(pidof dockerd)/cmdline")


def test_a_snap_runs_no_registry(twin, write_fleet, regfleet):
    body = BODY.replace("hosts = [$static]", "hosts = [$snap]")
    done = regfleet("plan", write_fleet(twin, body, user="ops"), "--limit", "snap")
    assert done.returncode == 1
    assert "Docker is a snap there" in done.stdout + done.stderr


def test_an_engine_that_is_stopped_is_there(twin, fleet, state, regfleet):
    """Its programs are where its unit says."""
    static = twin.hosts["static"]
    static.read(
        "set -e; systemctl stop docker.socket docker containerd; mkdir -p /srv/docker/bin;"
        "mv /usr/local/bin/* /srv/docker/bin/; cd /etc/systemd/system;"
        "sed -i 's|/usr/local/bin|/srv/docker/bin|; s|^ExecStart=|Environment="
        "PATH=/srv/docker/bin:/usr/sbin:/usr/bin:/sbin:/bin\\n&|'"
        " docker.service containerd.service; systemctl daemon-reload"
    )
    options = ("--json", "--state-dir", state)
    found = planned(regfleet("plan", fleet, *options))
    assert "service docker" in found["static"]
    assert "package docker.io" not in found["static"]
    done = regfleet("apply", fleet, "--yes", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert regfleet("plan", fleet, "--detailed-exitcode", *options).returncode == 0


def test_containerd_of_a_tar_is_not_installed_again(twin, write_fleet, regfleet):
    body = '[client.c]\nhosts = [$static]\nengine = "containerd"\ninstall = true\n'
    path = write_fleet(twin, f'{body}mirrors = ["https://m.example"]\n', user="ops")
    path.write_text(path.read_text().replace('name = "test"', 'name = "of-containerd"'))
    done = regfleet("plan", path)
    assert done.returncode == 1
    assert (
        "containerd is there as /srv/docker/bin/containerd, in none of" in done.stdout + done.stderr
    )
    static = twin.hosts["static"]
    static.read("cd /srv/docker/bin; cp -a containerd ctr /usr/local/bin/")
    found = planned(regfleet("plan", path, "--json"))
    assert found["static"]
    assert not [each for each in found["static"] if each.startswith("package")]


@pytest.mark.soak
def test_users_of_containers_may_be_remapped(twin, fleet, state, regfleet):
    static = twin.hosts["static"]
    done = regfleet("destroy", fleet, "--yes", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    static.read(
        """echo '{"userns-remap": "default"}' >/etc/docker/daemon.json; systemctl restart docker"""
    )
    done = regfleet("apply", fleet, "--yes", "--json", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["hosts"]["static"]["smoke"]["main/run"] == "passed"
    options = ("--json", "--state-dir", state)
    assert regfleet("plan", fleet, "--detailed-exitcode", *options).returncode == 0


def test_an_accounts_own_docker_is_refused_by_name(twin, write_fleet, regfleet):
    """Root's may be stopped, or not be there at all. test_rootless.py declares it."""
    body = '[client.c]\nhosts = [$account]\ninstall = true\nmirrors = ["https://m.example"]\n'
    path = write_fleet(twin, body, user="ops")
    account = twin.hosts["account"]
    for _ in ("stopped", "missing"):
        done = regfleet("apply", path, "--yes")
        assert done.returncode == 1
        said = " ".join((done.stdout + done.stderr).split())
        assert "Docker runs there without root, for the account ops alone" in said
        assert "/run/user/1000/docker.sock" in said
        account.read("dpkg --remove --force-depends docker.io >/dev/null")
    assert account.run("command -v dockerd").returncode != 0
