# An account's own Docker, as the doctor sees it.
# shellcheck shell=sh disable=SC2154  # with functions and variables of doctor.sh, look.sh and rootless.sh

own_up=

rootless_first() { :; } # the look says whose it is

rootless_certs() { # ENDPOINT: the names that the account tells
  find_own "$engine_account" || return 0
  ask_own 20 certs "$1" </dev/null || return 0
  printf '%s\n' "$said" | head -n 50 | while IFS= read -r file; do
    case $file in '' | *[!A-Za-z0-9._-]*) ;; *) say "cert ~$engine_account/.config/docker/certs.d/$1 $file" ;; esac
  done
}

rootless_trouble() { # its last words where it does not answer
  find_own "$engine_account" || return 0
  if ask_own 20 docker version --format '{{.Server.Version}}' </dev/null; then
    own_up=yes
    return 0
  fi
  [ -d /run/systemd/system ] || return 0
  patient journalctl "_UID=$uid" "_SYSTEMD_USER_UNIT=${own_unit:-docker.service}" -n 50 -o cat --no-pager 2>/dev/null |
    grep -v 'Handler for' | serious | tail -n 3 | scrub | cut -c1-400 | sed 's/^/@word /'
}

# A pull of what is not there: see docker.doctor.sh.
rootless_try() { # ENDPOINT ACCOUNT, - for nobody
  [ -n "$own_up" ] || return 0
  if [ "$2" = - ]; then
    ask_own 30 docker --config /nonexistent pull "$1/regfleet/doctor:none" </dev/null
  else
    ask_own 30 docker pull "$1/regfleet/doctor:none" </dev/null
  fi
  say "try $1 $2 $? $(printf '%s' "$said" | scrub | flat)"
}
