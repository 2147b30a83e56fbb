# A job that the host does by itself at its time; `plan` and what it needs stand before this.
# shellcheck shell=sh disable=SC2034,SC2154  # shared variables

# Given `now`, it asks no clock. Where no run has left a record the time counts from when this file
# was put here.
scheduled() { # RECORD SECONDS-SINCE-THE-LAST-RUN [now]
  since=$(sed -n 's/^@began \([0-9]\{1,12\}\)$/\1/p' "$BASE/records/$1" 2>/dev/null)
  [ -n "$since" ] || since=$(stat -c %Y "$0")
  if [ "${3:-}" != now ] && [ "$2" -gt 0 ]; then
    age=$(($(date +%s) - since))
    # A clock that was set back does not keep it waiting for ever.
    if [ "$age" -ge 0 ] && [ "$age" -lt "$2" ]; then return 0; fi
  fi
  mark=timer-$(date -u +%Y%m%dT%H%M%SZ)-$$
  patience=7200
  keep_record "$1"
  touch_host </dev/null
  case $outcome in changed | unchanged) return 0 ;; esac
  return 1
}
