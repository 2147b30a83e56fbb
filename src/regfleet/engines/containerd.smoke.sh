# containerd, as the smoke test uses it: by ctr, in a namespace that is made for it and goes again.
# shellcheck shell=sh disable=SC2034,SC2154  # variables of smoke.sh

hosts= # the directory of hosts.toml files that is used

# As it is for CRI; a containerd without CRI has the usual one, which nerdctl reads, too.
containerd_hosts() {
  path=$(containerd config dump 2>/dev/null |
    awk '/^[ \t]*\[/ { keep = /cri/ && /registry/ } keep' |
    sed -n "s/^ *config_path = ['\"]\([^'\":]*\).*/\1/p" | head -n 1)
  printf '%s\n' "${path:-/etc/containerd/certs.d}"
}

containerd_do() { said=$(ctr -n regfleet-smoke "$@" </dev/null 2>&1); }

# busybox:latest is docker.io/library/busybox:latest, which ctr does not know by itself.
full() { # REFERENCE
  case ${1%%/*} in
    *.* | *:* | localhost) [ "$1" = "${1#*/}" ] || { printf '%s\n' "$1"; return; } ;;
  esac
  case $1 in
    */*) printf 'docker.io/%s\n' "$1" ;;
    *) printf 'docker.io/library/%s\n' "$1" ;;
  esac
}

containerd_digest() { # REFERENCE
  ctr -n regfleet-smoke images ls 2>/dev/null | awk -v name="$(full "$1")" '$1 == name { print $3 }'
}

containerd_has() { [ -n "$(containerd_digest "$1")" ]; }
containerd_fetch() { containerd_do images pull --hosts-dir "$(containerd_hosts)" "$(full "$1")"; }
containerd_tag() { containerd_do images tag --force "$(full "$1")" "$(full "$2")"; }
containerd_save() { containerd_do images export "$2" "$(full "$1")"; }
containerd_load() { containerd_do images import "$1"; }

containerd_remove() { # the last one takes the namespace with it
  containerd_do images rm --sync "$(full "$1")" || return 1
  left=$(ctr -n regfleet-smoke images ls -q 2>/dev/null) && [ -z "$left" ] || return 0
  ctr namespaces rm regfleet-smoke >/dev/null 2>&1
  return 0
}

containerd_push() {
  containerd_do images push --hosts-dir "$hosts" "$1" || return 1
  pushed=$(containerd_digest "$1")
}

containerd_pull() {
  containerd_do images pull --hosts-dir "$hosts" "$1" || return 1
  pulled=$(containerd_digest "$1")
}

containerd_run() { ctr_run "$@" ctr -n regfleet-smoke; } # IMAGE WORD

containerd_kept() { # ACCOUNT: its login is in hosts.toml, where there is one
  hosts=$(containerd_hosts)
}
