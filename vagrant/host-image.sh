#!/bin/sh
# Builds the root filesystem of a test host: Debian or Ubuntu with sshd, sudo and,
# by variant, systemd and a Docker engine.
#
#   host-image.sh SUITE [VARIANT] OUT.tar [BASE.tar]
#   docker import -c 'CMD ["/sbin/regfleet-boot"]' OUT.tar NAME
#
# Variants:
#   docker  systemd, sshd, a Docker engine (the default)
#   bare    systemd, sshd, no engine: what `install = true` starts from
#   sysv    no systemd: sshd as the first process, the engine under /etc/init.d
#   openrc  OpenRC as the first process, sshd under it, no engine
#   light   sshd alone, for fleets of many hosts
#
# BASE.tar, another variant's, is extended where it is given, in a third of the time: docker extends
# bare; bare, sysv and openrc extend light.
#
# Root logs in by key. `ops` and `vagrant` have sudo without a password. Keys are not in the
# image (Vagrant's well-known one apart, in vagrant's account); host keys are made at boot.
# Needs root and mmdebstrap. Takes 20 to 60 seconds and about 500 MB.
set -eu

usage() {
    echo "usage: host-image.sh SUITE [docker|bare|sysv|openrc|light] OUT.tar [BASE.tar]" >&2
    exit 2
}

base=
case $# in
    2) suite=$1 variant=docker out=$2 ;;
    3) suite=$1 variant=$2 out=$3 ;;
    4) suite=$1 variant=$2 out=$3 base=$4 ;;
    *) usage ;;
esac

# The client for scp, by which Vagrant copies: the server of newer suites comes without.
packages='openssh-server openssh-client passwd sudo mount iproute2 procps ca-certificates'
systemd='systemd systemd-sysv dbus'
engine=
case $variant in
    docker) packages="$packages $systemd iptables docker.io" engine=yes ;;
    bare) packages="$packages $systemd" ;;
    sysv) packages="$packages iptables docker.io" engine=yes ;;
    openrc) packages="$packages openrc" ;;
    light) ;;
    *) usage ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The machine's own package sources where they are of the suite asked for; what mmdebstrap
# knows of the suite otherwise.
mkdir "$work/sources"
machine_id='' machine_suite=''
if [ -r /etc/os-release ]; then
    # shellcheck source=/dev/null
    machine_id=$(. /etc/os-release && echo "${ID:-}")
    # shellcheck source=/dev/null
    machine_suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
fi
if [ "$suite" = "$machine_suite" ]; then
    for file in /etc/apt/sources.list "/etc/apt/sources.list.d/$machine_id.sources"; do
        if [ -r "$file" ]; then
            # A file of comments alone is none, and mmdebstrap would refuse it.
            grep -v '^[[:space:]]*#' "$file" >"$work/sources/${file##*/}" ||
                rm "$work/sources/${file##*/}"
        fi
    done
fi

# Settings of the machine's apt that decide whether packages can be had at all.
set --
for option in Acquire::http::Proxy Acquire::https::Proxy Acquire::Check-Valid-Until \
    Acquire::Check-Date; do
    value=''
    eval "$(apt-config shell value "$option")"
    [ -z "$value" ] || set -- "$@" "--aptopt=$option \"$value\""
done
# Translations of descriptions, and a disk that keeps what was written, are of no use to a test host,
# and take a third of the time of installing on one.
set -- "$@" '--aptopt=Acquire::Languages "none"' --dpkgopt=force-unsafe-io
# The unstable suite's index expires within days, wherever a mirror lags.
[ "$suite" != sid ] || set -- "$@" '--aptopt=Acquire::Check-Valid-Until "false"'

# Runs before the host's own first process.
cat >"$work/regfleet-boot" <<'BOOT'
#!/bin/sh
# First process of a test host: what a machine's firmware and installer would have done.
set -eu
# Keys of its own for each host.
[ -s /etc/ssh/ssh_host_ed25519_key ] ||
    ssh-keygen -q -t ed25519 -N '' -C "$(hostname)" -f /etc/ssh/ssh_host_ed25519_key
# A private cgroup namespace comes with read-only hierarchies. Where that is cgroup v2 (and nothing
# else), it is made writable: the kernel refuses to mount it on itself. Where it is v1, v2 is
# mounted over it. In both cases its root is the container's own group.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    [ -w /sys/fs/cgroup ] || mount -o remount,bind,rw /sys/fs/cgroup
else
    for place in /sys/fs/cgroup /sys/fs/cgroup/systemd; do
        if [ -e "$place" ] && [ ! -w "$place" ]; then
            mount -t cgroup2 cgroup2 /sys/fs/cgroup
            break
        fi
    done
fi
# Where the kernel has no nf_tables, engines need the older kind.
if [ -x /usr/sbin/iptables-legacy ] && ! iptables -t nat -S >/dev/null 2>&1; then
    update-alternatives --quiet --set iptables /usr/sbin/iptables-legacy
