# Docker, as the look sees it.
# shellcheck shell=sh disable=SC2154  # functions and variables of look.sh and common.sh
docker_socket=/var/run/docker.sock

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
  if grep -q '^[^#;]*DOCKER_OPTS=' /etc/default/docker 2>/dev/null; then more=yes; fi
  if [ -f /etc/sysconfig/docker ] || unusual; then more=yes; fi
  [ -n "$more" ] || return 0
  for file in "$@" /etc/default/docker /etc/sysconfig/docker; do look_text "$file"; done
  [ $# = 0 ] || sed -n 's/^[[:space:]]*EnvironmentFile=-\{0,1\}\([^[:space:]]*\).*/\1/p' "$@" | while read -r file; do
    case $file in '' | /etc/default/docker | /etc/sysconfig/docker) ;; *) look_text "$file" ;; esac
  done
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
  pid=$(docker_pid)
  [ -n "$pid" ] && look_flags "$pid"
  look_daemon "$config"
  look_start
  if [ -z "$pid" ]; then
    say 'engine down'
    say "version $(dockerd --version 2>/dev/null)"
    return 0
  fi
  # A socket-activated engine would be started by asking it: it is asked only when it runs.
  if info=$(docker_ask /info || docker info --format '{{json .}}' 2>/dev/null) && [ -n "$info" ]; then
    say 'engine up'
    say "info $info"
  else
    say 'engine silent'
    docker info 2>&1 | grep -i -m 1 error | sed 's/^/@silent /'
  fi
}

look_flags() { # PID: the daemon's arguments, one a line; sets `config` where they do
  flags=$(tr '\0' '\n' 2>/dev/null <"/proc/$1/cmdline")
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

# One GET of the engine's API (moby, api/swagger.yaml) without its client, which takes longer to
# start than the engine to answer. Perl is on every Debian and Ubuntu (perl-base is essential),
# curl on most others; where neither is, or neither gets an answer, the client is asked after all.
# The numbers are AF_UNIX, SOCK_STREAM and the size of a path in sockaddr_un (unix(7)).
docker_ask() { # PATH: prints the answer; 1 when there is none, 4 when there is no such thing
  [ -S "$docker_socket" ] || return 1
  if command -v perl >/dev/null 2>&1; then
    # shellcheck disable=SC2016  # those are Perl's
    perl -e 'socket(S, 1, 1, 0) && connect(S, pack("Sa108", 1, $ARGV[0])) or exit 1;
      syswrite(S, "GET $ARGV[1] HTTP/1.0\r\n\r\n") or exit 1;
      local $/; $_ = <S>;
      exit 4 if m{^HTTP/\S+ 404 };
      s{^HTTP/\S+ 200 .*?\r\n\r\n}{}s or exit 1;
      print' "$docker_socket" "$1" 2>/dev/null
  elif command -v curl >/dev/null 2>&1; then
    answer=$(curl -s -w '%{http_code}' --noproxy '*' --unix-socket "$docker_socket" \
      "http://docker$1" 2>/dev/null)
    case $answer in
      *200) printf '%s' "${answer%200}" ;;
      *404) return 4 ;;
      *) return 1 ;;
    esac
  else
    return 1
  fi
}

look_container() { # NAME
  # %7B"name":["NAME"]%7D: those with that in their names.
  if listed=$(docker_ask "/containers/json?all=1&filters=%7B%22name%22%3A%5B%22$1%22%5D%7D"); then
    say "listed $1 $listed"
  else
    docker container inspect --format \
      '@container {{.Name}} {{.State.Running}} {{.Image}} {{or (index .Config.Labels "regfleet.specification") "-"}} {{or (index .Config.Labels "regfleet.fleet") "-"}}' \
      "$1" 2>/dev/null || :
  fi
}

docker_image() { # REFERENCE: its identifier
  described=$(docker_ask "/images/$1/json")
  case $? in
    0)
      described=${described#*'"Id":"'}
      echo "${described%%\"*}"
      ;;
    4) return 1 ;;
    *) docker image inspect --format '{{.Id}}' "$1" ;;
  esac
}
