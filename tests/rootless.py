"""Docker without root on a test host: Debian's own scripts, by the commands of the how-to."""

import re
from pathlib import Path

GUIDE = Path(__file__).parents[1] / "docs/how-to/rootless.md"
LINGER, INSTALL_IT, ENABLE = (
    line.removeprefix("sudo ").replace("alice", "ops")
    for line in re.findall(r"^\$ (.*)$", GUIDE.read_text(), re.MULTILINE)
    if not line.startswith(("regfleet", "podman"))
)
ACCOUNT = "ops"
HOME = "/home/ops"
PLACE = f"{HOME}/.config/docker"
CONTRIB = "/usr/share/docker.io/contrib"  # where Debian keeps Docker's scripts for it
# fuse-overlayfs needs a device that a container has not. Programs of systemd's own get no more.
INSTALL = """
set -e
apt-get -qq -o Acquire::Check-Valid-Until=false update
apt-get -qq -y --no-install-recommends install rootlesskit uidmap dbus-user-session slirp4netns
systemctl stop docker docker.socket
mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200
"""
AS = (
    "setpriv --reuid 1000 --regid 1000 --init-groups env HOME=/home/ops USER=ops "
    f"XDG_RUNTIME_DIR=/run/user/1000 PATH={CONTRIB}:/usr/sbin:/usr/bin:/sbin:/bin "
    "DOCKER_HOST=unix:///run/user/1000/docker.sock"
)
READY = f"""
for second in $(seq 90); do
    {AS} docker info 2>/dev/null | grep -q rootless && exit
    sleep 1
done
journalctl _UID=1000 -n 20 --no-pager >&2
exit 1
"""
MANAGER = f"""
{LINGER}
for second in $(seq 90); do
    [ -S /run/user/1000/systemd/private ] && exit
    sleep 1
done
exit 1
"""
# As its documentation has it. Containers need no network here, and no rules of iptables.
UNIT = f"""
set -e
{AS} {INSTALL_IT} --skip-iptables >/tmp/setup 2>&1 || cat /tmp/setup
{AS} {ENABLE}
"""


def as_account(host, script):
    """A script as the account, with its Docker's address set; its output."""
    return host.read(f"{AS} sh -c '{script}'")


def set_up(host, settings='{"storage-driver": "vfs"}'):
    """Have the account's systemd run its Docker, with a daemon.json of its own."""
    host.read(INSTALL)
    host.read(MANAGER)
    host.run(f"{AS} sh -c 'mkdir -p {PLACE} && cat >{PLACE}/daemon.json'", stdin=settings)
    host.read(UNIT)
    host.read(READY)


def told(host, format_):
    """What `docker info` of the account's Docker says."""
    return host.read(f"{AS} docker info --format '{format_}'")
