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
  if ! printf '%s\n' "$of_run" >"$saved/run" || ! printf '%s' "$notes" | base64 -d >"$saved/changes" ||
    ! printf '%s\n' "$whose" >"$saved/fleet" || ! printf '%s' "$made" >"$saved/made" || ! printf '%s\n' "$activation" >"$saved/activation" ||
    ! printf '%s' "$units" >"$saved/units" || ! printf '%s' "$timers" >"$saved/timers" ||
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

# What lies in a home is put back as its account. Where that cannot be done it is said, and does not
# hold up the rest: no account has a say in whether a host can be put back.
at_home() { # PATH: whether it does; sets `account`
  account=
  if [ -f "$from/homes" ]; then
    while IFS=$TAB read -r kept_path kept_account; do
      if [ "$kept_path" = "$1" ]; then account=$kept_account; fi
    done <"$from/homes"
    [ -n "$account" ]
    return
  fi
  # A generation from before there was that list: logins lay at these places, and nothing else.
  case $1 in
    */.docker | */.docker/config.json) at=${1%/.docker*} ;;
    */.config | */.config/containers | */.config/containers/auth.json) at=${1%/.config*} ;;
    *) return 1 ;;
  esac
  account=$({ getent passwd || cat /etc/passwd; } 2>/dev/null | awk -F: -v at="$at" '$6 == at { print $1; exit }')
  [ -n "$account" ] || account=nobody # the worst that can come of it is that it is not put back
}

not_back() { # PATH WHY
  say "note $1 of $account was not put back: $(printf '%s' "$2" | flat)"
}

restore_home() { # PATH
  find_account "$account" || { not_back "$1" 'there is no such account'; return 0; }
  # One that root saved before then may have been a link to anything.
  if [ ! -f "$from/homes" ] && [ "$(stat -c %U "$from/files$1")" != "$account" ]; then
    not_back "$1" 'it was not a file of that account'
    return 0
  fi
  mode=$(stat -c %a "$from/files$1")
  saw=$(in_home "$account" save "$1" </dev/null | sha256sum)
  [ "$saw" = "$({ printf 'present %s\n' "$mode" && cat "$from/files$1"; } | sha256sum)" ] && return 0
  answer=$(in_home "$account" restore "$1" "$mode" <"$from/files$1")
  [ "$answer" = ok ] || not_back "$1" "$(obstacle "$answer" "$1" "$account")"
}

do_home() { # VERB PATH ARGUMENT...
  if find_account "$account"; then answer=$(in_home "$account" "$@" </dev/null); else answer=ok; fi
  [ "$answer" = ok ] || not_back "$2" "$(obstacle "$answer" "$2" "$account")"
}

remake_one() { # DIRECTORY MODE OWNER
  if at_home "$1"; then do_home make "$1" "$2"; return 0; fi
  [ -d "$1" ] || { mkdir -p "$1" && chmod "$2" "$1" && chown "$3" "$1"; } ||
    broken="$1 could not be made again"
}

# One that cannot be restored does not keep the others from it.
restore_one() { # PATH
  if at_home "$1"; then restore_home "$1"; return 0; fi
  as_it_was "$1" "$from/files$1" && return 0 # where nothing can be written, nothing was
  if spare=$(beside "$1") && cp -p "$from/files$1" "$spare" && mv -f "$spare" "$1"; then return 0; fi
  [ -f "$spare" ] && rm -f "$spare"
  broken="$1 could not be restored"
}

as_it_was() { # PATH SAVED
  [ -f "$1" ] && [ "$(digest "$1")" = "$(digest "$2")" ] &&
    [ "$(stat -c '%a %u:%g' "$1")" = "$(stat -c '%a %u:%g' "$2")" ]
}

forget_one() {
  if at_home "$1"; then do_home remove "$1"; return 0; fi
  rm -f "$1" || broken="$1 could not be removed"
}

unmake() { # DIRECTORY, where it is empty
  if [ -n "$from" ] && at_home "$1"; then do_home unmake "$1"; else rmdir "$1" 2>/dev/null; fi
  return 0
}
discard() { rm -f "$1"; return 0; }

