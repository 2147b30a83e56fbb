# POSIX sh and coreutils (or busybox). Programs come on standard input, so that no command line
# shows them; umask and locale are set before anything is made or read.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # files share variables; backquotes in messages are for people
set -u
umask 077
LC_ALL=C
PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin"
export LC_ALL PATH

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

find_docker() { # sets `pid` to that of the running dockerd, whoever started it; empty where none runs
  for file in /var/run/docker.pid /run/docker.pid; do
    pid=
    if [ -r "$file" ]; then
      read -r pid <"$file" || :
      [ -n "$pid" ] && [ -d "/proc/$pid" ] && return
    fi
  done
  pid=
  if [ -d /run/systemd/system ]; then
    pid=$(systemctl show --property MainPID --value docker.service 2>/dev/null 9>&-)
    [ "$pid" != 0 ] || pid=
  fi
}

home_of() { # ACCOUNT: its home directory, or nothing
  find_home "$1"
  printf '%s\n' "$home"
}

docker_pid() { # the running dockerd, or nothing
  find_docker
  [ -z "$pid" ] || echo "$pid"
}
