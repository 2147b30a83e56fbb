# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# The directory TO/FLEET/REGISTRY that keeps the backups of a registry:
#   backups/NUMBER/  one backup: `tags` (MTIME DIGEST PATH of each link of a tag), `links` (the same of
#                    manifests and layers), `blobs` (SIZE DIGEST of all that they lead to), `about`
#   blobs/           what they need, each once, by the paths that a registry gives them
#   state/NUMBER     the state directory, encrypted
#   damaged          digests of blobs that were read and were not whole (backup_verify.sh)
# Nothing else in it is ever changed, and a backup gets its name last: whoever copies the directory in the
# order of names (restic, borg, rsync) has backups that are whole. Nothing but regular files is read,
# and no line that is not as regfleet writes it.

BACKUP_LINE='^[0-9]{1,12} sha256:[0-9a-f]{64} repositories(/[a-z0-9][a-z0-9._-]*)+/'
BACKUP_TAGS="$BACKUP_LINE"'_manifests/tags/[A-Za-z0-9_][A-Za-z0-9_.-]*/(current|index/sha256/[0-9a-f]{64})/link$'
BACKUP_LINKS="$BACKUP_LINE"'_(manifests/revisions|layers)/sha256/[0-9a-f]{64}/link$'
BACKUP_BLOBS='^[0-9]{1,18} sha256:[0-9a-f]{64}$'

backup_at() { # TO MOUNTED FLEET REGISTRY: yes where a file system has to be mounted
  to=$1 mounted=$2 place=$1/$3/$4
}

# Fails where the place cannot be used; then `said` and `advice` tell why.
backup_usable() {
  advice='mount it there, and have the host mount it when it boots (fstab, or a .mount unit)'
  if [ "$mounted" = yes ] && { [ ! -d "$to" ] || [ "$(stat -c %d "$to")" = "$(stat -c %d /)" ]; }; then
    said="nothing is mounted at $to"
    return 1
  fi
  for each in "$to" "${place%/*}" "$place" "$place/backups" "$place/blobs" "$place/blobs/sha256" "$place/state"; do
    backup_trusted "$each" || return 1
  done
}

# Root writes there, and believes what it reads.
backup_trusted() { # DIRECTORY that is not there, or is root's alone to write to
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then return 0; fi
  if [ ! -d "$1" ] || { [ -L "$1" ] && [ "$1" != "$to" ]; }; then
    said="$1 is not a directory"
    advice='regfleet did not make that: see what it is, and remove it'
    return 1
  fi
  found=$(stat -L -c '%u:%a' "$1")
  case $found in
    0:*[2367] | 0:*[2367]?) said="others may write to $1 (mode ${found#0:})" advice="chmod go-w $1" ;;
    0:*) return 0 ;;
    *) said="$1 belongs to user ${found%%:*}" advice="it has to be root's; a server of NFS exports it with no_root_squash" ;;
  esac
  return 1
}

backup_alone() { # another host may have the same place
  command -v flock >/dev/null 2>&1 || return 0
  if ! backup_lockable; then
    fail "$place/lock cannot be written" 'is the place mounted to be read only? see `findmnt -T` of it on the host'
    return 1
  fi
  exec 8>>"$place/lock"
  if ! flock -n 8; then
    fail "another host is at work in $place now" 'let each registry have a place of its own'
    return 1
  fi
}

# A shell ends when its own `exec` cannot open a file, and waits for ever where that is a FIFO.
backup_lockable() {
  if [ -e "$place/lock" ] && [ ! -f "$place/lock" ]; then return 1; fi
  (: >>"$place/lock") 2>/dev/null
}

backup_numbers() { # prints the numbers of the backups, the oldest first
  for each in "$place"/backups/*; do
    number=${each##*/}
    case $number in *[!0-9]* | '' | ???????????*) continue ;; esac
    if [ -d "$each" ] && [ ! -L "$each" ]; then echo "$number"; fi
  done | sort -n
}

