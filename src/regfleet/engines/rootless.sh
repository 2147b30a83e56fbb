# Docker that an account runs without root. Root reads in /proc where it is; it is asked, and told,
# by rootless.account.sh as the account. What comes back is the account's to tamper with.
# shellcheck shell=sh disable=SC2034,SC2154  # files share variables
engine_account=
own_socket=
own_programs= # the directory of that dockerd: the account's, so nothing of root's may run from there
rootless_called=docker # its command, for people
own_unit=    # the unit of the account's systemd that it is part of; empty where nobody restarts it

# Sets `pid` to that of an account's dockerd, empty where none runs; fails where there is no account.
find_own() { # ACCOUNT
  engine_account=$1
  pid='' own_unit='' own_programs='' flags=''
  find_account "$1" || return 1
  own_socket=/run/user/$uid/docker.sock
  for each_pid in $(pidof dockerd 2>/dev/null); do
    if is_own "$each_pid"; then
      pid=$each_pid
      break
    fi
  done
  [ -n "$pid" ] || return 0
  place=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | sed -n 's/^XDG_RUNTIME_DIR=//p' | head -n 1)
  case $place in /?*) own_socket=$place/docker.sock ;; esac
  find_arguments "$pid"
  previous=
  IFS=$NL
  set -f
  for flag in $flags; do
    case $previous in -H | --host) flag=-H$flag ;; esac
    case $flag in -Hunix:///?* | -H=unix:///?* | --host=unix:///?*) own_socket=${flag#*unix://} ;; esac
    previous=$flag
  done
  set +f
  unset IFS
  while read -r place; do # cgroups(7); below the unit's there may be others (rootlesskit, --evacuate-cgroup2)
    case $place in
      */user@"$uid".service/*.service*)
        place=${place#*/user@"$uid".service/}
        place=${place%%.service*}.service
        own_unit=${place##*/}
        ;;
    esac
  done 2>/dev/null <"/proc/$pid/cgroup"
}

is_own() { # PID: whether it is the account's, that program, and in no container
  [ "$(stat -c %u "/proc/$1" 2>/dev/null)" = "$uid" ] || return 1
  # shellcheck disable=SC3013  # all shells here have it, and readlink would be another program
  [ "/proc/$1/ns/pid" -ef "/proc/$$/ns/pid" ] || return 1
  exe=$(readlink "/proc/$1/exe" 2>/dev/null)
  case ${exe##*/} in dockerd | dockerd[\ -]* | .dockerd-*) own_programs=${exe%/*} ;; *) return 1 ;; esac
}

as_own() { # SECONDS VERB ARGUMENT...: rootless.account.sh, after `find_own`; a megabyte at most
  account_seconds=$1
  shift
  {
    as_account "$engine_account" "$rootless_program" sh "$own_socket" "$own_programs" "$@" 2>&1
    printf '\n@ended %s\n' "$?" # a file may end without a newline
  } | within "$((account_seconds + 5))" head -c 1100000
  account_seconds=20
}

# The same, with its answer in `said`, and whether it did well. It is taken apart by programs: what a
# shell cuts off a text takes it the square of the text's length, and that is the account's to choose.
ask_own() { # SECONDS VERB ARGUMENT...
  said=$(as_own "$@")
  ended=$(printf '%s\n' "$said" | tail -n 1 | cut -c1-20)
  said=$(printf '%s\n' "$said" | sed '$d')
  [ "$ended" = '@ended 0' ]
}
