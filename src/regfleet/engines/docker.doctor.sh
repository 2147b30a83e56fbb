# Docker, as the doctor sees it.
# shellcheck shell=sh disable=SC2154  # functions and variables of doctor.sh, look.sh and common.sh

# Every use of it, the look's too.
if command -v docker >/dev/null 2>&1; then
  docker() { patient docker "$@"; }
fi

# A socket-activated engine would be started by asking it.
docker_answers() {
  command -v dockerd >/dev/null 2>&1 && [ -n "$(docker_pid)" ] &&
    docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

docker_certs() { certificates "/etc/docker/certs.d/$1"; } # ENDPOINT

docker_trouble() { # flags and where they are set, proxies, what it said last
  command -v dockerd >/dev/null 2>&1 || return 0
  docker_flags
  if docker_answers; then
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
    # Before each fragment stands a comment with its path (systemctl(1), cat).
    systemctl cat docker.service 2>/dev/null | while read -r line; do
      while :; do case $line in
        *\\) read -r more; line="${line%\\}$more" ;;
        *) break ;;
      esac; done
      case $line in
        '# /'*) unit=${line#'# '} ;;
        ExecStart=*) say "unit ${unit:-docker.service} $line" ;;
      esac
    done | scrub
  fi
  for file in /etc/default/docker /etc/sysconfig/docker /etc/conf.d/docker; do
    if [ -r "$file" ]; then
      sed -n -e 's/^[[:space:]]*export[[:space:]]*//' -e 's/^[[:space:]]*//' \
        -e '/^[A-Z_]*OPT[A-Z_]*=/p' "$file" | scrub | sed "s|^|@unit $file |"
    fi
  done
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
  docker_answers || return 0
  home=$(home_of "$2")
  [ -n "$home" ] || return 0
  said=$(docker --config "$home/.docker" pull "$1/regfleet/doctor:none" 2>&1 </dev/null)
  say "try $1 $2 $? $(printf '%s' "$said" | scrub | flat)"
}

docker_offer() { # IMAGE: whether it could be pulled, where it is not there
  docker_answers || return 0
  docker image inspect "$1" >/dev/null 2>&1 && return 0
  said=$(docker manifest inspect "$1" 2>&1 </dev/null)
  status=$?
  [ "$status" = 0 ] && said=
  say "offer $1 $status $(printf '%s' "$said" | scrub | flat)"
}

docker_state() { # CONTAINER: its state, and its last words where it does not run
  docker_answers || return 0
  state=$(docker container inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$1" 2>/dev/null) || return 0
  say "state $1 $state"
  case $state in 'running '*) return 0 ;; esac
  docker logs --tail 20 "$1" 2>&1 | serious | tail -n 2 | scrub | flat | sed "s|^|@last $1 |"
}