# A backup's own files are as they were written; else `said` tells what is not.
backup_whole() { # NUMBER: sets `about`
  of=$place/backups/$1
  for each in about tags links blobs; do
    if [ ! -f "$of/$each" ] || [ -L "$of/$each" ]; then
      said="backup $1 is damaged: it has no file $each"
      return 1
    fi
  done
  about=$(head -c 4096 "$of/about")
  for each in tags links blobs; do
    if [ "$(backup_tells "digest-$each")" != "$(sha256sum <"$of/$each" | cut -d' ' -f1)" ]; then
      said="backup $1 is damaged: its file $each is not as it was written"
      return 1
    fi
  done
  # What is not ours goes nowhere, whoever wrote it.
  if grep -q -v -E "$BACKUP_TAGS" "$of/tags" || grep -q -v -E "$BACKUP_LINKS" "$of/links" ||
    grep -q -v -E "$BACKUP_BLOBS" "$of/blobs"; then
    said="backup $1 has lines that regfleet does not write"
    return 1
  fi
}

backup_tells() { # KEY: what `about` says
  printf '%s\n' "$about" | sed -n "s/^$1 //p" | head -n 1
}

# ---- blobs ----

backup_paths() { # digests, on standard input
  sed 's|^sha256:\(..\)\(.*\)$|blobs/sha256/\1/\1\2/data|'
}

# Blobs are read when they are copied, and by backup_verify.sh: what a backup finds there by its name and
# its size is not read again, which of terabytes would take hours each time.
backup_sizes() { # in the directory of blobs: SIZE DIGEST of each that is not known to be damaged
  : >"$lists/known-damaged"
  if [ -f damaged ] && [ ! -L damaged ]; then grep -x 'sha256:[0-9a-f]\{64\}' damaged >"$lists/known-damaged"; fi
  backup_stored | awk -v damaged="$lists/known-damaged" 'FILENAME == damaged { bad[$1]; next } !($2 in bad)' \
    "$lists/known-damaged" -
}

backup_stored() { # the same of all
  if [ -d blobs ]; then
    find blobs -type f -name data -exec stat -c '%s %n' {} + 2>/dev/null |
      sed -n 's|^\([0-9]*\) blobs/sha256/../\([0-9a-f]\{64\}\)/data$|\1 sha256:\2|p'
  fi
}

# Copies blobs, some at a time: each is what its name says, and on the disk, before it gets its place.
# A killed job's next goes on where that was. Those that are not what their names say are left out.
backup_copy() { # DIRECTORY OTHER STAGE OWNER: of `lists/copy`, lines of SIZE DIGEST
  for each in spoiled copied; do : >"$lists/$each"; done
  audit_batches "$lists/copy" || return 1
  while audit_batch; do
    boundary backup-batch
    backup_paths <"$lists/digests" >"$lists/batch"
    rm -rf "$3"
    if ! mkdir -p "$3" || ! backup_batch "$1" "$2" "$3" "$4"; then
      rm -rf "$3"
      return 1
    fi
    audit_batch_done copying
  done
  rm -rf "$3"
}

