# Units and init scripts of ours, as every program on a host finds them. The second line of such a
# file says `# regfleet-service: NAME FLEET SPECIFICATION` (services/unit_text.py).
# shellcheck shell=sh disable=SC2034  # shared variables
package_unit=docker-registry # the distribution's own, for one service a host

# Sets `unit_file`, `unit`, and of what is written there `owner` and `specification`; both are empty
# where somebody else's file has that name.
find_unit() { # NAME: whether there is such a file
  unit=$package_unit
  unit_file=/etc/systemd/system/$unit.service.d/regfleet.conf
  if read_unit "$1" && [ -n "$owner" ]; then return 0; fi
  unit=$1
  for unit_file in "/etc/systemd/system/$1.service" "/etc/init.d/$1"; do
    if read_unit "$1"; then return 0; fi
  done
  return 1
}

read_unit() { # NAME
  owner='' specification=''
  [ -f "$unit_file" ] || return 1
  while read -r unit_hash unit_word unit_named unit_fleet unit_rest; do
    case "$unit_hash $unit_word" in
      '# regfleet-service:')
        if [ "$unit_named" = "$1" ]; then owner=$unit_fleet specification=$unit_rest; fi
        break
        ;;
      '[Unit] ') break ;;
    esac
  done <"$unit_file"
  return 0
}

# The environment of what runs, by which it is known: a number that a file remembers may be another
# process's by now.
find_unit_process() { # NAME: after find_unit; sets `unit_pid` and `running`, the specification of what runs
  unit_pid='' running=''
  read -r unit_pid 2>/dev/null <"/run/$1.pid" || : # Podman writes no end of the line
  if [ -n "$unit_pid" ] && is_unit "$1" "$unit_pid"; then return 0; fi
  case $unit_file in
    /etc/systemd/*) unit_pid=$(systemctl show --property MainPID --value "$unit.service" 2>/dev/null </dev/null 9>&-) ;;
  esac
  if [ "${unit_pid:-0}" != 0 ] && is_unit "$1" "$unit_pid"; then return 0; fi
  unit_pid=
  return 1
}

# A process whose environment has no such word as we write is not what we started: `-` for it. nginx
# writes its arguments over its environment: then they have it.
is_unit() { # NAME PID: sets `running`
  await_arguments "$2"
  running=$({
    tr '\0' '\n' <"/proc/$2/environ"
    tr -cs '!-:<-~' '\n' <"/proc/$2/cmdline"
  } 2>/dev/null | awk -v name="$1" '
    index($0, "REGFLEET_SERVICE=") == 1 { ours = substr($0, 18) == name }
    index($0, "REGFLEET_SPECIFICATION=") == 1 { found = substr($0, 24) }
    END { if (ours) print (found ~ /^[0-9a-f.]+$/ ? found : "-") }')
  [ -n "$running" ]
}

# What the service itself said in its unit's log: without the words of the service manager, those of
# Podman (`... m=+0.49 container died ID ...`) and the advice on how a program is to be called.
of_itself() {
  grep -v -e "^$unit.service:" -e '^\(Started\|Starting\|Stopp\|Failed to start\)' \
    -e ' m=+[0-9.]* \(container\|image\|volume\) ' -e '^[0-9a-f]\{64\}$' \
    -e '^Usage:' -e '^Flags:' -e '^ *-h, --help' -e '^ *registry serve <config>'
}
