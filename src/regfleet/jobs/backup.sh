# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Copies all that a registry keeps, while people push to it. What points comes before what is pointed
# to: tags, manifests, layers, blobs; a registry writes them the other way round, so whatever a copied
# link leads to was whole before. Collections are kept out by the host's lock. Uses functions of
# collection.sh, audit.sh and backup_place.sh.

BACKUP_MOST=200 # lines of each kind that are told; all are counted

backup_of() { # SERVICE KIND STORAGE TO MOUNTED FLEET REGISTRY
  service=$1 storage=$3 registry=$7
  root=$storage/docker/registry/v2
  backup_at "$4" "$5" "$6" "$7"
  if ! "$2_ours" "$1"; then
    fail "$1 does not run here, or is not of this fleet" 'run `regfleet apply` first'
    return 1
  fi
  roomy_directory || { fail "$said"; return 1; }
  lists=$roomy/lists
  rm -rf "$lists"
  mkdir "$lists" || { fail "$lists cannot be written"; return 1; }
}

backup_ready() {
  backup_usable || fail "$registry cannot be backed up: $said" "$advice"
}

# ---- looking ----

backup_lists() { # of what there is: `tags`, `links`, `source`
  taken=$(date +%s)
  for each in tags links source needed unread; do : >"$lists/$each"; done
  if ! cd "$root" 2>/dev/null; then return 0; fi # nothing was pushed yet
  boundary backup-list
  progress listing
  : >"$lists/complaints"
  collection_links -path '*/_manifests/tags/*' -print >"$lists/tag-paths"
  backup_current
  sed -n 's|^\(.*/index/sha256/\([0-9a-f]\{64\}\)/link\)$|\1 sha256:\2|p' "$lists/tag-paths" >>"$lists/current"
  backup_times "$lists/current" | grep -E "$BACKUP_TAGS" >"$lists/tags"
  {
    collection_links ! -size 0 -path '*/_manifests/revisions/*' -print
    find repositories -type d \( -name _manifests -o -name _uploads \) -prune -o -type f -name link ! -size 0 -print 2>/dev/null
  } | sed -n 's|^\(repositories/.*/sha256/\([0-9a-f]\{64\}\)/link\)$|\1 sha256:\2|p' >"$lists/paths"
  backup_times "$lists/paths" | grep -E "$BACKUP_LINKS" >"$lists/links"
  cut -d' ' -f2 "$lists/tags" "$lists/links" | sort -u >"$lists/needed"
  backup_paths <"$lists/needed" | xargs stat -c '%s %n' 2>/dev/null |
    sed -n 's|^\([0-9]*\) blobs/sha256/../\([0-9a-f]\{64\}\)/data$|\1 sha256:\2|p' >"$lists/source"
  cd / || return 1
}

# What each tag leads to. One that is moved just now is empty for a moment, and read again.
backup_current() {
  grep '/current/link$' "$lists/tag-paths" >"$lists/unread"
  : >"$lists/current"
  tries=8
  while [ -s "$lists/unread" ] && [ "$tries" -gt 0 ]; do
    [ "$tries" -eq 8 ] || nap
    tries=$((tries - 1))
    xargs grep -H '' /dev/null <"$lists/unread" 2>/dev/null |
      sed -n 's|^\(repositories/.*/link\):\(sha256:[0-9a-f]\{64\}\)$|\1 \2|p' >"$lists/read"
    cat "$lists/read" >>"$lists/current"
    cut -d' ' -f1 "$lists/read" >"$lists/left"
    collection_without "$lists/unread" "$lists/left" | while read -r path; do [ ! -f "$path" ] || echo "$path"; done >"$lists/still"
    mv -f "$lists/still" "$lists/unread"
  done
}

backup_times() { # FILE of PATH DIGEST: MTIME DIGEST PATH
  cut -d' ' -f1 "$1" | xargs stat -c '%Y %n' 2>/dev/null |
    awk -v given="$1" 'FILENAME == given { digest[$1] = $2; next } $2 in digest { print $1, digest[$2], $2 }' "$1" -
}

# A storage that is not mounted is no reason to let the last backups of what was in it go.
backup_not_empty() {
  if [ -s "$lists/tags" ]; then return 0; fi
  newest=$(backup_numbers | tail -n 1)
  if [ -z "$newest" ] || [ ! -s "$place/backups/$newest/tags" ]; then return 0; fi
  fail "$storage has no tags, and backup $newest has $(backup_names "$place/backups/$newest/tags" | grep -c .)" \
    "is the storage mounted? nothing was changed; where it is meant to be empty, move $place away"
}

backup_to_copy() { # `copy`: what the place does not have, or has in another size
  : >"$lists/pool"
  [ ! -d "$place" ] || (cd "$place" && backup_sizes) >"$lists/pool"
  collection_without "$lists/source" "$lists/pool" >"$lists/copy"
}

backup_foresee() {
  backup_ready && backup_lists && backup_not_empty && backup_to_copy && backup_says 0
}

