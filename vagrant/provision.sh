#!/bin/sh
# Makes a machine of the test fleet ready for regfleet, container or virtual machine.
#
#   provision.sh SUITE [NAME=ADDRESS...]
#
# SUITE is the Debian suite whose packages it is to have. Names are those that nothing else
# resolves. Engines are not installed here: images of containers have them, and regfleet installs
# them where they are missing. Run by Vagrant as root; a second run changes nothing.
set -eu

suite=$1
shift

# Boxes come with timers that hold apt's lock when it is wanted.
for timer in apt-daily.timer apt-daily-upgrade.timer; do
    ! systemctl is-enabled --quiet "$timer" 2>/dev/null || systemctl disable --now "$timer"
done

# A box of an older suite: apt takes the newest version of a package that it knows.
sources=/etc/apt/sources.list.d
if ! grep -rqsw "$suite" /etc/apt/sources.list "$sources"; then
    # From the mirror that the box has; apt fills the name in.
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m 1 '/debian/*$')
    echo "deb $mirror $suite main" >"$sources/regfleet.list"
fi

for pair; do
    line="${pair#*=} ${pair%%=*}"
    grep -qxF "$line" /etc/hosts || echo "$line" >>/etc/hosts
done

# SSH answers while services are still being started, an engine among them.
state=$(systemctl is-system-running --wait) || [ "$state" = degraded ] || {
    echo "the system did not come up: $state" >&2
    systemctl --failed --no-legend >&2
    exit 1
}
