# POSIX sh and coreutils (or busybox). Programs come on standard input, so that no command line
# shows them; umask and locale are set before anything is made or read.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # files share variables; backquotes in messages are for people
set -u
umask 077

# Who started us does not say which engine is meant, nor how it is asked: /etc/environment, sudo, a
# profile or sshd's SetEnv may hold DOCKER_HOST, DOCKER_CONTENT_TRUST, CONTAINER_HOST, proxies,
# PERL5OPT or what the next version of a program takes. Everything goes but the few names below.
# Packages are installed through the proxies that the host was given: see `with_proxies`.
PROXIES='http_proxy https_proxy ftp_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY'

clean_environment() {
  for name in $PROXIES; do eval "given_$name=\${$name-}"; done
  IFS='
'
  set -f
  for line in $(export -p); do # `export NAME='value'`; bash says `declare -x NAME="value"`
    case $line in
      'export '*) name=${line#export } ;;
      'declare -x '*) name=${line#declare -x } ;;
      *) continue ;; # the rest of a value of several lines
    esac
    name=${name%%=*}
    case $name in
      PATH | USER | LOGNAME) ;;
      *PID | *UID | SHELLOPTS | BASH*) ;; # some of them cannot be unset
      '' | [0-9]* | *[!A-Za-z0-9_]*) ;;
      *) unset "$name" ;;
    esac
  done
  set +f
  unset IFS
}
clean_environment

# There is no such directory: no client reads what somebody keeps at home, such as a context,
# proxies for containers, plugins or ~/.curlrc. Where a kept login is meant, its file is named.
HOME=/nonexistent
LC_ALL=C
# sudo's secure_path of Red Hat, SUSE and Amazon leaves /usr/local out, where official binaries are;
# Flatcar has /opt/bin. What is on the path comes first.
PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/opt/bin"
export HOME LC_ALL PATH

NL='
'
TAB='	'

# Package scripts, init scripts and the daemons that those start make files for everybody, as they
# would by hand: our own umask is not theirs.
usually() { # COMMAND...
  umask 022
  "$@"
  set -- $?
  umask 077
  return "$1"
}

with_proxies() { # COMMAND...: as it would run by hand here, with the proxies that we were given
  HOME=~root
  for name in $PROXIES; do
    eval "value=\$given_$name"
    if [ -n "$value" ]; then eval "$name=\$value; export $name"; fi
  done
  usually "$@"
  # shellcheck disable=SC2086  # names, each a word
  unset $PROXIES
  HOME=/nonexistent
}

# A program that runs, or that a unit starts, is there: its directory may be in nobody's PATH.
added_directory=
use_directory_of() { # PROGRAM: the directory of an executable file becomes part of PATH
  case $1 in /*/*) ;; *) return 1 ;; esac
  [ -x "$1" ] || return 1
  case :$PATH: in
    *:"${1%/*}":*) ;;
    *)
      added_directory=${1%/*}
      PATH=$PATH:$added_directory
      ;;
  esac
}

started_by() { # UNIT...: sets `exe` to the program that the first one of systemd's starts
  exe=
  [ -d /run/systemd/system ] || return 1
  for found; do
    exe=$(systemctl show --property ExecStart --value "$found" 2>/dev/null 9>&-)
    case $exe in *path=/*) exe=${exe#*path=} exe=${exe%% ;*}; return 0 ;; esac
  done
  exe=
  return 1
}

# One line of text, so that it stays one line of what is said to the controller.
flat() { tr '\n\r\t' '   ' | tr -s ' ' | cut -c1-600; }

# In variables, for to print what is to be read again takes another process each time.

find_home() { # ACCOUNT: sets `home`, empty where there is no such account
  case $1 in
    '' | -* | *[!A-Za-z0-9._-]*) ;;
    *)
      eval "home=~$1" # the shell itself asks getpwnam(3)
      case $home in /*) return ;; esac
      ;;
  esac
  line=$(getent passwd "$1" 2>/dev/null || sed -n "/^$1:/p" /etc/passwd)
  home=$(printf '%s\n' "$line" | cut -d: -f6)
}

# Names and arguments anybody can have, and a number that a file remembers may be anybody's by now: whoever
# is asked where the engine's socket and configuration are has to be root's, outside of containers,
# and that program. Root's identity alone is had by whatever setuid program an account starts.
is_roots() { # PID PROGRAM
  word='' identity=''
  while read -r word identity; do
    if [ "$word" = Uid: ]; then break; fi
  done 2>/dev/null <"/proc/$1/status"
  [ "$word $identity" = "Uid: 0${TAB}0${TAB}0${TAB}0" ] || return 1
  # shellcheck disable=SC3013  # all shells here have it, and readlink would be another program
  [ "/proc/$1/ns/pid" -ef "/proc/$$/ns/pid" ] || return 1
  for exe in "/usr/bin/$2" "/usr/sbin/$2"; do # most have it there, and no program need be started
    # shellcheck disable=SC3013  # as above
    if [ "/proc/$1/exe" -ef "$exe" ]; then return 0; fi
  done
  exe=$(readlink "/proc/$1/exe" 2>/dev/null)
  # `dockerd (deleted)` after an update, dockerd-current on Red Hat, .dockerd-wrapped on NixOS.
  case ${exe##*/} in "$2" | "$2"[\ -]* | ."$2"-*) ;; *) return 1 ;; esac
}

