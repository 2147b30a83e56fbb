# Docker, as the look sees it.
# shellcheck shell=sh disable=SC2034,SC2154  # functions and variables of look.sh and common.sh
docker_wanted=

docker_wants() { docker_wanted=$*; } # PATH...: what the API is asked for beside /info

look_daemon() { # PATH: daemon.json, where its symbolic links lead
  linked "$1" && set -- "$(readlink -f "$1" 2>/dev/null || echo "$1")"
  say "daemon $1"
  look_text "$1"
}

linked() { # PATH: whether a symbolic link is on the way there, or a step back
  case $1 in *//* | */./* | */../*) return 0 ;; esac
  part=$1
  while [ -n "$part" ]; do
    if [ -L "$part" ] || [ "${part#/}" = "$part" ]; then return 0; fi # or it is no absolute path
    part=${part%/*}
  done
  return 1
}

look_start() { # how dockerd is started; nothing more where it is as the packages' units start it
  if [ ! -d /run/systemd/system ]; then
    script=/etc/default/docker
    if is_openrc docker; then script=/etc/conf.d/docker; fi
    say "start Script=$script"
    look_text "$script"
    return 0
  fi
  if [ -r /etc/default/docker ]; then
    while read -r line || [ -n "$line" ]; do
      case $line in '#'* | ';'*) ;; *DOCKER_OPTS=*) more=yes ;; esac
    done </etc/default/docker
  fi
  if [ -f /etc/sysconfig/docker ] || unusual; then more=yes; fi
  found=
  drop_ins=
  for place in /etc /run /usr/local/lib /usr/lib /lib; do
    if [ -z "$found" ] && [ -f "$place/systemd/system/$docker_unit" ]; then
      found=$place/systemd/system/$docker_unit
      say "unit $found"
    fi
    for file in "$place/systemd/system/$docker_unit.d"/*.conf "$place"/systemd/system/service.d/*.conf; do
      if [ -s "$file" ]; then drop_ins="$drop_ins ${file##*/}" more=yes; fi
    done
  done
  case $found in /etc/* | /run/*) more=yes ;; esac
  if [ -n "$more" ]; then ask_systemd; fi
}

# It is asked, for it alone knows what its files come to: a program more than most hosts need.
ask_systemd() {
  look_text /etc/sysconfig/docker
  shown=$(systemctl show -p FragmentPath -p DropInPaths -p ExecStart -p Environment \
    -p EnvironmentFiles -p NeedDaemonReload "$docker_unit" 2>/dev/null 9>&-)
  files='' read_ones=''
  IFS=$NL
  set -f
  for line in $shown; do
    say "start $line"
    case $line in
      FragmentPath=* | DropInPaths=*) files="$files ${line#*=}" read_ones="$read_ones ${line#*=} " ;;
      EnvironmentFile*=*' ('*) files="$files ${line#*=}" files=${files% (*} ;;
    esac
  done
  set +f
  unset IFS
  # NeedDaemonReload tells of no directory and no unit that is new since systemd read its own.
  for file in $drop_ins; do
    case $read_ones in *"/$file "*) ;; *) say 'start NeedDaemonReload=yes' ;; esac
  done
  case $found in
    /etc/* | /run/*) case $read_ones in *" $found "*) ;; *) say 'start NeedDaemonReload=yes' ;; esac ;;
  esac
  # Paths of systemd's, without blanks; those of files of variables may be patterns.
  for file in $files; do
    if [ "$file" != /etc/sysconfig/docker ]; then look_text "$file"; fi
  done
}

print_rootless() { # the dockerd of an account; fails if there is none
  for each_pid in $(pidof dockerd 2>/dev/null); do
    owner=$(stat -c '%u %U' "/proc/$each_pid" 2>/dev/null) || continue
    case $owner in '0 '*) continue ;; esac # in a container
    say "instead rootless ${owner#* } /run/user/${owner% *}/docker.sock"
    return 0
  done
  return 1
}

# What there is where an engine is missing: installing one beside it would be in its way.
print_instead() {
  if print_rootless; then return; fi
  client=$(command -v docker 2>/dev/null)
  if [ -n "$client" ]; then
    case $(docker --version 2>/dev/null) in
      podman*) say "instead podman $client"; return ;;
    esac
  fi
  # A program that accepts connections there (unix(7); the flag is __SO_ACCEPTCON).
  if grep -q ' 00010000 .* \(/var\)\{0,1\}/run/docker.sock$' /proc/net/unix 2>/dev/null; then
    say 'instead socket /var/run/docker.sock'
  elif [ -n "$client" ]; then
    say "client $client"
  fi
}

# Its daemon reads certificates below another directory than the one that the fleet declares.
look_snap() {
  docker_place=$docker_snap/current/etc/docker
  say "etc $docker_place"
  set -f
  for path in $looked_paths; do
    case $path in /etc/docker | /etc/docker/*) request path - "$docker_snap/current$path" ;; esac
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
  flags=
  find_docker
  if [ -z "$pid" ] && ! command -v dockerd >/dev/null 2>&1; then
    look_daemon "$config" # it may be there before the engine, or after it
    look_text /etc/sysconfig/docker
    say 'engine missing'
    print_instead
    return 0
  fi
  if [ -n "$added_directory" ]; then say "programs $added_directory"; fi
  if in_a_snap; then
    config=$docker_snap/current/config/daemon.json
    look_snap
  fi
  [ -n "$pid" ] && look_flags "$pid"
  ask_engine
  say "address $DOCKER_HOST"
  look_daemon "$config"
  look_start
  look_boot
  if [ -z "$pid" ]; then
    say 'engine down'
    print_rootless || :
    say "version $(dockerd --version 2>/dev/null)"
    return 0
  fi
  # A socket-activated engine would be started by asking it: it is asked only when it runs.
  # shellcheck disable=SC2086  # paths of the API hold no blanks
  if docker_ask /info $docker_wanted; then
    listed_engine=docker
    say 'engine up'
  elif [ "$DOCKER_HOST" = unix:///nonexistent ]; then
    say 'engine silent'
    say "silent it listens on no unix socket${docker_tls:+, and on $docker_tcp with TLS alone}: start it with -H unix:///var/run/docker.sock, too"
  elif info=$(docker info --format '{{json .}}' 2>/dev/null) && [ -n "$info" ]; then
    say 'engine up'
    say "info $info"
  else
    say 'engine silent'
    docker info 2>&1 | grep -i -m 1 error | sed 's/^/@silent /'
  fi
}

look_flags() { # PID: the daemon's arguments, one a line; sets `config` where they do
  find_arguments "$1"
  [ -n "$flags" ] || return 0
  read_flags
  config=$daemon_file
  IFS=$NL
  set -f
  for flag in $flags; do say "flag $flag"; done
  set +f
  unset IFS
}

look_boot() {
  boot_of "${docker_unit%.service}"
  if [ -n "$boot" ]; then say "starts $boot"; fi
}

docker_ask() { # PATH...: GETs of the engine's API; whether all were answered
  [ -S "$docker_socket" ] || return 1
  for path; do request api "$docker_socket" "$path"; done
  answer_requests
}

docker_image() { # REFERENCE: its identifier
  docker image inspect --format '{{.Id}}' "$1"
}
