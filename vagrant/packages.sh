#!/bin/sh
# Installs the Debian packages whose programs this machine lacks, and writes down which it did.
#
#   packages.sh NOTE PROGRAM:PACKAGE...
#
# Each newly installed package, dependencies included, gets a line in the file NOTE. Nothing is
# installed where every program is there. Services of the packages are not started: what needs a
# Docker engine starts one of its own.
set -eu

note=$1
shift
export DEBIAN_FRONTEND=noninteractive
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
updated=
forbidden=
before=$(mktemp)

# Also where one of several packages failed: what was installed is written down.
finish() {
    [ -z "$forbidden" ] || $as_root rm -f /usr/sbin/policy-rc.d
    [ -z "$updated" ] || installed | comm -13 "$before" - >>"$note"
    rm -f "$before"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

has() {
    case $1 in
        python3-ensurepip) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

installed() {
    # shellcheck disable=SC2016  # dpkg-query's own variables
    dpkg-query --show --showformat '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii *//p' | sort
}

# invoke-rc.d(8): 101 forbids a package's scripts to start or stop services.
forbid_services() {
    [ -e /usr/sbin/policy-rc.d ] && return
    forbidden=yes
    printf '#!/bin/sh\nexit 101\n' | $as_root tee /usr/sbin/policy-rc.d >/dev/null
    $as_root chmod 0755 /usr/sbin/policy-rc.d
}

install() {
    if ! command -v apt-get >/dev/null; then
        echo "error: $1 is missing, and there is no apt-get here to install it with" >&2
        echo "  hint: install it with this system's own tools, then run this again" >&2
        exit 1
    fi
    if [ -z "$updated" ]; then
        forbid_services
        $as_root apt-get -qq -o DPkg::Lock::Timeout=300 update
        updated=yes
    fi
    echo "installing $1"
    # The log is only worth reading where it failed.
    $as_root apt-get -qq -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "$1" >"$note.log" 2>&1 || {
        tail -n 20 "$note.log" >&2
        echo "error: the package $1 cannot be installed" >&2
        exit 1
    }
    rm -f "$note.log"
}

mkdir -p "$(dirname "$note")"
for pair; do
    has "${pair%%:*}" || {
        [ -n "$updated" ] || installed >"$before"
        install "${pair#*:}"
    }
done