fi
# Mounts of engines inside must not travel to other mount namespaces.
mount --make-rshared /
if [ -x /lib/systemd/systemd ]; then
    exec /lib/systemd/systemd
fi
mkdir -p /run/sshd
[ ! -x /sbin/openrc-init ] || exec /sbin/openrc-init
[ ! -x /etc/init.d/docker ] || service docker start >>/var/log/boot.log 2>&1 || true
# shellcheck disable=SC2086  # options, as the service script reads them
. /etc/default/ssh && exec /usr/sbin/sshd -D $SSHD_OPTS
BOOT

cat >"$work/sshd.conf" <<'SSHD'
# One line per session in /var/log/sshd.log: `Starting session: command for USER from ...`.
LogLevel VERBOSE
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
MaxStartups 200
MaxSessions 100
UseDNS no
SSHD

cat >"$work/setup" <<'SETUP'
set -eu
for user in ops vagrant; do
    id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
    echo "$user ALL=(ALL) NOPASSWD: ALL" >"/etc/sudoers.d/$user"
    chmod 0440 "/etc/sudoers.d/$user"
    install -d -m 0700 -o "$user" -g "$user" "/home/$user/.ssh"
done
install -d -m 0700 /root/.ssh
# The key that Vagrant replaces at its first login (its own keys/vagrant.pub).
echo "ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key" \
    >/home/vagrant/.ssh/authorized_keys
chown vagrant:vagrant /home/vagrant/.ssh/authorized_keys
rm -f /etc/ssh/ssh_host_*
# Newer sshd shuts out addresses that fail at logins, which tests do on purpose.
! /usr/sbin/sshd -G -o PerSourcePenalties=no >/dev/null 2>&1 ||
    echo "PerSourcePenalties no" >>/etc/ssh/sshd_config.d/regfleet.conf
# -E: the log is a file in every variant, with systemd and without.
echo "SSHD_OPTS='-E /var/log/sshd.log'" >/etc/default/ssh
: >/etc/machine-id
rm -f /var/log/apt/* /var/log/dpkg.log /var/log/bootstrap.log
# The service script gives up where it may not raise its limits, as in a container.
[ ! -e /etc/init.d/docker ] ||
    sed -i 's/^\([[:space:]]*ulimit .*\)$/\1 || true/' /etc/init.d/docker
# Podman's runtime wants limits raised and controllers delegated, which a container cannot have.
install -d -m 0755 /etc/containers/containers.conf.d
without='cgroups = "disabled"'
[ ! -x /usr/sbin/runc ] || without='pids_limit = 0' # which runc, Docker's, cannot do without
printf '[containers]\n%s\n' "$without" >/etc/containers/containers.conf.d/test-host.conf
# OpenRC would wait for services that mount a machine's disks, which a container does not have.
rm -f /etc/runlevels/sysinit/hwclock.sh /etc/runlevels/sysinit/procps
# Nothing of the machine's clockwork: tests decide what runs when.
if [ -x /bin/systemctl ]; then
    systemctl disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
        e2scrub_all.timer fstrim.timer >/dev/null 2>&1 || true
    systemctl mask systemd-modules-load.service systemd-binfmt.service \
        systemd-udevd.service getty@tty1.service console-getty.service >/dev/null 2>&1 || true
fi
SETUP

# Hooks are for a shell whose $1 is the new root.
# shellcheck disable=SC2016
install='APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes install -o DPkg::Chroot-Directory="$1"'
# shellcheck disable=SC2016  # as above
if [ -n "$base" ]; then
    ln -s "$(realpath "$base")" "$work/base.tar"
    # mmdebstrap's own tar-in now and then fails: tar does not read its pipe to the end.
    unpack='tar --extract --directory="$1" --numeric-owner --xattrs --xattrs-include="*" --file'
    set -- "$@" --variant=custom --setup-hook="$unpack $work/base.tar" \
        --customize-hook="$install $packages"
else
    set -- "$@" --variant=apt --include="$packages"
fi
# Newer suites split the client off.
# shellcheck disable=SC2016  # as above
[ -z "$engine" ] || set -- "$@" --customize-hook='[ -x "$1/usr/bin/docker" ] ||'" $install docker-cli"

# shellcheck disable=SC2016  # as above
set -- "$@" \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook="upload $work/regfleet-boot /sbin/regfleet-boot" \
    --customize-hook='chmod 0755 "$1/sbin/regfleet-boot"' \
    --customize-hook="upload $work/sshd.conf /etc/ssh/sshd_config.d/regfleet.conf" \
    --customize-hook='chroot "$1" /bin/sh <'"$work/setup" \
    "$suite" "$out.part"
for file in "$work"/sources/*; do
    [ ! -e "$file" ] || set -- "$@" "$file"
done
mmdebstrap --quiet --format=tar "$@" || {
    rm -f "$out.part"
    exit 1
}
mv "$out.part" "$out"