backup_says() { # NUMBER
  result backed-up "$service" "$1" "$taken" "$(backup_names "$lists/tags" | grep -c .)" "$(collection_counts "$lists/needed")" \
    "$(backup_sum "$lists/source")" "$(collection_counts "$lists/copy")" "$(backup_sum "$lists/copy")"
}

backup_sum() { # FILE of SIZE DIGEST
  awk '{ sum += $1 } END { printf "%.0f\n", sum }' "$1"
}

# ---- copying ----

backup_begin() {
  boundary backup-begin
  umask 077
  changed=1
  if ! mkdir -p "$place/backups" "$place/blobs/sha256" "$place/state" 2>"$lists/complaints"; then
    fail "$place cannot be made: $(flat <"$lists/complaints")" 'see `mount` and `df -h` on the host'
    return 1
  fi
  backup_ready || return 1
  backup_alone || return 1
  undo_with backup_failed
  rm -rf "$place/.copying" "$place/.new" "$place/state/.new" "$place"/.old-*
  if [ -d "$storage" ] && [ "$(stat -c %d "$storage")" = "$(stat -c %d "$place")" ]; then
    say "note the backups of $registry are on the same file system as its images: they are lost together"
  fi
}

backup_run() { # KEEP
  keep_record "backup.$service"
  backup_ready && backup_begin && backup_lists && backup_not_empty && backup_to_copy || return 1
  if ! backup_copy "$root" "$place" "$place/.copying" ''; then
    fail "$place cannot be written: $said ($(df -Pk "$place" | tail -n 1 | flat))" \
      'make room there; the next backup goes on where this one was'
    return 1
  fi
  backup_mended && backup_complete && backup_name && backup_prune "$1" && backup_kept
}

backup_mended() { # what was damaged and is copied anew is not damaged any more
  if [ ! -f "$place/damaged" ] || [ ! -s "$place/damaged" ]; then return 0; fi
  boundary backup-mended
  if ! collection_without "$place/damaged" "$lists/copied" >"$place/.damaged" || ! mv -f "$place/.damaged" "$place/damaged"; then
    fail "$place/damaged cannot be written"
    return 1
  fi
  [ -s "$place/damaged" ] || { rm -f "$place/damaged"; return 0; }
  say "note $(collection_counts "$place/damaged") blobs of earlier backups of $registry are damaged, and the registry does not have them"
}

# What is not whole does not count as there. Tags that were deleted or pushed anew meanwhile are of no
# concern; others that cannot be pulled are told, and left out.
backup_complete() {
  boundary backup-prove
  progress checking
  (cd "$place" && backup_sizes) >"$lists/pool"
  # One that is damaged in the registry may have been whole in an earlier backup.
  awk -v source="$lists/source" -v needed="$lists/needed" -v spoiled="$lists/spoiled" '
    FILENAME == needed { needs[$1]; next } FILENAME == spoiled { bad[$1]; next }
    FILENAME == source { if (!($2 in bad)) size[$2] = $1; next }
    $2 in needs && (!($2 in size) || size[$2] == $1)' \
    "$lists/needed" "$lists/spoiled" "$lists/source" "$lists/pool" >"$lists/blobs"
  cut -d' ' -f2 "$lists/blobs" >"$lists/have"
  collection_without "$lists/spoiled" "$lists/have" >"$lists/damaged"
  cut -d' ' -f2 "$lists/blobs" | cat - "$lists/damaged" >"$lists/have"
  backup_proof "$place" "$lists/tags" "$lists/links" "$lists/have" "$lists/damaged" || { fail 'the tags cannot be followed'; return 1; }
  : >"$lists/broken"
  if [ -s "$lists/suspect" ]; then
    (cd "$root" && cut -d' ' -f1,2 "$lists/suspect" | sed 's|^\(.*\) \(.*\)$|repositories/\1/_manifests/tags/\2/current/link|' |
      xargs grep -H '' /dev/null) 2>/dev/null |
      sed -n 's|^repositories/\(.*\)/_manifests/tags/\([^/]*\)/current/link:\(sha256:[0-9a-f]\{64\}\)$|\1 \3 \2|p' >"$lists/tags-now"
    awk 'FILENAME == ARGV[1] { was[$1, $3] = $2; next }
      FILENAME == ARGV[2] { if (was[$1, $3] == $2) same[$1, $3]; next }
      ($1, $2) in same' "$lists/of-tags" "$lists/tags-now" "$lists/suspect" >"$lists/broken"
    cut -d' ' -f1,2 "$lists/suspect" | backup_without "$lists/tags" >"$lists/left"
    mv -f "$lists/left" "$lists/tags"
  fi
  # Links to what is not there would be empty promises.
  for each in tags links; do
    awk -v have="$lists/have" 'FILENAME == have { there[$1]; next } $2 in there' "$lists/have" "$lists/$each" >"$lists/left"
    backup_undamaged "$lists/left" >"$lists/$each"
  done
  sed -n 's|^repositories/\(.*\)/_manifests/tags/\([^/]*\)/current/link$|\1 \2 is empty: a crash has left it so|p' \
    "$lists/unread" >>"$lists/broken"
  head -n "$BACKUP_MOST" "$lists/broken" >"$lists/told"
  while read -r repository tag why; do result left-out "$service" "$repository" "$tag" "$why"; done <"$lists/told"
}

