# The Docker engine of a host, which every program of ours finds in this one way: registries run there.
# shellcheck shell=sh disable=SC2034,SC2154  # files share variables
# The engine of this host; `find_engine` finds one that listens elsewhere.
DOCKER_HOST=unix:///var/run/docker.sock
export DOCKER_HOST
docker_socket=/var/run/docker.sock
docker_unit=docker.service # one of another name stays the one, also while its engine is stopped
docker_usual=-Hfd://--containerd=/run/containerd/containerd.sock

docker_place=/etc/docker # what Docker reads there: the look of a snap has it elsewhere
docker_snap=/var/snap/docker # of Canonical's snap (canonical/docker-snap, bin/dockerd-wrapper)
snap_unit=snap.docker.dockerd.service

# What a daemon holds, a line each, for `docker info --format`.
docker_live='{{range .RegistryConfig.IndexConfigs}}{{if not .Secure}}insecure {{.Name}}
{{end}}{{end}}{{range .RegistryConfig.InsecureRegistryCIDRs}}insecure {{.}}
{{end}}{{range .RegistryConfig.Mirrors}}mirror {{.}}
{{end}}live-restore {{.LiveRestoreEnabled}}
debug {{.Debug}}
log-driver {{.LoggingDriver}}
storage-driver {{.Driver}}
data-root {{.DockerRootDir}}
default-runtime {{.DefaultRuntime}}
http-proxy {{.HTTPProxy}}
https-proxy {{.HTTPSProxy}}
no-proxy {{.NoProxy}}'

# Whether OpenRC runs here and has a script of its own (openrc-run(8)), by a file that invoke-rc.d(8)
# looks for, too. Debian's packages bring scripts for init(8), which it runs without keeping a state.
is_openrc() { # NAME
  [ -e /run/openrc/softlevel ] || return 1
  read -r first 2>/dev/null <"/etc/init.d/$1" || return 1
  case $first in '#!'*openrc-run*) return 0 ;; esac
  return 1
}

# Sets `pid` to that of the running dockerd, whoever started it; empty where none runs.
find_docker() {
  find_process
  if [ -n "$pid" ]; then
    [ -n "$exe" ] || exe=$(readlink "/proc/$pid/exe" 2>/dev/null)
    use_directory_of "${exe% (deleted)}" || :
    find_docker_unit
  elif ! command -v dockerd >/dev/null 2>&1 && started_by docker.service "$snap_unit"; then
    if use_directory_of "$exe" && [ "$found" = "$snap_unit" ]; then docker_unit=$found; fi
  fi
}

find_process() {
  exe=
  for file in /var/run/docker.pid /run/docker.pid \
    /run/snap.docker/docker.pid "$docker_snap/common/run/docker.pid" "$docker_snap/current/run/docker.pid"; do
    pid=
    if [ -r "$file" ]; then
      read -r pid <"$file" || :
      [ -n "$pid" ] && is_roots "$pid" dockerd && return
    fi
  done
  pid=
  if [ -d /run/systemd/system ]; then
    pid=$(systemctl show --property MainPID --value docker.service 2>/dev/null 9>&-)
    exe=
    case $pid in '' | 0) pid= ;; *) return ;; esac
  fi
  for each_pid in $(pidof dockerd 2>/dev/null); do # whatever its unit and its file of the number
    if is_roots "$each_pid" dockerd; then
      pid=$each_pid
      return
    fi
  done
}

find_docker_unit() { # sets `docker_unit` to systemd's that `pid` is part of (cgroups(7))
  while read -r place; do
    case $place in */docker.service) return ;; */*docker*.service) docker_unit=${place##*/} ;; esac
  done 2>/dev/null <"/proc/$pid/cgroup"
}

in_a_snap() { [ "$docker_unit" = "$snap_unit" ]; }

find_arguments() { # PID: sets `flags` to a dockerd's arguments, a line each
  # The packages' own are known without starting a program.
  await_arguments "$1"
  case $joined in
    /usr/bin/"dockerd$docker_usual" | /usr/sbin/"dockerd$docker_usual")
      flags="${joined%"$docker_usual"}$NL-H${NL}fd://$NL${docker_usual#-Hfd://}"
      ;;
    *) flags=$(tr '\0' '\n' 2>/dev/null <"/proc/$1/cmdline") ;;
  esac
}

