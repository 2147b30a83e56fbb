# Docker, as the doctor sees it.
# shellcheck shell=sh disable=SC2154  # with functions and variables of doctor.sh, look.sh and common.sh

docker_up=
docker_hangs=

# Every use of it, the look's too: of one that hangs nothing more is asked.
if command -v docker >/dev/null 2>&1; then
  docker() { [ -z "$docker_hangs" ] && patient docker "$@"; }
fi

# Whether it answers, asked once. A socket-activated one would be started by asking it.
docker_first() {
  if command -v dockerd >/dev/null 2>&1 && [ -n "$(docker_pid)" ]; then
    docker version --format '{{.Server.Version}}' >/dev/null 2>&1
    case $? in
      0) docker_up=yes ;;
      124 | 143) docker_hangs=yes ;;
    esac
  fi
}

docker_certs() { certificates "/etc/docker/certs.d/$1"; } # ENDPOINT

docker_trouble() { # flags and where they are set, proxies, what it said last
  command -v dockerd >/dev/null 2>&1 || return 0
  docker_flags
  if [ -n "$docker_up" ]; then
    docker info --format 'http {{.HTTPProxy}}
https {{.HTTPSProxy}}
no {{.NoProxy}}' 2>/dev/null | scrub | sed 's/^/@proxy /'
  else
    if [ -d /run/systemd/system ] &&
      [ "$(systemctl show --property Result --value docker.service 2>/dev/null)" = success ]; then
      say stopped
    else
      docker_log 50 | serious | tail -n 3 | scrub | cut -c1-400 | sed 's/^/@word /'
    fi
  fi
  docker_log 2000 -6h | grep -i toomanyrequests | tail -n 1 | scrub | flat | sed 's/^/@limited /'
}

docker_flags() { # a line for each ExecStart and each variable with options: `unit FILE KEY=VALUE`
  if [ -d /run/systemd/system ]; then
    # Drop-ins are read from their places: `systemctl cat` does not know new ones yet.
    unit=$(systemctl show --property FragmentPath --value docker.service 2>/dev/null)
    for file in "$unit" /usr/lib/systemd/system/docker.service.d/*.conf \
      /run/systemd/system/docker.service.d/*.conf /etc/systemd/system/docker.service.d/*.conf; do
      if [ -r "$file" ]; then started_by "$file" | scrub; fi
    done
  fi
  for file in /etc/default/docker /etc/sysconfig/docker /etc/conf.d/docker; do
    if [ -r "$file" ]; then
      sed -n -e 's/^[[:space:]]*export[[:space:]]*//' -e 's/^[[:space:]]*//' \
        -e '/^[A-Z_]*OPT[A-Z_]*=/p' "$file" | scrub | sed "s|^|@unit $file |"
    fi
  done
}

started_by() { # FILE: its ExecStart lines, continued ones joined
  while read -r line; do
    while [ "${line%\\}" != "$line" ] && read -r more; do line="${line%\\}$more"; done
    case $line in ExecStart=*) say "unit $1 $line" ;; esac
  done <"$1"
}

docker_log() { # LINES [SINCE]
  if [ -d /run/systemd/system ]; then
    journalctl -u docker.service -t dockerd -n "$1" ${2:+--since "$2"} -o cat --no-pager 2>/dev/null
  else
    tail -n "$1" /var/log/docker.log 2>/dev/null
  fi
}

# A pull of what is not there: a registry that is reached and lets the account in says so, and
# whatever is in the way says what it is. It leaves nothing, there or here.
docker_try() { # ENDPOINT ACCOUNT
  [ -n "$docker_up" ] || return 0
  home=$(home_of "$2")
  [ -n "$home" ] || return 0
  said=$(docker --config "$home/.docker" pull "$1/regfleet/doctor:none" 2>&1 </dev/null)
  say "try $1 $2 $? $(printf '%s' "$said" | scrub | flat)"
}

docker_offer() { # IMAGE: whether it could be pulled, where it is not there
  [ -n "$docker_up" ] || return 0
  docker image inspect "$1" >/dev/null 2>&1 && return 0
  said=$(docker manifest inspect "$1" 2>&1 </dev/null)
  status=$?
  [ "$status" = 0 ] && said=
  say "offer $1 $status $(printf '%s' "$said" | scrub | flat)"
}

docker_state() { # CONTAINER: its state, and its last words where it does not run
  [ -n "$docker_up" ] || return 0
  state=$(docker container inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$1" 2>/dev/null) || return 0
  say "state $1 $state"
  case $state in 'running '*) return 0 ;; esac
  # Its log of requests tells nothing.
  docker logs --tail 30 "$1" 2>&1 | grep -v ' HTTP/[0-9.]*" [0-9]' | serious | tail -n 2 | scrub | flat | sed "s|^|@last $1 |"
}
