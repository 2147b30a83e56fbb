# Docker, as the doctor sees it.
# shellcheck shell=sh disable=SC2034,SC2154  # with functions and variables of doctor.sh, look.sh and common.sh

docker_up=
docker_hangs=

# Every use of it, the look's too.
if command -v docker >/dev/null 2>&1; then
  docker() { [ -z "$docker_hangs" ] && patient docker "$@"; }
fi

# Whether it answers, asked once: one that hangs is not asked by the look either. One that is
# activated by its socket would be started by asking it.
docker_first() {
  find_engine
  if command -v dockerd >/dev/null 2>&1 && [ -n "$pid" ]; then
    docker version --format '{{.Server.Version}}' >/dev/null 2>&1
    case $? in
      0) docker_up=yes ;;
      124 | 143)
        docker_hangs=yes
        # shellcheck disable=SC2329  # the look does
        docker_ask() { return 1; }
        ;;
    esac
  fi
}

docker_certs() { certificates "$docker_place/certs.d/$1"; } # ENDPOINT

docker_trouble() { # proxies, and what it said last where it does not answer
  command -v dockerd >/dev/null 2>&1 || return 0
  if [ -n "$docker_up" ]; then
    docker info --format 'http {{.HTTPProxy}}
https {{.HTTPSProxy}}
no {{.NoProxy}}' 2>/dev/null | scrub | sed 's/^/@proxy /'
  else
    unit=
    if [ -d /run/systemd/system ]; then
      unit=$(systemctl show --property ActiveState,Result "$docker_unit" 2>/dev/null)
    fi
    # While systemd starts it again and again, its process runs for a moment, and ends.
    case $unit in *ActiveState=activating*) say starting ;; esac
    case $unit in
      *Result=success*ActiveState=inactive* | *ActiveState=inactive*Result=success*) say stopped ;;
      *) # what it said of single requests is no reason
        docker_log 50 | grep -v 'Handler for' | serious | tail -n 3 | scrub | cut -c1-400 | sed 's/^/@word /'
        ;;
    esac
  fi
  docker_log 2000 -6h | grep -i toomanyrequests | tail -n 1 | scrub | flat | sed 's/^/@limited /'
}

docker_log() { # LINES [SINCE]
  if [ -d /run/systemd/system ]; then
    journalctl -u "$docker_unit" -t dockerd -t docker.dockerd -n "$1" ${2:+--since "$2"} -o cat --no-pager 2>/dev/null
  else
    tail -n "$1" /var/log/docker.log 2>/dev/null
  fi
}

# A pull of what is not there: a registry that is reached and lets the account in says so, and
# whatever is in the way says what it is. It leaves nothing, there or here.
docker_try() { # ENDPOINT ACCOUNT, - for nobody
  [ -n "$docker_up" ] || return 0
  [ "$2" = - ] || find_account "$2" || return 0 # nobody's
  private_directory || return 0
  if copy_login "$2" .docker/config.json "$1" "$private/config.json"; then
    said=$(docker --config "$private" pull "$1/regfleet/doctor:none" 2>&1 </dev/null)
  else
    false
  fi
  say "try $1 $2 $? $(printf '%s' "$said" | scrub | flat)"
  rm -f "$private/config.json"
}

docker_offer() { # IMAGE: whether it could be pulled, where it is not there
  [ -n "$docker_up" ] || return 0
  docker image inspect "$1" >/dev/null 2>&1 && return 0
  said=$(docker manifest inspect "$1" 2>&1 </dev/null)
  status=$?
  [ "$status" = 0 ] && said=
  say "offer $1 $status $(printf '%s' "$said" | scrub | flat)"
}
