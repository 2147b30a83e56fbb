# Docker, as the look sees it.
# shellcheck shell=sh disable=SC2154  # functions and variables of look.sh and common.sh
docker_socket=/var/run/docker.sock
docker_wanted=
docker_usual=-Hfd://--containerd=/run/containerd/containerd.sock

docker_wants() { docker_wanted=$*; } # PATH...: what the API is asked for beside /info

look_daemon() { # PATH: daemon.json, where its symbolic links lead
  linked "$1" && set -- "$(readlink -f "$1" 2>/dev/null || echo "$1")"
  say "daemon $1"
  whole daemon "$1"
  whole original "/var/lib/regfleet/original$1"
}

linked() { # PATH: whether a symbolic link is on the way there
  part=$1
  while [ -n "$part" ]; do
    if [ -L "$part" ] || [ "${part#/}" = "$part" ]; then return 0; fi # or it is no absolute path
    part=${part%/*}
  done
  return 1
}

look_start() { # where dockerd's flags are set; whole files where there may be more than the package's
  set --
  if [ -d /run/systemd/system ]; then
    for place in /etc /run /usr/local/lib /usr/lib /lib; do
      if [ $# = 0 ] && [ -f "$place/systemd/system/docker.service" ]; then
        set -- "$place/systemd/system/docker.service"
        say "unit $1"
      fi
    done
    case ${1:-} in /etc/* | /run/*) more=yes ;; esac
    # One of the same name in a place further up takes the place of one further down.
    names=' '
    for place in /etc /run /usr/lib; do
      for file in "$place"/systemd/system/docker.service.d/*.conf "$place"/systemd/system/service.d/*.conf; do
        case $names in *" ${file##*/} "*) continue ;; esac
        if [ -e "$file" ]; then names="$names${file##*/} "; fi
        if [ -f "$file" ]; then
          set -- "$@" "$file"
          more=yes
        fi
      done
    done
  fi
  if [ -r /etc/default/docker ]; then
    while read -r line || [ -n "$line" ]; do
      case $line in '#'* | ';'*) ;; *DOCKER_OPTS=*) more=yes ;; esac
    done </etc/default/docker
  fi
  if [ -f /etc/sysconfig/docker ] || unusual; then more=yes; fi
  [ -n "$more" ] || return 0
  for file in "$@" /etc/default/docker /etc/sysconfig/docker; do look_text "$file"; done
  [ $# != 0 ] || return 0
  files=$(sed -n 's/^[[:space:]]*EnvironmentFile=-\{0,1\}\([^[:space:]]*\).*/\1/p' "$@")
  set -f
  for file in $files; do # without blanks, as sed takes them
    case $file in /etc/default/docker | /etc/sysconfig/docker) ;; *) look_text "$file" ;; esac
  done
  set +f
}

unusual() { # whether dockerd was given more `flags` than the packages' units give it
  odd=1
  IFS=$NL
  set -f
  for flag in $flags; do
    case $flag in
      */dockerd | -H | fd:// | --host=fd:// | --containerd=* | -p | --pidfile* | /*.pid | --config-file* | /*.json) ;;
      *) odd=0 ;;
    esac
  done
  set +f
  unset IFS
  return "$odd"
}

docker_look() { # [ENGINE]: the engine; daemon.json follows the daemon's own --config-file
  config=/etc/docker/daemon.json
  more=
  if [ "${1:-}" = docker-sysconfig ]; then more=yes; fi
  if ! command -v dockerd >/dev/null 2>&1; then
    look_daemon "$config" # it may be there before the engine, or after it
    look_text /etc/sysconfig/docker
    say 'engine missing'
    if command -v docker >/dev/null 2>&1; then say "client $(command -v docker)"; fi
    return 0
  fi
  flags=
  find_docker
  [ -n "$pid" ] && look_flags "$pid"
  look_daemon "$config"
  look_start
  if [ -z "$pid" ]; then
    say 'engine down'
    say "version $(dockerd --version 2>/dev/null)"
    return 0
  fi
  # A socket-activated engine would be started by asking it: it is asked only when it runs.
  # shellcheck disable=SC2086  # paths of the API hold no blanks
  if docker_ask /info $docker_wanted; then
    told=docker
    say 'engine up'
  elif info=$(docker info --format '{{json .}}' 2>/dev/null) && [ -n "$info" ]; then
    say 'engine up'
    say "info $info"
  else
    say 'engine silent'
    docker info 2>&1 | grep -i -m 1 error | sed 's/^/@silent /'
  fi
}

look_flags() { # PID: the daemon's arguments, one a line; sets `config` where they do
  # The packages' own are known without starting a program; shells leave out the zeros between.
  read -r joined 2>/dev/null <"/proc/$1/cmdline" || :
  case ${joined:-} in
    /usr/bin/"dockerd$docker_usual" | /usr/sbin/"dockerd$docker_usual")
      flags="${joined%"$docker_usual"}$NL-H${NL}fd://$NL${docker_usual#-Hfd://}"
      ;;
    *) flags=$(tr '\0' '\n' 2>/dev/null <"/proc/$1/cmdline") ;;
  esac
  before=
  IFS=$NL
  set -f
  for flag in $flags; do
    say "flag $flag"
    case $before in --config-file) config=$flag ;; esac
    case $flag in --config-file=?*) config=${flag#*=} ;; esac
    before=$flag
  done
  set +f
  unset IFS
}

docker_ask() { # PATH...: GETs of the engine's API; whether all were answered
  [ -S "$docker_socket" ] || return 1
  for path; do ask api "$docker_socket" "$path"; done
  tell
}

look_container() { # NAME
  [ "$told" != docker ] || return 0
  docker container inspect --format \
    '@container {{.Name}} {{.State.Running}} {{.Image}} {{or (index .Config.Labels "regfleet.specification") "-"}} {{or (index .Config.Labels "regfleet.fleet") "-"}}' \
    "$1" 2>/dev/null || :
}

docker_image() { # REFERENCE: its identifier
  docker image inspect --format '{{.Id}}' "$1"
}
