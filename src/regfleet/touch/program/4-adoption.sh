# Registries that were made by hand: one stands aside for the service that takes its place, which
# gets its images; and it comes back. A container keeps its identifier under whatever name. Nothing here
# calls a function of a kind of services: what stands aside may be of another kind than what comes.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
ASIDE=-before-regfleet # see model/foreign.py

adopt() { # KIND KEY NAME RESTART
  changed=1
  if ! by_hand_there "$1" "$2"; then
    fail "the $1 $3 is not there any more" 'run it again to plan afresh'
    return 1
  fi
  # Noted first: should we be killed, the next run knows what has to come back.
  save_note adopted "$1$TAB$2$TAB$3 $4" || return 1
  boundary adopt
  by_hand_aside "$1" "$2" "$3"
}

save_note() { # NAME LINE: into this generation, on the disk
  if ! printf '%s\n' "$2" >>"$saved/$1" || ! flush "$saved/$1"; then
    fail "$saved cannot be written" 'is the disk full? see `df -h` on the host'
  fi
}

by_hand_there() { # KIND KEY
  case $1 in
    container) run docker container inspect "$2" >/dev/null 2>&1 ;;
    *) [ -d /run/systemd/system ] || [ -x "/etc/init.d/$2" ] ;;
  esac
}

by_hand_aside() { # KIND KEY NAME: stopped for good
  if [ "$1" != container ]; then
    unit "$2" stop
    package_off "$2"
    [ -z "$failed" ]
    return
  fi
  # Stopped first: Docker 26.1 cannot rename one that crashes and starts again and again.
  run docker update --restart no "$2" >/dev/null 2>&1
  try "stop the container $3" docker stop "$2"
  boundary stand-aside
  [ "$(container_name "$2")" = "$3$ASIDE" ] || try "stand $3 aside" docker rename "$2" "$3$ASIDE"
  [ -z "$failed" ]
}

container_name() { # IDENTIFIER
  said=$(run docker container inspect --format '{{.Name}}' "$1" 2>/dev/null)
  echo "${said#/}"
}

by_hand_back() { # KIND KEY NAME RESTART: it serves again; sets `said` where it does not
  if [ "$1" != container ]; then
    rm -f "$BASE/$2.before"
    if [ "$4" = enabled ]; then package_on "$2"; fi
    failing=$failed
    failed=1 # what a service manager has to say of a failure now is said by what asked for it
    unit "$2" start >/dev/null 2>&1
    failed=$failing
    return 0
  fi
  if [ "$(container_name "$2")" != "$3" ]; then
    run docker rename "$2" "$3" >/dev/null 2>&1 # its name may be another's by now
  fi
  said=$(run docker update --restart "$4" "$2" 2>&1) && said=$(run docker start "$2" 2>&1)
}

package_off() { # SERVICE: it starts neither now nor with the machine
  if [ -d /run/systemd/system ]; then
    run systemctl -q disable "$1.service" >/dev/null 2>&1
  elif [ -e /run/openrc/softlevel ]; then
    run rc-update --quiet --all delete "$1" >/dev/null 2>&1
  elif command -v update-rc.d >/dev/null 2>&1; then
    run update-rc.d "$1" disable >/dev/null 2>&1
  fi
  return 0
}

package_on() { # SERVICE: it starts with the machine
  if [ -d /run/systemd/system ]; then
    run systemctl -q enable "$1.service" >/dev/null 2>&1
  elif [ -e /run/openrc/softlevel ]; then
    run rc-update --quiet add "$1" default >/dev/null 2>&1
  elif command -v update-rc.d >/dev/null 2>&1; then
    run update-rc.d "$1" enable >/dev/null 2>&1
  fi
  return 0
}

return_adopted() { # KIND KEY NAME RESTART
  changed=1
  if ! by_hand_there "$1" "$2"; then
    say "note the $1 $3, which served here before regfleet, is gone: it cannot be started again"
    return 0
  fi
  save_note returned "$1$TAB$2$TAB$3" || return 1
  boundary return
  by_hand_back "$@" || say "note the $1 $3 does not start: $(printf '%s' "$said" | flat)"
  return 0
}

# ---- on the way back ----

aside_again() { # KIND KEY NAME
  if by_hand_there "$1" "$2"; then by_hand_aside "$1" "$2" "$3"; fi
  return 0
}

back_adopted() { # KIND KEY "NAME RESTART"
  by_hand_there "$1" "$2" || { broken="the $1 ${3% *} is gone"; return 0; }
  by_hand_back "$1" "$2" "${3% *}" "${3##* }" || broken="the $1 ${3% *} does not start: $(printf '%s' "$said" | flat)"
  return 0
}

# ---- its images ----

# Layers and manifests are named by their content and never written again, so both registries may
# have the same files (distribution, registry/storage/paths.go). Links and tags are written in place
# (v2.8, registry/storage/driver/filesystem): those are copied. What another user owns is copied too,
# for our registry has no right to files of others.
adopt_images() { # KEY SOURCE INSIDE STORAGE: SOURCE is empty where they are inside the container
  boundary images
  target=$(real_path "$4")
  if [ -e "$target/docker" ]; then
    fail "$4 holds images already" 'name an empty directory under `storage`'
    return 1
  fi
  save_note copied "$target" || return 1
  rm -rf "$target/.regfleet-images"
  if ! said=$(copy_images "$1" "$2" "$3" "$target/.regfleet-images" 2>&1); then
    fail "the images in ${2:-$3} cannot be copied to $4: $(printf '%s' "$said" | tail -n 2 | flat)" \
      "is there room? see \`df -h $4\` on the host; or declare the directory where they are"
    return 1
  fi
  boundary images-copied
  if ! mv "$target/.regfleet-images" "$target/docker" || ! flush "$target"; then
    fail "the images cannot be put in place in $4"
    return 1
  fi
  : >"$saved/copied-at"
}

copy_images() { # KEY SOURCE INSIDE TARGET
  mkdir "$4" || return 1
  if [ -z "$2" ]; then
    run docker cp "$1:$3/docker/." "$4/" || return 1
  elif [ ! -d "$2/docker/registry/v2" ]; then # a volume's file system went with its container
    echo "$2 holds no images now that the registry is stopped"
    return 1
  elif [ "$(stat -c %u "$2/docker/registry/v2")" = 0 ]; then
    mkdir -p "$4/registry/v2" || return 1
    for each in "$2/docker/registry/v2"/*; do
      if [ "${each##*/}" = blobs ]; then
        run cp -al "$each" "$4/registry/v2/" && continue
        rm -rf "$4/registry/v2/blobs" # another file system, or one without links
      fi
      run cp -a "$each" "$4/registry/v2/" || return 1
    done
  else
    run cp -a "$2/docker/." "$4/" || return 1
  fi
  if [ -n "$2" ] && [ -f "$2/scheduler-state.json" ]; then # of a pull-through cache
    run cp -a "$2/scheduler-state.json" "${4%/*}/" || return 1
  fi
  run find "$4" ! -user 0 -exec chown 0:0 {} +
}

# What came of them is the other's again. What was pushed since stays.
forget_copied() { # STORAGE
  rm -rf "$1/.regfleet-images"
  [ -d "$1/docker" ] || return 0
  if [ -e "$from/copied-at" ] &&
    [ -n "$(find "$1/docker" -type f -newer "$from/copied-at" 2>/dev/null | head -n 1)" ]; then
    say "note $1 stays: images were pushed there since; the registry that is back does not have them"
    return 0
  fi
  rm -rf "$1/docker"
  rm -f "$1/scheduler-state.json"
  return 0
}