backup_undamaged() { # FILE: its lines without those of damaged blobs
  awk -v damaged="$lists/damaged" 'FILENAME == damaged { bad[$1]; next } !($2 in bad)' "$lists/damaged" "$1"
}

backup_name() { # all is proven: it gets its name
  boundary backup-index
  newest=$(backup_numbers | tail -n 1)
  number=$((${newest:-0} + 1))
  new=$place/.new
  if ! mkdir "$new" || ! cp "$lists/tags" "$lists/links" "$lists/blobs" "$new/" || ! backup_about >"$new/about"; then
    fail "$new cannot be written ($(df -Pk "$place" | tail -n 1 | flat))" 'make room there; the next backup goes on where this one was'
    return 1
  fi
  backup_flush "$place"
  boundary backup-named
  mv "$new" "$place/backups/$number" || { fail "$place/backups/$number cannot be made"; return 1; }
  backup_flush "$place"
  cp "$lists/blobs" "$lists/source"
  cut -d' ' -f2 "$lists/blobs" >"$lists/needed"
  backup_says "$number"
  result whole "$service" "$(collection_counts "$lists/broken")"
}

backup_about() {
  echo 'regfleet-backup 1'
  printf 'number %s\nfleet %s\nregistry %s\nhost %s\ntaken %s\n' "$number" "$whose" "$registry" "$(uname -n)" "$taken"
  printf 'tags %s\nblobs %s\nbytes %s\nbroken %s\n' "$(backup_names "$lists/tags" | grep -c .)" \
    "$(collection_counts "$lists/blobs")" "$(backup_sum "$lists/blobs")" "$(collection_counts "$lists/broken")"
  for each in tags links blobs; do printf 'digest-%s %s\n' "$each" "$(sha256sum <"$new/$each" | cut -d' ' -f1)"; done
}

backup_prune() { # KEEP: older backups go, then blobs that none needs
  backup_numbers | sort -rn | tail -n "+$(($1 + 1))" >"$lists/old"
  while read -r number; do
    boundary backup-drop
    # Its name goes first: what has one is whole.
    mv "$place/backups/$number" "$place/.old-$number" || { fail "backup $number cannot be removed"; return 1; }
    rm -rf "$place/.old-$number"
  done <"$lists/old"
  backup_numbers >"$lists/kept"
  : >"$lists/of-all"
  while read -r number; do
    if ! backup_whole "$number"; then
      say "note $said; nothing that it may need is removed"
      return 0
    fi
    cut -d' ' -f2 "$place/backups/$number/blobs" >>"$lists/of-all"
  done <"$lists/kept"
  (cd "$place" && backup_stored) | cut -d' ' -f2 >"$lists/pool-digests"
  collection_without "$lists/pool-digests" "$lists/of-all" >"$lists/unused"
  [ -s "$lists/unused" ] || return 0
  boundary backup-unused
  (cd "$place" && backup_paths <"$lists/unused" | sed 's|/data$||' | xargs rm -rf)
}

backup_state() { # KEEP BASE64: the state directory, encrypted elsewhere
  boundary backup-state
  number=$(backup_states | tail -n 1)
  number=$((${number:-0} + 1))
  if ! printf '%s' "$2" | base64 -d >"$place/state/.new" 2>/dev/null || ! chmod 0600 "$place/state/.new"; then
    fail "$place/state cannot be written ($(df -Pk "$place" | tail -n 1 | flat))" 'make room there'
    return 1
  fi
  backup_flush "$place/state"
  mv "$place/state/.new" "$place/state/$number" && backup_flush "$place/state" || return 1
  backup_states | sort -rn | tail -n "+$(($1 + 1))" | while read -r old; do rm -f "$place/state/$old"; done
  result state "$service" "$number"
}

backup_states() { # prints the numbers of the kept state directories, the oldest first
  for each in "$place"/state/*; do
    number=${each##*/}
    case $number in *[!0-9]* | '' | ???????????*) continue ;; esac
    if [ -f "$each" ] && [ ! -L "$each" ]; then echo "$number"; fi
  done | sort -n
}

backup_kept() { # how many there are now, and of when the oldest is
  about=$(head -c 4096 "$place/backups/$(head -n 1 "$lists/kept")/about")
  oldest=$(backup_tells taken)
  result kept "$service" "$(collection_counts "$lists/kept")" "${oldest:-0}"
}

backup_failed() {
  rm -rf "$place/.copying" "$place/.new" "$place/state/.new"
}
