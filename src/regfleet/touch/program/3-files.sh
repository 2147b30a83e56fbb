# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Files: written beside their targets, then all put in place at once.

digest() { if [ -e "$1" ]; then sha256sum <"$1" | cut -d' ' -f1; else echo absent; fi; }

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
}

# A new file beside its target: unpredictable name, 0600, no suffix that certs.d would read.
beside() { # PATH
  mktemp "${1%/*}/.regfleet.XXXXXXXXXX" 2>&1
}

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
  mode=$2
  [ -f "$1" ] && [ "$2" != 0600 ] && mode=$(stat -c %a "$1")
  put "$1" "$mode" "$3" "$4"
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

daemon() { # PATH ACTIVE FINAL|same|remove UNDO ACTIVATION
  daemon_path=$1 activation=$5
  if [ -f "$1" ] && [ ! -e "$BASE/owned.json" ]; then
    keep_original "$1" || return 1
  fi
  mode=0644
  [ -f "$1" ] && mode=$(stat -c %a "$1")
  stage "$1" "$mode" "$2" || return 1
  validate "$fresh" || return 1
  undo_daemon=$4
  case $3 in
    same) daemon_final=keep ;;
    remove) daemon_final=remove ;;
    *) daemon_final=$3 ;;
  esac
}

daemon_stays() { # PATH ACTIVATION: it is as it was, and something else is to be taken up
  activation=$2
  if [ -f "$1" ]; then validate "$1"; else validate ''; fi
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
  chown 0:0 "$1" && chmod "$3" "$1" && mv -f "$1" "$2" && flush "${2%/*}/"
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
  each swap_one "$staged" || { fail 'a new file cannot be put in place'; return 1; }
  staged=
  each drop_one "$dropped" || { fail 'a file cannot be removed'; return 1; }
}

settle() { # after all is verified: daemon.json as it stays
  case $daemon_final in
    keep) ;;
    remove) rm -f "$daemon_path" ;;
    *)
      mode=$(stat -c %a "$daemon_path")
      stage "$daemon_path" "$mode" "$daemon_final" || return 1
      each swap_one "$staged" || return 1
      staged=
      ;;
  esac
}
