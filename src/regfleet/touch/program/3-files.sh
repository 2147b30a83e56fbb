# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Files: written beside their targets, then all put in place at once.

digest() { # PATH
  case $1 in
    \~*) home_digest "$1" ;;
    *) if [ -e "$1" ]; then sha256sum <"$1" | cut -d' ' -f1; else echo absent; fi ;;
  esac
}

expect() { # PATH DIGEST: what was looked at is still so
  [ "$(digest "$1")" = "$2" ] ||
    fail "$1 changed since the plan was made" "nothing was touched; run it again to plan afresh"
}

directory() { # PATH MODE
  if [ ! -d "$1" ]; then
    made="$1$NL$made"
    # Noted first: should we be killed, the next run knows whose it is.
    if ! printf '%s' "$made" >"$BASE/making"; then
      fail "$BASE cannot be written" 'is the disk full? see `df -h` on the host'
      return 1
    fi
    umask 022 # what is made on the way to it is for everybody, as it would be by hand
    try "make $1" mkdir -p "$1"
    umask 077
    [ -n "$failed" ] && return 1
  fi
  changed=1
  if ! chmod "$2" "$1" || ! chown 0:0 "$1"; then fail "$1: mode or owner cannot be set"; fi
  label "$1"
}

# What the policy of SELinux says of a path (restorecon(8)), which a file that was made elsewhere, or
# in a directory that was, has not. What containers mount is left out: its label is theirs.
labels=no
if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null 2>&1; then labels=yes; fi
label() { # PATH
  case $labels:$1 in
    no:* | *:/etc/regfleet/*) ;;
    *) run restorecon "$1" >/dev/null 2>&1 ;;
  esac
  return 0
}

# A new file beside its target: unpredictable name, 0600, no suffix that certs.d would read.
beside() { # PATH
  # Its directory is noted first: what is left there after a kill, the next touch removes.
  { printf '%s\n' "${1%/*}" >>"$BASE/beside"; } 2>/dev/null
  mktemp "${1%/*}/.regfleet.XXXXXXXXXX" 2>&1
}

clear_beside() { rm -f "$1"/.regfleet.??????????; return 0; } # DIRECTORY

write() { # TEMPORARY BASE64: written and on the disk
  printf '%s' "$2" | base64 -d >"$1" 2>/dev/null && flush "$1"
}

# fsync of one file or directory; a sync that knows no operand flushes everything instead.
flush() { run sync "$1" 2>/dev/null || run sync; }

stage() { # PATH MODE BASE64: sets `fresh`
  if [ ! -d "${1%/*}/" ]; then
    directory "${1%/*}" 0755 || return 1
  fi
  if ! fresh=$(beside "$1") || [ ! -f "$fresh" ]; then
    fail "$1 cannot be written: $(printf '%s' "$fresh" | flat)" 'see `df -h` and `mount` on the host'
    return 1
  fi
  staged="$staged$fresh$TAB$1$TAB$2$NL"
  if ! write "$fresh" "$3"; then
    fail "$1 cannot be written: the disk may be full ($(df -Pk "${1%/*}/" | tail -n 1 | flat))" \
      'make room on the host, then run this again'
    return 1
  fi
}

put() { # PATH MODE FOREIGN BASE64
  if [ "$3" = 1 ] && [ -f "$1" ]; then
    keep_original "$1" || return 1
  fi
  stage "$1" "$2" "$4"
}

# A file that others write too. MODE is for one that is new; 0600, for secrets, is for any.
edit() { # PATH MODE FOREIGN BASE64
  set -- "$(readlink -f "$1" 2>/dev/null || echo "$1")" "$2" "$3" "$4"
  if is_mounted "$1"; then
    fail "$1 is mounted by itself, so no new file can take its place" \
      'mount its directory, not the file (see `findmnt` on the host), then run this again'
    return 1
  fi
  mode=$2
  [ -f "$1" ] && [ "$2" != 0600 ] && mode=$(stat -c %a "$1")
  put "$1" "$mode" "$3" "$4"
}

# rename(2): EBUSY. The kernel writes a blank in a name as \040: such a name is seen when it is renamed.
is_mounted() { # PATH
  cut -d ' ' -f 5 /proc/self/mountinfo 2>/dev/null | grep -q -x -F -e "$1"
}

accepted() { # ENGINE PATH: what `edit` wrote just before, by the engine's own parser
  "$1_accepts" "$fresh" "$2"
}

keep_original() { # PATH: what stands there now and is not ours
  kept="$BASE/original$1$NL$kept"
  try "keep the original $1" mkdir -p "$BASE/original${1%/*}"
  try "keep the original $1" cp -p "$1" "$BASE/original$1"
  [ -z "$failed" ]
}

drop() { # PATH
  dropped="$dropped$1$NL"
}

drop_directory() { # PATH: only when nothing is left in it
  leave "$1" || return 1
  rmdir "$1" 2>/dev/null
  return 0
}

record() { # BASE64: the ownership record is a file like any other, but goes first
  if [ -n "$1" ]; then
    stage "$BASE/owned.json" 0600 "$1" || return 1
    line="$fresh$TAB$BASE/owned.json${TAB}0600$NL"
    staged="$line${staged%"$line"}"
  else
    drop "$BASE/owned.json"
  fi
}

swap_one() { # TEMPORARY TARGET MODE
  boundary put-in-place
  unplaced=$2
  said=$({ chown 0:0 "$1" && chmod "$3" "$1" && mv -f "$1" "$2"; } 2>&1) || return 1
  label "$2" && flush "${2%/*}/"
}

drop_one() { # TARGET; what stood there before us comes back
  boundary take-out
  if [ -e "$BASE/original$1" ]; then
    spent="$BASE/original$1$NL$spent"
    spare=$(beside "$1") && cp -p "$BASE/original$1" "$spare" && mv -f "$spare" "$1"
  else
    rm -f "$1"
  fi
}

swap() { # everything staged goes into place
  generation || return 1
  # An original kept for a change that is taken back would be a stale one.
  printf '%s' "$kept" >>"$saved/absent"
  if ! each save_target "$staged" || ! each save "$dropped"; then
    fail 'the old files cannot be saved' 'is the disk full? see `df -h` on the host'
    return 1
  fi
  boundary commit
  commit_to "$saved" || { fail 'the change cannot be noted' 'is the disk full? see `df -h` on the host'; return 1; }
  changed=1
  each swap_one "$staged" || {
    fail "$unplaced cannot be put in place: $(printf '%s' "$said" | flat)" \
      'see `lsattr` and `findmnt -T` of that file on the host'
    return 1
  }
  staged=
  each drop_one "$dropped" || { fail 'a file cannot be removed'; return 1; }
}

# What is prepared for a file may wait until an engine has read another text there.
hold() { # PATH
  held_path=$1 before=$staged staged=
  each hold_staged "$before"
  before=$dropped dropped=
  each hold_dropped "$before"
}

hold_staged() { # TEMPORARY TARGET MODE
  entry=$1$TAB$2$TAB$3$NL
  if [ "$2" = "$held_path" ]; then held=$held$entry; else staged=$staged$entry; fi
}

hold_dropped() { # TARGET
  if [ "$1" = "$held_path" ]; then held_drop=$1$NL; else dropped=$dropped$1$NL; fi
}

settle() { # after all is verified: the file that was held as it stays
  each swap_one "$held" || return 1
  held=
  each drop_one "$held_drop"
}
