# Whether a directory is one file system on several hosts: one writes a file, the others read it.
# shellcheck shell=sh
# Each function prints one line: `@shared ok OWNER`, or `@shared WORD` for why not.

shared_mounted() { # PATH; nothing may be written below where the file system should be
  if [ ! -d "$1" ]; then
    echo "@shared missing"
  elif [ "$(stat -c %d "$1")" = "$(stat -c %d /)" ]; then
    echo "@shared unmounted"
  else
    return 0
  fi
  return 1
}

shared_write() { # PATH NAME
  shared_mounted "$1" || return 0
  if ! (umask 077 && printf '%s\n' "$2" >"$1/.regfleet-$2") 2>/dev/null; then
    echo "@shared unwritable"
    return 0
  fi
  sync "$1/.regfleet-$2" 2>/dev/null || sync
  echo "@shared ok $(stat -c %u "$1/.regfleet-$2")"
}

shared_read() { # PATH NAME; waits for a second
  shared_mounted "$1" || return 0
  tries=10
  until [ "$(cat "$1/.regfleet-$2" 2>/dev/null)" = "$2" ]; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then
      echo "@shared unseen"
      return 0
    fi
    sleep 0.1 2>/dev/null || { sleep 1 && tries=0; }
  done
  echo "@shared ok $(stat -c %u "$1/.regfleet-$2")"
}

shared_forget() { # PATH NAME
  rm -f "$1/.regfleet-$2"
}
