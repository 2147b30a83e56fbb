"""Installing removes nothing, and the plan has all that comes; by real package managers."""

import json

import pytest

from regfleet.rehearse.twin import HostSpec
from regfleet.shell import program

BODY = """
[client.build]
hosts = [$bare]
install = true
mirrors = ["https://m.example"]
"""
# A stand-in for docker.com's, as a Kubernetes node has it (its control file has the same fields).
STAND_IN = r"""
set -e
mkdir -p /tmp/stand-in/DEBIAN
cat >/tmp/stand-in/DEBIAN/control <<EOF
Package: containerd.io
Version: 1.7.28-1
Architecture: all
Maintainer: nobody <nobody@invalid>
Conflicts: containerd, runc
Provides: containerd, runc
Replaces: containerd, runc
Description: stand-in
EOF
dpkg-deb -b /tmp/stand-in /tmp/stand-in.deb >/dev/null
dpkg -i /tmp/stand-in.deb >/dev/null
"""
PACKAGE_MANAGERS = r"""
set -e
apt-get -qq update
apt-get -qq -y --no-install-recommends install dnf zypper pacman-package-manager createrepo-c rpm \
    >/dev/null 2>&1
mkdir -p /srv/repo /tmp/made /etc/yum.repos.d /etc/zypp/repos.d
cd /tmp/made
made() { # NAME LINES
    printf '%s\n' "Name: $1" 'Version: 1.2' 'Release: 3' 'Summary: x' 'License: x' \
        'BuildArch: noarch' "$2" '%description' x '%files' >"$1.spec"
    rpmbuild -bb --define '_rpmdir /srv/repo' --define '_topdir /tmp/made/top' "$1.spec" \
        >/dev/null 2>&1
}
made runc ''
made docker-obsoleted ''
made podman-docker ''
made docker 'Requires: runc
Conflicts: podman-docker'
made moby-engine 'Requires: runc
Obsoletes: docker-obsoleted'
createrepo_c -q /srv/repo
printf '%s\n' '[local]' 'name=local' 'baseurl=file:///srv/repo' 'enabled=1' 'gpgcheck=0' \
    >/etc/yum.repos.d/local.repo
cp /etc/yum.repos.d/local.repo /etc/zypp/repos.d/
dnf -q makecache 2>/dev/null
zypper -n -q refresh
"""
PACMAN = r"""
set -e
mkdir -p /srv/arch /tmp/arch/database /var/lib/pacman
cd /tmp/arch
made() { # NAME CONFLICT
    mkdir -p "$1" "database/$1-1.2-3"
    printf '%s\n' "pkgname = $1" "pkgbase = $1" 'pkgver = 1.2-3' 'pkgdesc = x' 'builddate = 1' \
        'packager = x' 'size = 1' 'arch = any' ${2:+"conflict = $2"} >"$1/.PKGINFO"
    tar -C "$1" -czf "/srv/arch/$1-1.2-3-any.pkg.tar.gz" .PKGINFO
    size=$(stat -c %s "/srv/arch/$1-1.2-3-any.pkg.tar.gz")
    printf '%%%s%%\n%s\n\n' FILENAME "$1-1.2-3-any.pkg.tar.gz" NAME "$1" VERSION 1.2-3 ARCH any \
        CSIZE "$size" ISIZE 1 ${2:+CONFLICTS "$2"} >"database/$1-1.2-3/desc"
}
made docker podman-docker
made podman-docker ''
(cd database && tar -czf /srv/arch/made.db *)
printf '%s\n' '[options]' 'Architecture = auto' 'SigLevel = Never' '[made]' \
    'Server = file:///srv/arch' >/etc/pacman.conf
pacman -Sy --noconfirm >/dev/null 2>&1
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("bare", "bookworm", "bare", ()), HostSpec("foreign", "trixie", "light", ())
    )


@pytest.fixture
def fleet(twin, write_fleet):
    return write_fleet(twin, BODY)


def error_of(done):
    return json.loads(done.stdout)["hosts"]["bare"]["error"] or ""


def test_what_would_be_removed_is_refused_by_the_plan_and_by_the_touch(twin, fleet, regfleet):
    bare = twin.hosts["bare"]
    bare.read(f"apt-get -qq update; {STAND_IN}")
    refused = "installing docker.io would remove containerd.io"
    done = regfleet("plan", fleet, "--json")
    assert done.returncode == 1
    assert refused in error_of(done)
    # Without lists of packages nothing can be foreseen; the touch fetches them, and looks again.
    bare.read("rm -rf /var/lib/apt/lists/*")
    assert error_of(regfleet("plan", fleet, "--json")) == ""
    done = regfleet("apply", fleet, "--yes", "--json")
    assert done.returncode == 1
    assert "would remove containerd.io" in error_of(done)
    assert "install ok installed" in bare.read("dpkg -s containerd.io")
    assert bare.run("command -v dockerd").returncode != 0


def test_the_plan_has_all_packages_that_come(twin, fleet, regfleet):
    bare = twin.hosts["bare"]
    bare.read("dpkg -r containerd.io >/dev/null; apt-get -qq update")
    hook = 'DPkg::Pre-Invoke {"umask >/run/umask";};'
    bare.read(f"echo '{hook}' >/etc/apt/apt.conf.d/99umask")
    bare.read("mount --bind /usr /usr; mount -o remount,ro,bind /usr")
    assert "/usr is read-only there (debian 12)" in error_of(regfleet("plan", fleet, "--json"))
    bare.read("umount -l /usr")
    (first, *_) = json.loads(regfleet("plan", fleet, "--json").stdout)["hosts"]["bare"]["changes"]
    assert first["resource"] == "package docker.io"
    coming = [part["resource"].split(" ")[1] for part in first["parts"]]
    assert {"docker.io", "containerd", "runc"} <= set(coming)
    assert "+ package containerd 1." in regfleet("plan", fleet).stdout
    done = regfleet("apply", fleet, "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    there = bare.read("dpkg-query -W -f '${Package} ${Status}\n' | sed -n 's/ install ok .*//p'")
    assert set(coming) <= set(there.split())
    assert bare.read("cat /run/umask") == "0022"  # what package scripts make is for everybody


@pytest.fixture(scope="module")
def foreign(twin):
    """A host with the package managers of others, as Debian packages them, and sources for them."""
    host = twin.hosts["foreign"]
    done = host.run(PACKAGE_MANAGERS, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    done = host.run(PACMAN)
    assert done.returncode == 0, done.stdout + done.stderr
    return host


def foreseen(host, manager, package):
    text = (
        f"{program('regfleet.touch', 'program/2-packages.sh')}\nsay_packages {manager} {package}\n"
    )
    return host.run("sh -s", stdin=text).stdout.splitlines()


def test_dnf_and_zypper_tell_what_is_obsoleted(foreign):
    foreign.read("rpm --quiet -i /srv/repo/noarch/docker-obsoleted-*.rpm")
    assert foreseen(foreign, "dnf", "moby-engine") == [
        "@install moby-engine 1.2-3",
        "@remove docker-obsoleted",
        "@install runc 1.2-3",
    ]
    assert set(foreseen(foreign, "zypper", "moby-engine")) == {
        "@install moby-engine",
        "@remove docker-obsoleted",
        "@install runc",
    }
    foreign.read("rpm -e docker-obsoleted")
    assert foreseen(foreign, "dnf", "moby-engine")[-1] == "@install runc 1.2-3"


def test_dnf_zypper_and_pacman_remove_nothing_that_conflicts(foreign):
    """With the very options that a touch gives them (touch/program/2-engine.sh)."""
    foreign.read("rpm --quiet -i /srv/repo/noarch/podman-docker-*.rpm")
    for command in (
        "dnf -q -y install docker",
        "zypper -n -q install --no-force-resolution docker",
    ):
        assert foreign.run(command).returncode != 0
        assert foreign.read("rpm -qa").startswith("podman-docker")
    foreign.read("pacman -S --noconfirm podman-docker >/dev/null 2>&1")
    assert foreseen(foreign, "pacman", "docker") == ["@install docker 1.2-3"]
    done = foreign.run("pacman -S --noconfirm --needed docker")
    assert done.returncode != 0
    assert "unresolvable package conflicts" in done.stdout + done.stderr
    assert foreign.read("pacman -Q") == "podman-docker 1.2-3"
