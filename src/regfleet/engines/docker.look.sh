# Docker, as the look sees it.
# shellcheck shell=sh disable=SC2154  # functions and variables of look.sh and common.sh

look_daemon() { # PATH: daemon.json, where its symbolic links lead
  set -- "$(readlink -f "$1" 2>/dev/null || echo "$1")"
  say "daemon $1"
  whole daemon "$1"
  whole original "/var/lib/regfleet/original$1"
}

docker_look() { # the engine; daemon.json follows the daemon's own --config-file
  config=/etc/docker/daemon.json
  if ! command -v dockerd >/dev/null 2>&1; then
    look_daemon "$config" # it may be there before the engine, or after it
    say 'engine missing'
    if command -v docker >/dev/null 2>&1; then say "client $(command -v docker)"; fi
    return 0
  fi
  pid=$(docker_pid)
  if [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ]; then
    printf '@flags '
    base64 <"/proc/$pid/cmdline" | tr -d '\n'
    echo
    given=$(tr '\0' '\n' <"/proc/$pid/cmdline" | sed -n -e 's/^--config-file=//p' -e '/^--config-file$/{n;p;}')
    [ -n "$given" ] && config=$given
  fi
  look_daemon "$config"
  if [ -z "$pid" ]; then
    say 'engine down'
    say "version $(dockerd --version 2>/dev/null)"
    return 0
  fi
  # A socket-activated engine would be started by asking it: it is asked only when it runs.
  if info=$(docker info --format '{{json .}}' 2>/dev/null) && [ -n "$info" ]; then
    say 'engine up'
    say "info $info"
  else
    say 'engine silent'
    docker info 2>&1 | grep -i -m 1 error | sed 's/^/@silent /'
  fi
}

look_container() { # NAME
  docker container inspect --format \
    '@container {{.Name}} {{.State.Running}} {{.Image}} {{or (index .Config.Labels "regfleet.specification") "-"}} {{or (index .Config.Labels "regfleet.fleet") "-"}}' \
    "$1" 2>/dev/null || :
}

docker_image() { # REFERENCE: its identifier
  docker image inspect --format '{{.Id}}' "$1"
}
