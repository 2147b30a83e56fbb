# Services of the service manager's, as the doctor sees them.
# shellcheck shell=sh disable=SC2154  # functions and variables of doctor.sh and unit.sh

unit_state() { # NAME: its state, and its last words where it does not run
  find_unit "$1" || return 0
  if find_unit_process "$1"; then
    say "state $1 running 0"
    return 0
  fi
  status=1
  case $unit_file in
    /etc/systemd/*) status=$(patient systemctl show --property ExecMainStatus --value "$unit.service" 2>/dev/null) ;;
  esac
  say "state $1 exited ${status:-1}"
  # Its log of requests tells nothing.
  unit_log_of "$1" | grep -v ' HTTP/[0-9.]*" [0-9]' | of_itself | serious | tail -n 2 | scrub | flat | sed "s|^|@last $1 |"
}

unit_log_of() { # NAME
  case $unit_file in
    /etc/systemd/*) patient journalctl -u "$unit.service" -n 60 -o cat --no-pager 2>/dev/null ;;
    *) tail -n 60 "/var/log/$1.log" 2>/dev/null ;;
  esac
}
