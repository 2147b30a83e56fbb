# Services of the service manager's. The file that one is run from stands aside with it, and comes back.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people

prepared= # the name of the service whose file is in place already

unit_there() { find_unit "$1"; } # NAME

unit_ours() { find_unit "$1" && [ "$owner" = "$whose" ]; } # NAME

# Written and enabled while what it replaces still runs: for systemd that may take seconds.
unit_prepare() { # NAME MANAGER UNIT FILE TEXT-IN-BASE64
  unit_written "$1" "$2" "$3" "$4" "$5" || return 1
  if [ "$2" = systemd ]; then run systemctl -q enable "$3.service" >/dev/null 2>&1; fi
  prepared=$1
}

unit_aside() { # NAME: stopped, and its file kept
  rm -f "$BASE/aside/$1" "$BASE/aside/$1.path"
  unit_sweep "$1"
  find_unit "$1" || return 0
  if ! mkdir -p "$BASE/aside" || ! printf '%s\n' "$unit_file" >"$BASE/aside/$1.path" ||
    ! cp -p "$unit_file" "$BASE/aside/$1"; then
    fail "$unit_file cannot be kept aside" 'is the disk full? see `df -h` on the host'
    return 1
  fi
  boundary stop
  unit_stop "$1"
  boundary stand-aside
  # That it is gone, systemd learns later: the registry is away meanwhile.
  rm -f "$unit_file"
}

# A name for what is to be put in place of a file. It is always the same one, so that whoever comes
# after a kill knows it without a note on the disk. The directories are root's alone to write to.
unit_spare() { echo "${2%/*}/.regfleet.$1"; } # NAME FILE

unit_sweep() { # NAME: what a touch that was killed left
  rm -f "/etc/systemd/system/.regfleet.$1" "/etc/init.d/.regfleet.$1" \
    "/etc/systemd/system/$package_unit.service.d/.regfleet.$1"
}

unit_run() { # NAME MANAGER UNIT FILE TEXT-IN-BASE64
  if [ "$prepared" != "$1" ]; then unit_written "$1" "$2" "$3" "$4" "$5" || return 1; fi
  unit_started "$1"
}

