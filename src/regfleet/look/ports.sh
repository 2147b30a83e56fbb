# Who listens on a port, for a plan that wants it: asked only where the look found that somebody does.
# shellcheck shell=sh disable=SC2154  # functions and variables of common.sh
say() { printf '@%s\n' "$*"; }

listening() { # PORT: the inodes of sockets that listen there (proc(5), /proc/net/tcp; 0A is LISTEN)
  awk -v port="$(printf ':%04X' "$1")" \
    '$4 == "0A" && substr($2, length($2) - 4) == port { print $10 }' \
    /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# A service of the service manager's has its name in its environment. Podman's conmon holds the port
# of a container: there it is the container's process, a child of conmon's.
of_unit() { # PID
  for process in "$1" $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
    await_arguments "$process"
    marks=$({
      tr '\0' '\n' <"/proc/$process/environ"
      tr -cs '!-:<-~' '\n' <"/proc/$process/cmdline" # see is_unit in services/unit.sh
    } 2>/dev/null |
      sed -n -e 's/^REGFLEET_SERVICE=/name /p' -e 's/^REGFLEET_FLEET=/fleet /p' | sort -r | cut -d' ' -f2)
    [ -z "$marks" ] || { say "unit $(printf '%s' "$marks" | flat)"; return; }
  done
}

holder() { # PORT: its process by number and name, never by its command line; and its container
  holds=
  for inode in $(listening "$1"); do
    # shellcheck disable=SC2012  # links of /proc are numbers
    holds=$(ls -l /proc/[0-9]*/fd 2>/dev/null | awk -v socket="socket:[$inode]" '
      /^\/proc\// { split($0, part, "/"); held = part[3] }
      $NF == socket { print held; exit }')
    if [ -n "$holds" ]; then
      read -r name 2>/dev/null <"/proc/$holds/comm" || name=
      say "process $holds $(printf '%s' "$name" | flat)"
      of_unit "$holds"
      break
    fi
  done
  found=
  find_engine
  if [ -n "$pid" ] && command -v docker >/dev/null 2>&1; then
    found=$(docker ps --filter "publish=$1" \
      --format '{{.Names}} {{.Image}} {{.Label "regfleet.fleet"}}' 2>/dev/null | head -n 1 | flat)
    if [ -z "$found" ] && [ -n "$holds" ] && container_of "$holds"; then
      found=$(docker ps --no-trunc --filter "id=$container" \
        --format '{{.Names}} {{.Image}} {{.Label "regfleet.fleet"}}' 2>/dev/null | head -n 1 | flat)
    fi
    if [ -n "$found" ]; then
      say "container $found"
      print_container "${found%% *}"
      return 0
    fi
  fi
  [ -n "$holds" ] || return 0
  print_podmans "$holds" || print_service "$holds"
}
