# Generations: what was there before each change, and the one way back to it, whoever asks:
# a touch that failed, the run after one that was killed, or `regfleet rollback`.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people

generation() { # a directory for what is about to be replaced
  [ -z "$saved" ] || return 0
  saved=$BASE/generations/$(($(latest) + 1))
  if ! mkdir -p "$saved/files" || ! : >"$saved/unfinished" || ! : >"$saved/present" ||
    ! : >"$saved/absent"; then
    fail "$saved cannot be made" 'is the disk full? see `df -h` on the host'
    return 1
  fi
  if ! printf '%s\n' "$whose" >"$saved/fleet" || ! printf '%s' "$made" >"$saved/made" || ! printf '%s\n' "$activation" >"$saved/activation" ||
    ! printf '%s' "$units" >"$saved/units" ||
    ! printf '%s' "$undo_daemon" >"$saved/undo" || ! printf '%s\n' "$daemon_path" >"$saved/daemon"
  then
    fail "$saved cannot be written" 'is the disk full? see `df -h` on the host'
  fi
}

latest() {
  number=0
  for old in "$BASE"/generations/*; do
    [ -d "$old" ] && [ "${old##*/}" -gt "$number" ] 2>/dev/null && number=${old##*/}
  done
  echo "$number"
}

save() { # PATH: its present state into this generation, once
  grep -q -x -F "$1" "$saved/present" "$saved/absent" 2>/dev/null && return 0
  if [ -e "$1" ]; then
    mkdir -p "$saved/files${1%/*}" && cp -p "$1" "$saved/files$1" &&
      printf '%s\n' "$1" >>"$saved/present"
  else
    printf '%s\n' "$1" >>"$saved/absent"
  fi
}

save_target() { save "$2"; }

leave() { # DIRECTORY: that it was there, for it may go with what was in it
  [ ! -d "$1" ] || stat -c "%n$TAB%a$TAB%u:%g" "$1" >>"$saved/left"
}

commit_to() { # GENERATION-DIRECTORY: from here on a touch that is cut off is put back by the next one
  printf '%s\n' "${1##*/}" >"$1/pending" && flush "$1/pending" &&
    mv -f "$1/pending" "$BASE/pending" && flush "$BASE" && rm -f "$1/unfinished" "$BASE/making"
}

