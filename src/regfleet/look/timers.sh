# Work that the host does by itself at times, as the look sees it.
# shellcheck shell=sh disable=SC2154  # functions and variables of look.sh

look_cron() {
  if [ -d /etc/cron.d ] && { command -v cron || command -v crond; } >/dev/null 2>&1; then say 'cron'; fi
}

look_read_only() { # services that take no pushes while a collection is at work (jobs/collection.sh)
  for marker in /run/regfleet/read-only-* /var/run/regfleet/read-only-*; do
    case $marker in
      *\* | *.yml) ;;
      *) if [ -e "$marker" ]; then say "read-only ${marker##*/read-only-}"; fi ;;
    esac
  done
}

look_timer() { # TIMER RECORD: whether its timer runs, and what the last run left
  state=none
  if [ -e "/etc/systemd/system/$1.timer" ]; then
    state=inactive
    if systemctl -q is-active "$1.timer" >/dev/null 2>&1 </dev/null 9>&-; then state=active; fi
  fi
  kept=
  if [ -f "$2" ]; then kept=$(head -c 65536 "$2" | base64 | tr -d '\n'); fi
  say "timer $1 $state $kept"
}
