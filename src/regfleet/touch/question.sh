# How did it go? Asked by a controller whose connection broke: waits for the touch of one run to
# end and says again what it said. Only what that very run left here is an answer.
# shellcheck shell=sh disable=SC2154  # `mark` and `most`, in seconds, are set before

base=/var/lib/regfleet
runs=/run/regfleet
[ -d /run ] || runs=/var/run/regfleet

# Where there is no flock(1), a link names the process that holds the lock.
held() { [ -L "$base/lock.pid" ] && [ -d "/proc/$(readlink "$base/lock.pid")" ]; }

await_lock() {
  if command -v flock >/dev/null 2>&1; then
    [ ! -e "$base/lock" ] || flock -w "$most" "$base/lock" true
    return
  fi
  tries=$most
  while held && [ "$tries" -gt 0 ]; do
    tries=$((tries - 1))
    sleep 1
  done
}

# A touch that has not begun yet finds this and does nothing: nobody waits for it any more.
claim() {
  [ -d "$runs" ] || mkdir -m 0700 "$runs" 2>/dev/null
  [ -d "$runs" ] && [ ! -L "$runs" ] && (set -C && : >"$runs/$mark") 2>/dev/null
}

said_by_run() { [ -s "$runs/$mark" ]; }
ended() { grep -q '^@outcome ' "$runs/$mark"; }
last_run() { grep -q -x -F "@run $mark" "$base/last" 2>/dev/null; }

tell() {
  if said_by_run && ended; then
    cat "$runs/$mark"
  elif last_run && [ ! -e "$base/pending" ] && [ ! -e "$base/making" ] &&
    grep -q '^@outcome ' "$base/last"; then
    cat "$base/last"
  elif said_by_run || last_run; then
    echo '@failed the touch ended in the middle: was the host restarted?'
    echo '@hint run it again: what was there before comes back first'
    echo '@outcome failed'
  else
    echo '@failed the host has no record of this run'
  fi
}

claim
await_lock
tries=3 # one that has just begun may not have the lock yet
while said_by_run && ! ended && [ "$tries" -gt 0 ]; do
  tries=$((tries - 1))
  sleep 1
  await_lock
done
tell