unit_written() { # NAME MANAGER UNIT FILE TEXT-IN-BASE64
  if [ "$3" != "$1" ]; then
    unit_before "$3"
    package_unmask
  fi
  case $4 in
    /etc/systemd/system/*.d/*) [ -d "${4%/*}" ] || mkdir -m 0755 "${4%/*}" ;;
  esac
  unit_mode=0644
  if [ "$2" != systemd ]; then unit_mode=0755; fi
  # The registry is away meanwhile, and a disk may take many seconds to have it: see unit_forget.
  spare=$(unit_spare "$1" "$4")
  if ! printf '%s' "$5" | base64 -d >"$spare" || ! chmod "$unit_mode" "$spare" ||
    ! mv -f "$spare" "$4"; then
    fail "$4 cannot be written" 'see `df -h` and `mount` on the host'
    return 1
  fi
  unit_reload "$4"
}

# Who calls this has systemd reload its units later, or `systemctl status` asks for it.
unit_started() { # NAME: enabled and started
  find_unit "$1" || return 1
  case $unit_file in
    /etc/systemd/*)
      run systemctl reset-failed "$unit.service" >/dev/null 2>&1
      run systemctl -q --no-reload enable "$unit.service" >/dev/null 2>&1
      said=$(run systemctl start "$unit.service" 2>&1) && return 0
      ;;
    *)
      unit_enable "$1"
      unit_settle "$1"
      said=$(run "$unit_file" start 2>&1) && return 0
      ;;
  esac
  words=$(last_words unit "$1")
  case $words in
    *'cannot assign requested address'*)
      fail "this host has no address ${where%:*} for $1 to listen on" \
        'see `ip addr` on the host; `listen` in the fleet file has to name one of its addresses' ;;
    *'address already in use'*) fail "port ${where##*:} of $1 is taken: $(holder "${where##*:}")" 'stop what listens there, or give the registry another port' ;;
    *) fail "$1 does not start: ${words:-$(printf '%s' "$said" | flat)}" "see \`$(unit_log "$1")\` on the host" ;;
  esac
  return 1
}

unit_start() { # NAME
  unit_started "$1" && unit_reload "$unit_file"
}

unit_take_up() { # NAME
  if find_unit "$1" && find_unit_process "$1"; then
    # The package was upgraded meanwhile: what runs cannot load modules of the new program.
    case $(readlink "/proc/$unit_pid/exe" 2>/dev/null) in
      *' (deleted)')
        unit_stop "$1"
        unit_started "$1"
        return
        ;;
    esac
    if kill -HUP "$unit_pid"; then return 0; fi
  fi
  fail "$1 cannot be reloaded: it does not run" "see \`$(unit_log "$1")\` on the host"
}

unit_image() { # NAME: the engine, the ID and the name of its container's image; nothing of a program
  command -v podman >/dev/null 2>&1 || return 0
  run podman --remote=false container inspect --format "podman$TAB{{.Image}}$TAB{{.ImageName}}" "$1" 2>/dev/null
  return 0
}

unit_stop() { # NAME, after find_unit
  case $unit_file in
    /etc/systemd/*)
      run systemctl stop "$unit.service" >/dev/null 2>&1
      run systemctl -q --no-reload disable "$unit.service" >/dev/null 2>&1
      run systemctl reset-failed "$unit.service" >/dev/null 2>&1
      ;;
    *)
      run "$unit_file" stop >/dev/null 2>&1
      if [ -e /run/openrc/softlevel ]; then unit_end "$1"; fi
      unit_disable "$1"
      ;;
  esac
  rm -f "/run/$1.pid"
  rm -rf "/run/${1:?}" # what an nginx of the package's had there (unit_text.py)
  return 0
}

# OpenRC stops nothing that it does not hold for started, as after a start that was killed.
unit_end() { # NAME
  find_unit_process "$1" || return 0
  run "$unit_file" zap >/dev/null 2>&1
  if command -v podman >/dev/null 2>&1; then
    run podman --remote=false rm --force --ignore --time=10 "$1" >/dev/null 2>&1
  fi
  for each in "$(cat "/run/$1.supervisor" 2>/dev/null)" "$unit_pid"; do # or it starts another
    if [ -n "$each" ] && is_unit "$1" "$each"; then kill "$each" 2>/dev/null; fi
  done
  tries=40
  while is_unit "$1" "$unit_pid" && [ "$tries" -gt 0 ]; do
    tries=$((tries - 1))
    nap
  done
  if is_unit "$1" "$unit_pid"; then kill -9 "$unit_pid" 2>/dev/null; fi
  rm -f "/run/$1.supervisor"
}

unit_reload() { # FILE
  case $1 in /etc/systemd/*) run systemctl daemon-reload >/dev/null 2>&1 ;; esac
  return 0
}

unit_enable() { # NAME: an init script
  if [ -e /run/openrc/softlevel ]; then
    run rc-update --quiet add "$1" default >/dev/null 2>&1
  elif command -v update-rc.d >/dev/null 2>&1; then
    run update-rc.d "$1" defaults >/dev/null 2>&1
  elif command -v chkconfig >/dev/null 2>&1; then
    run chkconfig --add "$1" >/dev/null 2>&1
  else
    say "note nobody here starts /etc/init.d/$1 with the machine: see to that yourself"
  fi
}

unit_disable() { # NAME: an init script that is still there
  if [ -e /run/openrc/softlevel ]; then
    run rc-update --quiet --all delete "$1" >/dev/null 2>&1
  elif command -v update-rc.d >/dev/null 2>&1; then
    run update-rc.d -f "$1" remove >/dev/null 2>&1
  elif command -v chkconfig >/dev/null 2>&1; then
    run chkconfig --del "$1" >/dev/null 2>&1
  fi
  return 0
}

# OpenRC starts nothing that it holds for started, though it died.
unit_settle() { # NAME
  if [ ! -e /run/openrc/softlevel ] || find_unit_process "$1"; then return 0; fi
  run "$unit_file" stop >/dev/null 2>&1 || run "$unit_file" zap >/dev/null 2>&1
  return 0
}

unit_restarts() { # NAME
  find_unit "$1" || return 1
  case $unit_file in
    /etc/systemd/*) echo "exec systemctl restart $unit.service" ;;
    *) if [ -e /run/openrc/softlevel ]; then echo "exec rc-service $1 restart"; else echo "exec $unit_file restart"; fi ;;
  esac
}

unit_process() { # NAME
  if find_unit "$1" && find_unit_process "$1"; then echo "$unit_pid"; fi
}

unit_alive() { # NAME: it runs, or is about to, and has not died twice
  find_unit "$1" || return 1
  case $unit_file in
    /etc/systemd/*)
      state=$(run systemctl show --property ActiveState,NRestarts "$unit.service" 2>/dev/null)
      case $state in
        *ActiveState=active* | *ActiveState=activating* | *ActiveState=reloading*) ;;
        *) return 1 ;;
      esac
      case $state in *NRestarts=[01]"$NL"* | *NRestarts=[01]) return 0 ;; esac
      return 1
      ;;
  esac
  # OpenRC's supervisor returns before it has started the program; and while that takes the place of
  # the shell that starts it, its environment, by which it is known, is not there.
  for moment in 1 2 3 4; do
    if find_unit_process "$1"; then return 0; fi
    nap
  done
  return 1
}

unit_last_words() { # NAME
  find_unit "$1" || return 0
  case $unit_file in
    /etc/systemd/*) run journalctl -u "$unit.service" --since "@$began" -n 80 -o cat --no-pager 2>&1 | of_itself ;;
    *) tail -n 80 "/var/log/$1.log" 2>/dev/null ;;
  esac
}

unit_log() { # NAME: the command that shows its log
  find_unit "$1" || unit=$1
  case ${unit_file:-} in
    /etc/init.d/*) echo "tail /var/log/$1.log" ;;
    *) echo "journalctl -u $unit" ;;
  esac
}

unit_gone() { # NAME
  unit_sweep "$1"
  unit_ours "$1" || return 0
  unit_stop "$1"
  rm -f "$unit_file"
  unit_reload "$unit_file"
  package_as_before "$unit_file"
  return 0
}

unit_back() { # NAME [MANAGER UNIT FILE TEXT-IN-BASE64]: the one that stood aside, or one like it
  if [ -s "$BASE/aside/$1" ] && read -r place <"$BASE/aside/$1.path"; then
    [ -d "${place%/*}" ] || mkdir -m 0755 "${place%/*}"
    spare=$(unit_spare "$1" "$place")
    if cp -p "$BASE/aside/$1" "$spare" && mv -f "$spare" "$place"; then
      rm -f "$BASE/aside/$1" "$BASE/aside/$1.path"
    else
      return 1
    fi
    unit_reload "$place"
    failing=$failed
    failed=1 # what is said of a failure now is said by what asked for it
    unit_started "$1"
    ended=$?
    unit_reload "$place"
    failed=$failing
    return "$ended"
  fi
  [ $# -gt 1 ] || return 0
  failing=$failed
  failed=1
  unit_run "$@"
  ended=$?
  unit_reload "$4"
  failed=$failing
  return "$ended"
}

unit_forget() { # NAME
  if find_unit "$1"; then
    flush "$unit_file"
    flush "${unit_file%/*}/"
  fi
  place=
  read -r place 2>/dev/null <"$BASE/aside/$1.path" || :
  unit_reload "${place:-$unit_file}" # of what was enabled, disabled and removed
  if [ -n "$place" ] && [ ! -e "$place" ]; then
    package_as_before "$place"
    case $place in /etc/init.d/*) rm -f "/var/log/$1.log" ;; esac
  fi
  rm -f "$BASE/aside/$1" "$BASE/aside/$1.path"
  rmdir "$BASE/aside" 2>/dev/null
  return 0
}

# ---- a program that a package of the distribution's brings, with a service of its own ----

# The package would start its service with its own configuration, for everybody to use.
install_program() { # MANAGER UNIT PACKAGE...
  manager=$1 service=$2
  shift 2
  printf 'no no\n' >"$BASE/$service.before" # neither enabled nor running
  own_policy=
  if [ -d /run/systemd/system ]; then
    run systemctl mask --runtime "$service.service" >/dev/null 2>&1
  elif [ ! -e /usr/sbin/policy-rc.d ]; then # asked by invoke-rc.d(8): 101 is `not allowed`
    own_policy=1
    printf '#!/bin/sh\n# regfleet\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 0755 /usr/sbin/policy-rc.d
  fi
  install_packages "$manager" "$@"
  if [ -n "$own_policy" ]; then rm -f /usr/sbin/policy-rc.d; fi
  package_unmask
  package_off "$service"
}

# As install_program, for a program that we run by a service of our own: the packages' one is not
# started, and where it was there before nobody touches it.
install_beside() { # MANAGER SERVICE PACKAGE...
  manager=$1 service=$2
  shift 2
  own_policy=
  if ! service_known "$service" && ! : >"$BASE/$service.beside"; then
    fail "$BASE/$service.beside cannot be written" 'is the disk full? see `df -h` on the host'
    return 1
  fi
  if [ ! -e /usr/sbin/policy-rc.d ]; then # asked by deb-systemd-invoke(1p), too
    own_policy=1
    printf '#!/bin/sh\n# regfleet\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 0755 /usr/sbin/policy-rc.d
  fi
  install_packages "$manager" "$@"
  if [ -n "$own_policy" ]; then rm -f /usr/sbin/policy-rc.d; fi
  package_beside_off
}

service_known() { # SERVICE: of the distribution's
  [ -e "/etc/init.d/$1" ] || [ -e "/lib/systemd/system/$1.service" ] || [ -e "/usr/lib/systemd/system/$1.service" ]
}

package_beside_off() { # those that came with us, also in a touch that was killed then
  for each in "$BASE"/*.beside; do
    [ -f "$each" ] || continue
    service=${each##*/}
    if [ -d /run/systemd/system ]; then run systemctl stop "${service%.beside}.service" >/dev/null 2>&1; fi
    package_off "${service%.beside}"
    rm -f "$each"
  done
  return 0
}