forget_unfinished() { # what a touch that never came to change anything began to save
  for old in "$BASE"/generations/*/unfinished; do
    rm -rf "${old%/unfinished}"
  done
}

remake_one() { # DIRECTORY MODE OWNER
  [ -d "$1" ] || { mkdir -p "$1" && chmod "$2" "$1" && chown "$3" "$1"; } ||
    broken="$1 could not be made again"
}

# One that cannot be restored does not keep the others from it.
restore_one() { # PATH
  as_it_was "$1" "$from/files$1" && return 0 # where nothing can be written, nothing was
  if spare=$(beside "$1") && cp -p "$from/files$1" "$spare" && mv -f "$spare" "$1"; then return 0; fi
  [ -f "$spare" ] && rm -f "$spare"
  broken="$1 could not be restored"
}

as_it_was() { # PATH SAVED
  [ -f "$1" ] && [ "$(digest "$1")" = "$(digest "$2")" ] &&
    [ "$(stat -c '%a %u:%g' "$1")" = "$(stat -c '%a %u:%g' "$2")" ]
}

forget_one() { rm -f "$1" || broken="$1 could not be removed"; }
unmake() { rmdir "$1" 2>/dev/null; return 0; }
discard() { rm -f "$1"; return 0; }

back_container() { # NAME: the one that stood aside, or one like it
  name=$1 port=
  run docker rm -f "$name" >/dev/null 2>&1
  if [ -s "$BASE/containers/$name" ]; then
    # PORT TLS ARGUMENT..., written by ourselves, every word quoted, readable by root alone.
    eval "set -- \"\$name\" $(cat "$BASE/containers/$name")"
    port=$2 tls=$3
    shift 3
  fi
  if exists "$name-before"; then
    run docker rename "$name-before" "$name" || return 1
    run docker update --restart always "$name" >/dev/null || return 1
    run docker start "$name" >/dev/null || return 1
  elif [ -n "$port" ]; then
    run docker run -d --name "$name" "$@" >/dev/null 2>&1 || return 1
  fi
  # Back it is; whether it ever answered is another question.
  [ -z "$port" ] || serving "$name" "$port" "$tls" ||
    say "note $name is as it was before, and does not answer /v2/ on port $port"
}

# Whether the engine took the change up is known for a touch that failed (`activated`); after a
# kill it is not, the host may even have been restarted: then it counts as taken up.
put_back() { # GENERATION-DIRECTORY AFTER-A-KILL: sets `broken` to what could not be done
  from=$1
  broken=
  was=none
  if [ "$2" = yes ] || [ -e "$from/activated" ]; then was=$(cat "$from/activation" 2>/dev/null); fi
  path=$(cat "$from/daemon" 2>/dev/null)
  boundary undo
  if [ "$was" = reload ] && [ -s "$from/undo" ]; then
    # Keys that go away keep their value across a reload: first let the daemon forget them.
    if spare=$(beside "$path") && base64 -d <"$from/undo" >"$spare"; then mv -f "$spare" "$path"; fi
    pid=$(docker_pid)
    if [ -n "$pid" ]; then
      reload "$pid" 5
    fi
  fi
  boundary restore
  # They were left deepest first: made again the other way round.
  each remake_one "$(sort "$from/left" 2>/dev/null)"
  each restore_one "$(cat "$from/present" 2>/dev/null)"
  each forget_one "$(cat "$from/absent" 2>/dev/null)"
  boundary reactivate
  if [ "$was" = reload ]; then
    # It ran when that was planned. Where it does not now, it could not live with the new file.
    pid=$(docker_pid)
    if [ -n "$pid" ]; then reload "$pid" 5; else was=start; fi
  fi
  case $was in
    restart | start)
      failing=$failed
      failed=1 # what service has to say of a failure now is said below
      service "$was" >/dev/null 2>&1
      failed=$failing
      ;;
  esac
  case $was in
    restart | reload | start) answers 60 || broken='the engine does not answer' ;;
  esac
  if [ "$2" = yes ] || [ -e "$from/activated" ]; then each back_unit "$(cat "$from/units" 2>/dev/null)"; fi
  boundary containers
  # The last first: one that went may want the port of one that came.
  each back_container "$(sed '1!G;h;$!d' "$from/containers" 2>/dev/null)" ||
    broken='a container did not come back'
  each unmake "$(cat "$from/made" 2>/dev/null)"
  boundary forget
  if [ -z "$broken" ]; then
    # Out of the way at once: a generation that is half removed must not be put back again.
    rm -rf "$BASE/generations/spent"
    [ ! -d "$from" ] || mv -f "$from" "$BASE/generations/spent"
    rm -f "$BASE/pending"
    rm -rf "$BASE/generations/spent"
  else
    say "failed and putting things back did not succeed: $broken (the old files are in $from)"
  fi
}

recover() { # a touch was cut off: the state before it comes back
  # Before its files were in place: there is nothing but what it made on the way.
  each unmake "$(cat "$BASE/making")"
  rm -f "$BASE/making"
  [ -e "$BASE/pending" ] || { forget_unfinished; return 0; }
  number=$(cat "$BASE/pending")
  put_back "$BASE/generations/$number" yes
  recovered=$number
  say 'note a change that was cut off earlier was put back first'
  [ -z "$broken" ] || fail "the change that was cut off cannot be put back: $broken"
}

go_back() { # GENERATION, or 0 for the one before: the newest first, down to that one
  # What was cut off was the way back to it, or the change that it is the way back from: no further.
  if [ -n "$recovered" ] && { [ "$1" -eq 0 ] || [ "$1" -ge "$recovered" ]; }; then
    changed=1
    return 0
  fi
  number=$(latest)
  target=$1
  [ "$target" -eq 0 ] && target=$number
  [ "$number" -eq 0 ] && return 0
  if [ ! -d "$BASE/generations/$target" ]; then
    # shellcheck disable=SC2012  # their names are numbers of our own
    fail "there is no generation $target here" "kept are: $(ls "$BASE/generations" | sort -n | flat)"
    return 1
  fi
  while [ "$number" -ge "$target" ]; do
    other=$(cat "$BASE/generations/$number/fleet" 2>/dev/null)
    if [ "$other" != "$whose" ]; then
      fail "generation $number is of the fleet $other" 'go back with its fleet file first, or change what is declared and apply'
      return 1
    fi
    # A way back that is cut off is gone to its end by the next run.
    commit_to "$BASE/generations/$number" || { fail 'the way back cannot be noted' 'is the disk full? see `df -h` on the host'; return 1; }
    put_back "$BASE/generations/$number" yes
    [ -z "$broken" ] || { fail "generation $number cannot be put back: $broken"; return 1; }
    say "note generation $number was put back"
    number=$(latest)
    [ "$number" -eq 0 ] && break
  done
  changed=1
}

rollback() { # of a touch that failed
  each discard "$staged"
  if [ -z "$saved" ]; then each discard "$kept"; fi
  broken=
  if [ -n "$saved" ]; then put_back "$saved" no; fi
  each unmake "$made"
  if [ -n "$locked" ]; then rm -f "$BASE/making"; fi
  if [ -n "$broken" ]; then
    say 'outcome failed'
  elif [ -n "$changed" ]; then
    say 'outcome rolled-back'
  else
    say 'outcome failed'
  fi
  # A first touch that failed leaves no trace of itself.
  if [ -n "$locked" ] && [ -z "$broken" ] && [ ! -e "$BASE/owned.json" ]; then rm -rf "$BASE"; fi
}

forget_before() { run docker rm -f "$1-before" >/dev/null 2>&1; return 0; }
forget_image() { run docker rmi "$1" >/dev/null 2>&1; return 0; }
forget_data() { rm -rf "$1"; }

prune() { # the last ten generations stay
  # shellcheck disable=SC2012  # their names are numbers of our own
  ls "$BASE/generations" 2>/dev/null | sort -rn | tail -n +11 | while read -r old; do
    rm -rf "$BASE/generations/$old"
  done
}

finish() {
  if [ -n "$failed" ]; then
    rollback
    return
  fi
  boundary finish
  each forget_before "$aside"
  boundary tidy
  rm -f "$BASE/making" "$BASE/pending" # all is verified: from here on there is no way back by itself
  each forget_image "$unused"
  each discard "$spent"
  each forget_data "$doomed"
  prune
  if [ -n "$changed" ]; then say 'outcome changed'; else say 'outcome unchanged'; fi
  [ -e "$BASE/owned.json" ] || rm -rf "$BASE" # nothing of ours is left on this host
}

touch_host() { # runs `plan`, come what may of the connection
  trap '' HUP PIPE INT TERM
  plan
  finish
  if [ -n "$locked" ]; then rm -f "$BASE/lock.pid"; fi
}
