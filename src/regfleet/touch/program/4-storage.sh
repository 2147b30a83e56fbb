# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Directories of images: where they may be, and what of them goes with --delete-data.

system=   # words: directories that no storage may be, or hold
wholly=   # words: nor lie in
reserved= # lines: real paths of the storage of others on this host
refusal= # why a path is refused

protect() { # SYSTEM WHOLLY STORAGE...: see fleet/storage.py; and what others keep their images in
  system=$1 wholly=$2
  shift 2
  for path; do reserved="$reserved$(real_path "$path")$NL"; done
}

# Where a path leads, be it there or not. Links in it are followed as root would follow them.
real_path() { # PATH
  rest='' at=${1%/}
  while [ -n "$at" ] && [ ! -e "$at" ] && [ ! -L "$at" ]; do
    rest=/${at##*/}$rest
    at=${at%/*}
  done
  at=$(readlink -f "${at:-/}" 2>/dev/null)
  [ "$at" != / ] || at=
  printf '%s\n' "$at$rest"
}

forbidden() { # REAL-PATH: sets `refusal` to whose it is, and fails where it is nobody's
  refusal=
  case $1 in
    /?*) ;;
    *) refusal='the path leads nowhere, or to /'; return 0 ;;
  esac
  for each in $system $wholly; do
    if [ -L "$each" ]; then each=$(readlink -f "$each"); fi
    case $each/ in "$1"/*) refusal="$each is the system's"; return 0 ;; esac
  done
  for each in $wholly; do
    if [ -L "$each" ]; then each=$(readlink -f "$each"); fi
    case $1/ in "$each"/*) refusal="$each is the system's, or regfleet's own"; return 0 ;; esac
  done
  others=$reserved # not `rest`: that is the variable of `each`, which calls us
  while [ -n "$others" ]; do
    each=${others%%"$NL"*} others=${others#*"$NL"}
    [ -n "$each" ] || continue
    case $1/ in "$each"/*) refusal="another registry keeps its images in $each"; return 0 ;; esac
    case $each/ in "$1"/*) refusal="another registry keeps its images in $each"; return 0 ;; esac
  done
  return 1
}

# Nothing is made, and no registry starts, in the place of a file system that is not there.
mounted() { # PATH
  if [ -d "$1" ] && [ "$(stat -c %d "$1")" != "$(stat -c %d /)" ]; then return 0; fi
  fail "the storage $1 cannot be used: nothing is mounted there" \
    'mount it there, and have the host mount it when it boots (fstab, or a .mount unit)'
  return 1
}

storage() { # PATH: a registry is to keep its images there
  real=$(real_path "$1")
  if forbidden "$real"; then
    if [ "$real" = "${1%/}" ]; then what="the storage $1"; else what="the storage $1 leads to ${real:-/}, and"; fi
    fail "$what cannot be used: $refusal" 'give the registry a directory of its own'
    return 1
  fi
  reserved="$reserved$real$NL"
}

# Only what a registry writes goes (distribution, registry/storage/paths.go, and the list of a
# pull-through cache), from a directory that was entered and not from a path that may be turned
# aside meanwhile. rm(1) follows no link.
forget_data() { # PATH MADE: yes where the directory itself is ours
  real=$(real_path "$1")
  [ -d "$real" ] || return 0
  if forbidden "$real"; then
    say "note the data in $1 stays: $refusal"
    return 0
  fi
  if [ ! -d "$real/docker/registry/v2" ] && [ "$2" != yes ]; then
    say "note the data in $1 stays: it holds no registry's images, and was there before regfleet"
    return 0
  fi
  if grep -q -F " $real/docker/" /proc/self/mounts 2>/dev/null; then
    say "note the data in $1 stays: a file system is mounted in it; unmount that, then delete it by hand"
    return 0
  fi
  one=
  if rm -f --one-file-system "$BASE/none" 2>/dev/null; then one=--one-file-system; fi
  (
    enter "$real" || exit 0
    rm -f ./scheduler-state.json
    enter "$real/docker" && rm -rf $one ./registry
  )
  rmdir "$real/docker" 2>/dev/null
  if [ "$2" = yes ]; then rmdir "$real" 2>/dev/null; fi
  if [ -d "$real" ] && [ -n "$(ls -A "$real")" ]; then
    say "note $1 still holds what is no registry's: that stays"
  fi
  return 0
}

enter() { # REAL-PATH: the working directory is that, and not where a link leads
  cd -P "$1" 2>/dev/null && [ "$(pwd -P)" = "$1" ]
}