package_unmask() { # what a touch that was killed may have left, too
  if [ "$(readlink "/run/systemd/system/$package_unit.service" 2>/dev/null)" = /dev/null ]; then
    run systemctl unmask --runtime "$package_unit.service" >/dev/null 2>&1
  fi
  if grep -q -s -x '# regfleet' /usr/sbin/policy-rc.d; then rm -f /usr/sbin/policy-rc.d; fi
  package_beside_off
}

unit_before() { # SERVICE: how the distribution's own was before us, once
  [ ! -e "$BASE/$1.before" ] || return 0
  enabled=no active=no
  if run systemctl -q is-enabled "$1.service" 2>/dev/null; then enabled=yes; fi
  if run systemctl -q is-active "$1.service" 2>/dev/null; then active=yes; fi
  printf '%s %s\n' "$enabled" "$active" >"$BASE/$1.before"
  run systemctl stop "$1.service" >/dev/null 2>&1
  return 0
}

package_as_before() { # FILE of ours that is gone
  case $1 in /etc/systemd/system/"$package_unit".service.d/*) ;; *) return 0 ;; esac
  rmdir "${1%/*}" 2>/dev/null
  enabled=no active=no
  if [ -e "$BASE/$package_unit.before" ]; then read -r enabled active <"$BASE/$package_unit.before"; fi
  rm -f "$BASE/$package_unit.before"
  if [ "$enabled" = yes ]; then run systemctl -q enable "$package_unit.service" >/dev/null 2>&1; fi
  if [ "$active" = yes ]; then run systemctl start "$package_unit.service" >/dev/null 2>&1; fi
  return 0
}