backup_batch() { # DIRECTORY OTHER STAGE OWNER
  # Regular files alone: opening a FIFO would wait for ever.
  (cd "$1" && while read -r path; do if [ -f "$path" ] && [ ! -L "$path" ]; then echo "$path"; fi; done) \
    <"$lists/batch" >"$lists/there"
  [ -s "$lists/there" ] || return 0
  if cp --version 2>/dev/null | grep -q GNU; then
    (cd "$1" && xargs cp --parents --preserve=timestamps --reflink=auto -t "$3" <"$lists/there") 2>"$lists/complaints"
  else
    (cd "$1" && while read -r path; do mkdir -p "$3/${path%/*}" && cp -p "$path" "$3/$path"; done <"$lists/there") 2>"$lists/complaints"
  fi
  if grep -v -i 'no such file' "$lists/complaints" >"$lists/serious"; then
    said=$(head -n 2 "$lists/serious" | flat)
    return 1
  fi
  (cd "$3" && xargs sha256sum <"$lists/there") 2>/dev/null |
    sed -n 's|^\([0-9a-f]\{64\}\)  \(blobs/sha256/../\1/data\)$|\2|p' >"$lists/whole"
  collection_without "$lists/there" "$lists/whole" >"$lists/not-whole"
  sed -n 's|^.*/\([0-9a-f]\{64\}\)/data$|sha256:\1|p' "$lists/not-whole" >>"$lists/spoiled"
  (cd "$3" && xargs rm -f <"$lists/not-whole") || return 1
  [ -s "$lists/whole" ] || return 0
  sed -n 's|^.*/\([0-9a-f]\{64\}\)/data$|sha256:\1|p' "$lists/whole" >>"$lists/copied"
  [ -z "$4" ] || chown -R "$4" "$3" || return 1
  backup_flush "$3"
  boundary backup-blobs
  sed 's|/[0-9a-f]*/data$||' "$lists/whole" | sort -u >"$lists/folders"
  (cd "$2" && xargs mkdir -p <"$lists/folders") 2>"$lists/complaints" || { said=$(flat <"$lists/complaints"); return 1; }
  [ -z "$4" ] || (cd "$2" && chown "$4" blobs blobs/sha256 && xargs chown "$4" <"$lists/folders")
  # What is there is damaged, or has another size.
  (cd "$2" && sed 's|/data$||' "$lists/whole" | xargs rm -rf) || return 1
  # By second names, all at once; one by one where the file system has none.
  if (cd "$3" && cp -al blobs "$2/") 2>/dev/null; then return 0; fi
  while read -r path; do
    if [ -e "$2/$path" ]; then continue; fi
    if ! mkdir -p "$2/${path%/*}" || ! mv "$3/$path" "$2/$path"; then
      said="$2/${path%/*} cannot be written"
      return 1
    fi
  done <"$lists/whole"
}

# All of a file system that is written to; a sync that cannot do that flushes everything.
backup_flush() { # DIRECTORY
  run sync -f "$1" 2>/dev/null || run sync
}

# ---- tags ----

backup_names() { # FILE of tags: REPOSITORY DIGEST TAG of each
  sed -n 's|^[0-9]* \(sha256:[0-9a-f]*\) repositories/\(.*\)/_manifests/tags/\([^/]*\)/current/link$|\2 \1 \3|p' "$1"
}

# Which tags cannot be pulled from blobs that are there, and why, as an audit finds them.
backup_proof() { # DIRECTORY TAGS LINKS HAVE SPOILED: of blobs; writes `lists/suspect`
  backup_names "$2" >"$lists/of-tags"
  sed -n -e 's|^[0-9]* \(sha256:[0-9a-f]*\) repositories/\(.*\)/_layers/.*$|\2 \1|p' \
    -e 's|^[0-9]* \(sha256:[0-9a-f]*\) repositories/\(.*\)/_manifests/revisions/.*$|\2 \1|p' "$3" >"$lists/of-links"
  sed -n 's|^[0-9]* \(sha256:[0-9a-f]*\) repositories/.*/_manifests/revisions/.*$|\1|p' "$3" | sort -u |
    collection_both - "$4" | backup_paths >"$lists/paths"
  (cd "$1" && audit_edges) >"$lists/edges"
  (cd "$lists" && awk -v edges=edges -v have="$4" -v damaged="$5" -v links=of-links \
    "$audit_program" edges "$4" "$5" of-links of-tags) >"$lists/suspect"
}

# Without these tags: all of their lines.
backup_without() { # TAGS: REPOSITORY TAG of each on standard input; prints what is left
  awk -v all="$1" 'FILENAME != all { gone["repositories/" $1 "/_manifests/tags/" $2]; next }
    { tag = $3; sub("/(current|index/sha256/[0-9a-f]*)/link$", "", tag); if (!(tag in gone)) print }' - "$1"
}
