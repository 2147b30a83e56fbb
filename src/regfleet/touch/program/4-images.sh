# Images: brought, kept for the way back, and removed. Each engine has its own, by ENGINE_pull,
# ENGINE_load, ENGINE_forget_image, ENGINE_image_id, ENGINE_image_names and ENGINE_tag.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people

KEPT=localhost/regfleet-kept # the name, with a part of its ID, of an image that a generation needs
replaced=                    # lines: engine, ID and name of an image whose name an earlier one got back

pull() { # ENGINE REFERENCE
  bring "$1" "$2" && "$1_pull" "$2"
}

# Listed before it comes, so that it goes with the fleet even if this touch is killed, or what it
# does is taken back. An archive is listed when it is sent (archive.py).
bring() { # ENGINE REFERENCE
  entry=$whose$TAB$1$TAB$2
  grep -q -s -x -F "$entry" "$BASE/brought" && return 0
  if ! printf '%s\n' "$entry" >>"$BASE/brought" || ! flush "$BASE/brought"; then
    fail "$BASE/brought cannot be written" 'is the disk full? see `df -h` on the host'
  fi
}

unlist() { # REFERENCE ENGINE
  [ -e "$BASE/brought" ] || return 0
  grep -v -x -F "$whose$TAB$2$TAB$1" "$BASE/brought" >"$BASE/brought.new"
  if [ -s "$BASE/brought.new" ]; then
    mv -f "$BASE/brought.new" "$BASE/brought"
  else
    rm -f "$BASE/brought.new" "$BASE/brought"
  fi
  return 0
}

load() { # ENGINE FILE: an archive that was sent ahead
  [ -f "$2" ] || return 0
  "$1_load" "$2" || return 1
  rm -f "$2"
  rmdir "$BASE/spool" 2>/dev/null
  return 0
}

not_pulled() { # REFERENCE, after what was `said`
  fail "the image $1 cannot be pulled: $(printf '%s' "$said" | engine_words)" \
    'see whether the host reaches that registry, or give the image as `image_archive`'
}

not_loaded() { # COMMAND DIRECTORY, after what was `said`
  fail "the image archive cannot be loaded: $(printf '%s' "$said" | engine_words)" \
    "see whether it is a $1 archive, and the free space in $2"
}

engine_words() { grep -v -e '--help' | tail -n 2 | flat; } # an error of an engine's, without its advice

remove_image() { # ENGINE REFERENCE: when all has gone well, and unless something uses it
  unused="$unused$2$TAB$1$NL"
}

forget_image() { # REFERENCE ENGINE
  "$2_forget_image" "$1"
  unlist "$1" "$2"
}

forget_brought() { # FLEET ENGINE REFERENCE: one of this fleet's, if the engine's functions are here
  if [ "$1" = "$whose" ] && command -v "$2_forget_image" >/dev/null 2>&1; then
    forget_image "$3" "$2"
  fi
}

# ---- for the way back ----
# After an update the image of before has no name any more, or its name is another image's. A name of
# ours keeps it for as long as a generation of this host needs it.

note_image() { # KIND NAME: what the service is made from, before it goes
  found=$("$1_image" "$2")
  [ -z "$found" ] || printf '%s\n' "$found" >>"$saved/images" || { fail "$saved cannot be written"; return 1; }
}

knows_images() { command -v "$1_image_id" >/dev/null 2>&1; } # ENGINE: whether its functions are here

kept_as() { # ID: the name by which it is kept
  id=${1#sha256:}
  printf '%s:%.12s' "$KEPT" "$id"
}

keep_image() { # ENGINE ID REFERENCE: where that does not lead to it any more, or is about to go
  if ! knows_images "$1"; then return 0; fi
  if [ -z "$unused" ] && [ "$("$1_image_id" "$3")" = "$2" ]; then return 0; fi
  name=$(kept_as "$2")
  bring "$1" "$name" || return 1
  "$1_tag" "$2" "$name" || say "note the image of before is not there any more: a rollback has to have $3 anew"
}

back_image() { # ENGINE ID REFERENCE: before what is made from it comes back
  if ! knows_images "$1"; then return 0; fi
  now=$("$1_image_id" "$3")
  if [ "$now" = "$2" ] || ! "$1_tag" "$2" "$3"; then return 0; fi
  [ -z "$now" ] || replaced="$replaced$1$TAB$now$TAB$3$NL"
}

drop_replaced() { # ENGINE ID REFERENCE: an image that came with us, and has no name any more
  for each_name in "$3" "${3#localhost/}" "${3#docker.io/}" "${3#docker.io/library/}"; do
    grep -q -s -x -F "$whose$TAB$1$TAB$each_name" "$BASE/brought" || continue
    [ -n "$("$1_image_names" "$2")" ] || "$1_forget_image" "$2"
    return 0
  done
}

forget_unneeded() { # FLEET ENGINE KEPT-NAME: unless a generation needs it
  cat "$BASE"/generations/*/images 2>/dev/null | grep -q -F -e "$TAB${3##*:}" -e "${TAB}sha256:${3##*:}" ||
    forget_brought "$@"
}

prune_images() { each forget_unneeded "$(grep -s -F "$TAB$KEPT:" "$BASE/brought")"; }
