"""Disks that fill, files that cannot be written, clocks that are wrong."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from driver import Driver, chosen, live, text_of, traces

from regfleet.rehearse.twin import HostSpec

FOREIGN = '{\n  "max-concurrent-uploads": 3\n}\n'
BODY = """
[registry.main]
hosts = [$bookworm1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
ci = { password = "generate" }

[client.all]
hosts = [$bookworm1, $trixie1]
registries = ["main"]
mirrors = ["https://mirror.example.com"]
daemon = { debug = true }
"""
# Which directory fills up where; together they are all that a touch of a client writes to.
FILLS = {"bookworm1": "/etc/docker", "trixie1": "/var/lib/regfleet"}


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(
        HostSpec("bookworm1", aliases=("registry.test",)), HostSpec("trixie1", suite="trixie")
    )
    for host in twin.hosts.values():
        host.run("cat >/etc/docker/daemon.json", stdin=FOREIGN)
        host.read("systemctl restart docker")
    return twin


@pytest.fixture
def client_only(twin, write_fleet):
    """A fleet whose hosts are clients alone."""
    body = BODY.replace("hosts = [$bookworm1]", "external = true").replace(
        'image_archive = "$registry_tar"\n[registry.main.users]\nci = { password = "generate" }\n',
        'tls = { source = "none" }\n',
    )
    return Driver(write_fleet(twin, body), twin)


def test_the_disk_fills_up_at_every_boundary(twin, client_only, tally):
    def story(name):
        host, place = twin.hosts[name], FILLS[name]
        host.read(
            f"mkdir -p /root/kept {place}; cp -a {place}/. /root/kept;"
            f"mount -t tmpfs -o size=256k,mode=700 tmpfs {place}; cp -a /root/kept/. {place}"
        )
        try:
            before = text_of(host), live(host)
            boundaries, _ = client_only.boundaries(name)
            client_only.destroy(name)
            survived = 0
            filled = chosen(boundaries, list(FILLS).index(name), len(FILLS))
            for number, step in filled:
                where = f"{name}: {place} full at {number}, {step}"
                fill = f"dd if=/dev/zero of={place}/fill bs=1k count=999 2>/dev/null"
                ended = client_only.touch_with(name, f'[ "$1" -eq {number} ] && {fill}')
                assert not ended.cut, where
                json.loads(text_of(host) or f"absent: {where}")
                assert host.run("docker version").returncode == 0, where
                if ended.result in ("failed", "rolled-back") and not client_only.seen_pending(name):
                    assert (text_of(host), live(host)) == before, where
                host.read(f"rm -f {place}/fill")
                after = client_only.apply(name)
                assert after is None or after.result == "changed", (where, after)
                assert client_only.plan(name).empty, where
                client_only.destroy(name)
                assert (text_of(host), live(host)) == before, where
                survived += 1
            return len(filled), survived
        finally:
            host.run(f"umount {place}; rm -rf /root/kept; rmdir {place}")

    with ThreadPoolExecutor() as pool:
        for tried, survived in pool.map(story, FILLS):
            tally("disk full at a boundary", tried, survived)


READ_ONLY = "mount --bind /etc/docker /etc/docker; mount -o remount,ro,bind /etc/docker"


@pytest.mark.parametrize("when", ["from the start", "after the files are written"])
def test_etc_docker_becomes_read_only(twin, client_only, tally, when):
    for name, host in twin.hosts.items():
        before = traces(host), live(host)
        hook = ""
        if when == "from the start":
            host.read(READ_ONLY)
        else:
            hook = f'[ "$2" = commit ] && {{ {READ_ONLY}; }}'
        ended = client_only.touch_with(name, hook)
        host.read("umount /etc/docker")
        assert ended.result in ("failed", "rolled-back"), ended
        assert "/etc/docker" in ended.error or "in place" in ended.error, ended
        assert "putting things back did not succeed" not in ended.error
        host.run("rm -f /etc/docker/.regfleet.*")  # they could not be removed
        assert (traces(host), live(host)) == before
        tally("read-only /etc/docker", 1, 1)


def test_usr_is_read_only_and_nothing_runs_from_tmp(twin, client_only, tally):
    """As with ostree, and where /tmp is mounted noexec."""
    for name, host in twin.hosts.items():
        host.read("mount --bind /usr /usr; mount -o remount,ro,bind /usr")
        host.read("mount -o remount,noexec /tmp")
        try:
            assert client_only.apply(name).result == "changed"
            assert client_only.plan(name).empty
            assert client_only.destroy(name).result == "changed"
        finally:
            host.read("umount -l /usr; mount -o remount,exec /tmp")
        tally("read-only /usr, /tmp noexec", 1, 1)


# What chattr(1) does, which the hosts have not (ioctl_iflags(2), FS_IMMUTABLE_FL).
IMMUTABLE = """
perl -e 'open(my $file, "<", "/etc/docker/daemon.json") or die "$!\n"; my $flags = pack("L2", 0, 0);
  ioctl($file, 0x80086601, $flags) or die "$!\n"; my $now = unpack("L", $flags);
  $flags = pack("L2", $ARGV[0] ? $now | 0x10 : $now & ~0x10, 0);
  ioctl($file, 0x40086602, $flags) or die "$!\n"' %d
"""


def test_daemon_json_is_immutable(twin, client_only, tally):
    for name, host in twin.hosts.items():
        try:
            made = host.run(IMMUTABLE % 1)
            if made.returncode != 0:
                pytest.skip(f"this filesystem knows no immutable files: {made.stderr}")
            before = traces(host), live(host)
            ended = client_only.touch_with(name, "")
            assert ended.result == "rolled-back", ended
            assert "cannot be put in place" in ended.error
            assert "putting things back did not succeed" not in ended.error
            assert (traces(host), live(host)) == before
        finally:
            host.run(IMMUTABLE % 0)
        tally("immutable daemon.json", 1, 1)


@pytest.mark.parametrize(
    "hours",
    [1, pytest.param(-1, marks=pytest.mark.soak)],
    ids=["hosts an hour slow", "hosts an hour fast"],
)
def test_clocks_are_an_hour_off(twin, write_fleet, tally, hours):
    # The hosts share this machine's clock: it is the controller's that is off, and what it signs.
    now = datetime.now(timezone.utc) + timedelta(hours=hours)
    body = BODY.replace("daemon =", 'login = { main = "ci" }\ndaemon =')
    driver = Driver(write_fleet(twin, body), twin, now=now)
    for name in twin.hosts:
        ended = driver.apply(name)
        assert ended.result == "changed", ended  # a login over TLS is part of it
    for name in twin.hosts:
        assert driver.plan(name).empty
        assert driver.destroy(name).result == "changed"
        tally("clock an hour off", 1, 1)
