#!/bin/sh
# Ends what a collection of a registry's garbage began (written by regfleet, which removes it again):
# what was put aside comes back, unless all was verified, and the registry takes pushes again.
#   sh end DIRECTORY            at once
#   sh end DIRECTORY PID START  as soon as the process is gone: whatever ended it, kill -9 included
# The directory has a file for each of: `config` and `storage` (paths), `marker` (path of a file that
# a restart of the machine removes), `restart` (a program), `owner` (the process), and `verified` once
# all was. Another collection may have made the directory anew: whoever waits for the end of a process
# acts for that one alone, and under the host's lock, as every run does.
umask 077
LC_ALL=C
export LC_ALL
place=$1

lives() { # PID START: proc(5), stat: no other process has both
  read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
  # shellcheck disable=SC2086  # fields are words; the second one, in brackets, may hold blanks
  set -- "$2" ${stat##*) }
  [ "${21}" = "$1" ]
}

mine() { [ "$(cat "$place/owner" 2>/dev/null)" = "$1 $2" ]; } # PID START

# As take_lock of the touch (program/1-protocol.sh).
take_lock() {
  if command -v flock >/dev/null 2>&1; then
    flock -n 9
    return
  fi
  ln -s "$$" "$base/lock.pid" 2>/dev/null && return 0
  [ ! -d "/proc/$(readlink "$base/lock.pid")" ] || return 1
  rm -f "$base/lock.pid"
  ln -s "$$" "$base/lock.pid" 2>/dev/null
}

base=${place%/*/*}
if [ $# -gt 1 ]; then
  while lives "$2" "$3"; do
    mine "$2" "$3" || exit 0
    sleep 1
  done
  exec 9>>"$base/lock"
  until take_lock; do
    mine "$2" "$3" || exit 0
    sleep 1
  done
  mine "$2" "$3" || exit 0
  echo "the end of an interrupted collection since $(date -u +%Y-%m-%dT%H:%M:%SZ), process $$" >"$base/lock"
fi
if [ ! -e "$place/config" ]; then # killed before there was anything to end
  rm -rf "$place"
  exit 0
fi
IFS= read -r config <"$place/config"
IFS= read -r storage <"$place/storage"
IFS= read -r marker <"$place/marker"
trash=$storage/docker/registry/.regfleet-collection

# Where another host collects, it has to have ended: it knows nothing of what is pushed here from now on.
# It is taken for lost after two minutes of silence (collection_hosts.sh).
if [ -e "$place/meets" ]; then
  { read -r meet && read -r collector && read -r token && read -r me; } <"$place/meets"
  before='' quiet=0
  while [ "$quiet" -lt 480 ]; do
    its='' word='' number=''
    ls "$meet" >/dev/null 2>&1
    { read -r its word number <"$meet/$collector"; } 2>/dev/null
    if [ -z "$number" ] && [ -e "$meet/$collector" ]; then # it is just being written
      its=$token word='' number=$before
    fi
    if [ "$its" != "$token" ] || [ "$word" = over ] || [ "$word" = "free.$me" ]; then break; fi
    if [ -n "$word" ]; then printf '%s lost 0\n' "$token" >"$meet/$me"; fi
    quiet=$((quiet + 1))
    if [ "$number" != "$before" ]; then quiet=0; fi
    before=$number
    sleep 0.25 2>/dev/null || { sleep 1 && quiet=$((quiet + 3)); }
  done
fi

# What deletes must not go on while pushes are taken; in a container the restart ends it, too.
if { read -r pid start <"$place/program"; } 2>/dev/null && lives "$pid" "$start"; then kill -9 "$pid"; fi

if [ -d "$trash" ] && [ ! -e "$place/verified" ]; then
  cd "$trash" || exit 1
  find . -type f | while IFS= read -r file; do
    [ -e "$storage/docker/registry/v2/$file" ] && continue
    mkdir -p "$storage/docker/registry/v2/${file%/*}" && ln "$file" "$storage/docker/registry/v2/$file"
  done
  cd / || exit 1
fi

# A restart of the machine has ended the rest: the mount is gone, and so is the marker.
if [ -e "$marker" ]; then
  while grep -q -F " $config " /proc/self/mounts; do
    umount "$config" 2>/dev/null || umount -l "$config" || exit 1
  done
  sh "$place/restart" 9>&- || exit 1
fi
rm -f "$marker" "$marker.yml"
rm -rf "$trash" "$place"
rmdir "${place%/*}" 2>/dev/null
if [ $# -gt 1 ] && [ "$(readlink "$base/lock.pid" 2>/dev/null)" = $$ ]; then rm -f "$base/lock.pid"; fi
exit 0
