# Services of the service manager's, as the look sees them.
# shellcheck shell=sh disable=SC2154  # functions and variables of look.sh and unit.sh

look_unit() { # NAME
  find_unit "$1" || return 0
  if find_unit_process "$1"; then
    say "service unit $1 true $running ${owner:--}"
  else
    say "service unit $1 false ${specification:--} ${owner:--}"
  fi
}