# Where dockerd listens: a unix socket of its -H flags or of `hosts` in its file (it starts with one
# of the two alone), or the usual one where neither says.
# Where it listens on none, `docker_tcp` is an address of a tcp:// flag, with `docker_tls` where it
# demands TLS there.
read_flags() { # after `flags`: sets `daemon_file` and `docker_socket`, empty where it has none
  daemon_file=/etc/docker/daemon.json
  listens=
  docker_tcp=
  docker_tls=
  previous=
  IFS=$NL
  set -f
  for flag in $flags; do
    case $previous in
      -H | --host) listens="$listens$flag$NL" ;;
      --config-file) daemon_file=$flag ;;
    esac
    case $flag in
      --host=?*) listens="$listens${flag#--host=}$NL" ;;
      -H=?*) listens="$listens${flag#-H=}$NL" ;;
      -H?*) listens="$listens${flag#-H}$NL" ;;
      --config-file=?*) daemon_file=${flag#*=} ;;
      --tls | --tls=true | --tlsverify | --tlsverify=true) docker_tls=yes ;;
    esac
    previous=$flag
  done
  [ -n "$listens" ] || read_hosts
  docker_socket=
  for flag in ${listens:-unix://}; do
    case $flag in
      unix:///?*) docker_socket=${flag#unix://} ;;
      unix:// | fd://*) docker_socket=/var/run/docker.sock ;;
      tcp://?*)
        docker_tcp=${docker_tcp:-$flag}
        continue
        ;;
      *) continue ;;
    esac
    break
  done
  set +f
  unset IFS
  case $flag in
    fd://*) # systemd holds it, perhaps elsewhere (systemd.socket(5), ListenStream)
      [ -S "$docker_socket" ] || ! found=$(systemctl show --property Listen --value docker.socket 2>/dev/null 9>&-) ||
        case $found in /*' (Stream)'*) docker_socket=${found%%' (Stream)'*} ;; esac
      ;;
  esac
}

read_hosts() { # sets `listens` to the entries of `hosts` in `daemon_file`
  compact=
  if [ -r "$daemon_file" ]; then
    while read -r line || [ -n "$line" ]; do compact="$compact $line"; done <"$daemon_file"
  fi
  case $compact in *'"tls": true'* | *'"tls":true'* | *'"tlsverify": true'* | *'"tlsverify":true'*) docker_tls=yes ;; esac
  case $compact in *'"hosts"'*) compact=${compact#*'"hosts"'} ;; *) return 0 ;; esac
  compact=${compact#*'['}
  compact=${compact%%']'*}
  while :; do # what stands between each second pair of quotes
    case $compact in *\"*\"*) ;; *) return 0 ;; esac
    compact=${compact#*\"}
    listens="$listens${compact%%\"*}$NL"
    compact=${compact#*\"}
  done
}

# That one is asked from here on, whatever somebody's configuration says (docker(1), DOCKER_HOST
# comes before `currentContext`).
ask_engine() {
  DOCKER_HOST=unix://${docker_socket:-/nonexistent}
  if [ -z "$docker_socket" ] && [ -n "${docker_tcp:-}" ] && [ -z "$docker_tls" ]; then
    case $docker_tcp in # 0.0.0.0 and [::] are no addresses to ask
      tcp://0.0.0.0:* | tcp://:*) DOCKER_HOST=tcp://127.0.0.1:${docker_tcp##*:} ;;
      'tcp://[::]:'*) DOCKER_HOST="tcp://[::1]:${docker_tcp##*:}" ;;
      *) DOCKER_HOST=$docker_tcp ;;
    esac
    # Go's net/http asks a proxy for other addresses than this machine's own.
    NO_PROXY='*' no_proxy='*'
    export NO_PROXY no_proxy
  fi
  export DOCKER_HOST
}

find_engine() { # sets `pid` to that of the running dockerd, and asks that one from here on
  find_docker
  flags=
  if [ -n "$pid" ]; then find_arguments "$pid"; fi
  read_flags
  ask_engine
}

docker_pid() { # the running dockerd, or nothing
  find_docker
  [ -z "$pid" ] || echo "$pid"
}
