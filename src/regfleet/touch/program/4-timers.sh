# Timers of systemd's that run what regfleet put on the host now and then.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people

timers= # names, a line each: known before anything is in place, for the way back

will_settle() { # NAME...
  for name; do timers="$timers$name$NL"; done
}

settle_timers() { # NAME...
  changed=1
  [ -d /run/systemd/system ] || return 0
  boundary timers
  for name; do end_timer "$name"; done
  run systemctl daemon-reload >/dev/null 2>&1
  for name; do
    start_timer "$name" || fail "$name.timer does not start" "see \`systemctl status $name.timer\` on the host"
  done
  [ -z "$failed" ]
}

# What is on the disk runs, and what is not there does not.
end_timer() { # NAME
  [ ! -e "/etc/systemd/system/$1.timer" ] || return 0
  run systemctl stop "$1.timer" "$1.service" >/dev/null 2>&1
  rm -f "/etc/systemd/system/timers.target.wants/$1.timer" "/var/lib/systemd/timers/stamp-$1.timer"
  run systemctl reset-failed "$1.service" >/dev/null 2>&1
  return 0
}

start_timer() { # NAME
  [ -e "/etc/systemd/system/$1.timer" ] || return 0
  run systemctl -q --no-reload enable "$1.timer" >/dev/null 2>&1
  run systemctl restart "$1.timer" >/dev/null 2>&1
}

back_timers() { # GENERATION-DIRECTORY: with the old files in place again
  if [ ! -s "$1/timers" ] || [ ! -d /run/systemd/system ]; then return 0; fi
  each end_timer "$(cat "$1/timers")"
  run systemctl daemon-reload >/dev/null 2>&1
  each start_timer "$(cat "$1/timers")"
}