home_of() { # ACCOUNT: its home directory, or nothing
  find_home "$1"
  printf '%s\n' "$home"
}

# While a program takes the place of another, as each does that is started, its name is there and the
# kernel shows neither its arguments nor its environment (proc_pid_cmdline(5)). Nor has a zombie any.
await_arguments() { # PID: sets `joined`: shells leave out the zeros between
  for moment in 1 2 3 4 5; do
    joined=
    read -r joined 2>/dev/null <"/proc/$1/cmdline" || :
    if [ -n "$joined" ] || [ ! -d "/proc/$1" ]; then return 0; fi
    sleep 0.1 2>/dev/null || sleep 1
  done
}

# ---- what a program needs for itself ----

# Directories of a program's own: named for the process, in one that root alone can enter. What is
# secret is on /run, which is memory; what is large is on the disk.
PRIVATE=/run/regfleet/work
ROOMY=/var/lib/regfleet/work
private=
roomy=
at_exit= # a program's own function, for what else has to go

identify() { # PID: sets `process` to its number and its start (proc(5), stat): no other has both
  process=
  read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
  set -f
  # shellcheck disable=SC2086  # fields are words; the second one, in brackets, may hold blanks
  set -- "$1" ${stat##*) }
  set +f
  process=$1-${21}
}

own_directory() { # PLACE: sets `made` to a new directory in it
  identify $$ || return 1
  for attempt in 1 2 3; do # another program that ends takes the place away when it is empty
    mkdir -p "$1" 2>/dev/null
    if [ ! -L "$1" ] && [ "$(stat -c '%u %a' "$1" 2>/dev/null)" = "$(id -u) 700" ] &&
      mkdir -m 0700 "$1/$process" 2>/dev/null; then
      made=$1/$process
      trap remove_own EXIT
      return 0
    fi
  done
  said="no directory can be made in $1: it has to be root's alone, and writable"
  return 1
}

private_directory() { # sets `private`; not to be called in a subshell, which would remove it again
  [ -n "$private" ] || { own_directory "$PRIVATE" && private=$made; } ||
    { own_directory "$ROOMY" && private=$made; }
}

roomy_directory() { # sets `roomy`, as above
  [ -n "$roomy" ] || { own_directory "$ROOMY" && roomy=$made; }
}

remove_own() {
  if [ -n "$at_exit" ]; then "$at_exit"; fi
  if [ -n "$private" ]; then rm -rf "$private"; fi
  if [ -n "$roomy" ]; then rm -rf "$roomy"; fi
  rmdir "$PRIVATE" "$ROOMY" "${ROOMY%/*}" 2>/dev/null
  private='' roomy=''
}

# For a program that ends when it is asked to, or when nobody listens any more.
end_cleanly() {
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 141' PIPE
  trap 'exit 143' TERM
}

sweep() { # what programs left that were killed
  for left in "$PRIVATE"/*-* "$ROOMY"/*-*; do
    [ -d "$left" ] || continue
    owner=${left##*/}
    identify "${owner%%-*}" && [ "$process" = "$owner" ] || rm -rf "$left"
  done
}