services_of() { # GENERATION-DIRECTORY: lines of NAME TAB KIND; those of version 0.1 are all containers
  sed "s/\$/${TAB}container/" "$1/containers" 2>/dev/null
  cat "$1/services" 2>/dev/null
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
  back_timers "$from" || broken='a timer did not come back'
  boundary services
  each drain_again "$(cat "$from/drained" 2>/dev/null)"
  each aside_again "$(cat "$from/returned" 2>/dev/null)"
  replaced=
  each back_image "$(cat "$from/images" 2>/dev/null)"
  # The last first: one that went may want the port of one that came.
  each back_service "$(services_of "$from" | sed '1!G;h;$!d')" ||
    broken='a service did not come back'
  each drop_replaced "$replaced"
  each reload_back "$(cat "$from/reloaded" 2>/dev/null)"
  each forget_copied "$(cat "$from/copied" 2>/dev/null)"
  each back_adopted "$(cat "$from/adopted" 2>/dev/null)"
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

# For a job: FUNCTION is called when a later step fails, and sets `broken` to what it could not do.
# After a kill nobody calls it: the job's own first step has to find what an earlier one left.
undo_with() { undoing="$1$NL$undoing"; }

undo_steps() {
  broken=
  while [ -n "$undoing" ]; do
    undo=${undoing%%"$NL"*}
    undoing=${undoing#*"$NL"}
    boundary "$undo"
    "$undo" || broken=${broken:-"$undo did not succeed"}
  done
  not_undone=$broken
  [ -z "$broken" ] || say "failed and taking it back did not succeed: $broken"
}

concludes() { # RESULT
  outcome=$1
  say "outcome $1"
}

rollback() { # of a touch or job that failed
  each discard "$staged$held"
  if [ -z "$saved" ]; then each discard "$kept"; fi
  undo_steps
  if [ -n "$saved" ]; then put_back "$saved" no; fi
  broken=${broken:-$not_undone}
  each unmake "$made"
  if [ -n "$locked" ]; then rm -f "$BASE/making" "$BASE/beside"; fi
  if [ -n "$broken" ]; then
    concludes failed
  elif [ -n "$changed" ]; then
    concludes rolled-back
  else
    concludes failed
  fi
  # A first touch that failed leaves no trace of itself.
  if [ -n "$locked" ] && [ -z "$broken" ]; then
    prune_images
    leave_host
  fi
}

# Where no fleet owns anything any more. Images that cannot be removed here stay on their list.
leave_host() {
  [ ! -e "$BASE/owned.json" ] || return 0
  each forget_brought "$(cat "$BASE/brought" 2>/dev/null)"
  [ -e "$BASE/brought" ] || rm -rf "$BASE"
}

prune() { # the last ten generations stay
  # shellcheck disable=SC2012  # their names are numbers of our own
  ls "$BASE/generations" 2>/dev/null | sort -rn | tail -n +11 | while read -r old; do
    rm -rf "$BASE/generations/$old"
  done
  prune_images
}

finish() {
  if [ -n "$locked" ]; then
    each discard "$spooled"
    rmdir "$BASE/spool" 2>/dev/null
  fi
  if [ -z "$failed" ] && [ -n "$saved" ]; then each keep_image "$(cat "$saved/images" 2>/dev/null)"; fi
  if [ -n "$failed" ]; then
    rollback
    return
  fi
  boundary finish
  # Of an engine that does not run, and was not started either.
  if changed_units && [ ! -e "$saved/activated" ]; then run systemctl daemon-reload >/dev/null 2>&1; fi
  each forget_before "$aside"
  boundary tidy
  rm -f "$BASE/making" "$BASE/beside" "$BASE/pending" # all is verified: from here on there is no way back by itself
  each forget_image "$unused"
  each discard "$spent"
  each forget_data "$doomed"
  prune
  if [ -n "$changed" ]; then concludes changed; else concludes unchanged; fi
  leave_host
}

touch_host() { # runs `plan`, come what may of the connection
  trap '' HUP PIPE INT TERM
  printf '\n@begin %s\n' "$mark"
  plan
  finish
  each undrain "$drained"
  end_record "$outcome"
  if [ -n "$locked" ]; then rm -f "$BASE/lock.pid"; fi
  printf '@end %s\n' "$mark"
}
