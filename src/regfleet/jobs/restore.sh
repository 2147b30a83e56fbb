# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Brings what a backup has into a registry's storage, while it runs: blobs, layers, manifests, tags, as
# a registry itself writes them, so nobody ever sees a tag that cannot be pulled. What the registry has
# besides stays. Uses functions of collection.sh, audit.sh and backup_place.sh.

RESTORE_MOST=200 # lines of each kind that are told; all are counted

restore_from() { # TO MOUNTED FLEET REGISTRY NUMBER: 0 for the newest; after collection_of
  backup_at "$1" "$2" "$3" "$4"
  lists=$roomy/lists
  backup_usable || { fail "there is no backup of $4 to restore: $said" "$advice"; return 1; }
  number=$5
  [ "$number" -ne 0 ] || number=$(backup_numbers | tail -n 1)
  if [ -z "$number" ] || [ ! -d "$place/backups/$number" ]; then
    fail "$place has no backup${number:+ $number}" "it has: $(backup_numbers | flat)"
    return 1
  fi
  backup_whole "$number" || { fail "$said" "choose another with --at: $(backup_numbers | flat)"; return 1; }
  restoring=$storage/docker/registry/.regfleet-restore
  owner=
  [ ! -d "$storage" ] || owner=$(stat -c '%u:%g' "$storage")
}

restore_lists() {
  boundary restore-list
  progress listing
  for each in tags links blobs; do cp "$place/backups/$number/$each" "$lists/$each" || return 1; done
  for each in here tags-here; do : >"$lists/$each"; done
  if cd "$root" 2>/dev/null; then
    : >"$lists/complaints"
    collection_links -path '*/_manifests/tags/*/current/link' -print >"$lists/paths"
    xargs grep -H '' /dev/null <"$lists/paths" 2>/dev/null |
      sed -n 's|^\(repositories/.*/link\):\(sha256:[0-9a-f]\{64\}\)$|\1 \2|p' >"$lists/current"
    xargs stat -c '%Y %n' <"$lists/paths" 2>/dev/null |
      awk -v given="$lists/current" 'FILENAME == given { digest[$1] = $2; next } $2 in digest { print $1, digest[$2], $2 }' \
        "$lists/current" - >"$lists/tags-here"
    # What is there is read: only what is its name says need not be copied.
    backup_sizes | awk -v blobs="$lists/blobs" 'FILENAME == blobs { size[$2] = $1; next }
      ($2 in size) && size[$2] == $1' "$lists/blobs" - >"$lists/source"
    audit_reads "$lists/source" || return 1
    mv -f "$lists/whole" "$lists/here"
    cd / || return 1
  fi
  awk -v here="$lists/here" 'FILENAME == here { there[$1]; next } !($2 in there)' "$lists/here" "$lists/blobs" >"$lists/copy"
  # Lines MTIME DIGEST PATH of both: other digests, and what is there is younger, or may be: a time in the
  # future, or of 1970, is one of a clock that was wrong.
  awk -v now="$(($(date +%s) + 3600))" 'FILENAME == ARGV[1] { time[$3] = $1; digest[$3] = $2; next }
    ($3 in digest) && digest[$3] != $2 && (time[$3] >= $1 || $1 > now || time[$3] < 31536000)' "$lists/tags-here" "$lists/tags" >"$lists/newer"
}

restore_newer() { # OVERWRITE: what was pushed after the backup is not lost unasked
  if [ ! -s "$lists/newer" ] || [ "$1" = yes ]; then return 0; fi
  fail "$(collection_counts "$lists/newer") tags were pushed anew after backup $number: $(backup_names "$lists/newer" | head -n 5 | awk '{ print $1 ":" $3 }' | flat)" \
    'nothing was changed; --overwrite takes the tags of the backup, --at another backup'
}

restore_says() { # WORD
  result "$1" "$service" "$number" "$(backup_tells taken)" "$(backup_names "$lists/tags" | grep -c .)" "$(collection_counts "$lists/copy")" \
    "$(awk '{ sum += $1 } END { printf "%.0f\n", sum }' "$lists/copy")" "$(collection_counts "$lists/newer")" "${asked:-0}"
}

restore_foresee() { # OVERWRITE
  restore_lists && restore_newer "$1" && restore_says restored
}

restore_run() { # OVERWRITE
  restore_lists && restore_newer "$1" || return 1
  boundary restore-begin
  umask 022
  changed=1
  undo_with restore_tidy
  if ! rm -rf "$restoring" || ! mkdir -p "$root/repositories" "$root/blobs/sha256"; then
    fail "$root cannot be written" 'see `mount` and `df -h` on the host'
    return 1
  fi
  [ -z "$owner" ] || chown "$owner" "$storage/docker" "$storage/docker/registry" "$root" "$root/repositories" "$root/blobs" "$root/blobs/sha256"
  if ! backup_copy "$place" "$root" "$restoring" "$owner"; then
    fail "$root cannot be written: $said ($(df -Pk "$root" | tail -n 1 | flat))" 'make room there; the next restore goes on where this one was'
    return 1
  fi
  restore_proof && restore_links && restore_asks && restore_says restored
}

restore_tidy() { rm -rf "$restoring"; }

# Tags that the backup cannot give whole are left out, and told.
restore_proof() {
  boundary restore-prove
  (cd "$root" && backup_sizes) | awk -v blobs="$lists/blobs" 'FILENAME == blobs { size[$2] = $1; next }
    ($2 in size) && size[$2] == $1 { print $2 }' "$lists/blobs" - >"$lists/have"
  backup_proof "$root" "$lists/tags" "$lists/links" "$lists/have" "$lists/spoiled" || { fail 'the tags cannot be followed'; return 1; }
  cut -d' ' -f1,2 "$lists/suspect" | backup_without "$lists/tags" >"$lists/left"
  mv -f "$lists/left" "$lists/tags"
  head -n "$RESTORE_MOST" "$lists/suspect" >"$lists/told"
  while read -r repository tag why; do result left-out "$service" "$repository" "$tag" "$why"; done <"$lists/told"
  awk -v have="$lists/have" 'FILENAME == have { there[$1]; next } $2 in there' "$lists/have" "$lists/links" >"$lists/left"
  mv -f "$lists/left" "$lists/links"
}

# Layers, manifests, tags: who points comes after what is pointed to.
restore_links() {
  grep '/_layers/' "$lists/links" >"$lists/layers"
  grep '/_manifests/revisions/' "$lists/links" >"$lists/revisions"
  for what in layers revisions tags; do
    boundary "restore-$what"
    restore_new <"$lists/$what" >"$lists/stage"
    [ -s "$lists/stage" ] || continue
    if ! rm -rf "$restoring" || ! mkdir "$restoring" || ! restore_staged "$what" 2>"$lists/complaints"; then
      fail "$root cannot be written: $(tail -n 2 "$lists/complaints" | flat)" 'see `df -h` on the host, and run it again'
      return 1
    fi
    # Before a tag is there, what it leads to is on the disk.
    [ "$what" = layers ] || backup_flush "$root"
  done
  restore_tidy
}

restore_new() { # lines of MTIME DIGEST PATH: those that the storage does not have like that
  awk -v here="$lists/tags-here" 'FILENAME == here { digest[$3] = $2; next } digest[$3] != $2' "$lists/tags-here" - |
    while read -r time digest path; do
      case $path in */current/link) ;; *) if [ -s "$root/$path" ]; then continue; fi ;; esac
      echo "$time $digest $path"
    done
}

restore_staged() { # WHAT
  cut -d' ' -f3 "$lists/stage" | sed 's|/link$||' | sort -u | (cd "$restoring" && xargs mkdir -p) || return 1
  cd "$restoring" || return 1
  while read -r time digest path; do printf %s "$digest" >"$path" || return 1; done <"$lists/stage"
  # Retention and collections go by these times; of layers nobody asks.
  if [ "$1" != layers ]; then
    awk '{ if (++n[$1] % 200 == 0) { print $1 line[$1]; line[$1] = "" } line[$1] = line[$1] " " $3 }
      END { for (time in line) print time line[time] }' "$lists/stage" |
      while read -r time paths; do
        # shellcheck disable=SC2086  # paths are words
        touch -d "@$time" $paths || exit 1
      done || return 1
  fi
  [ -z "$owner" ] || chown -R "$owner" . || return 1
  # A file gets its name when it is whole. What is there gives way: it is empty, or another tag's.
  if ! cp -al . "$root/" 2>/dev/null; then
    while read -r time digest path; do
      now=
      { read -r now <"$root/$path"; } 2>/dev/null
      [ "$now" = "$digest" ] || { mkdir -p "$root/${path%/*}" && mv -f "$path" "$root/$path"; } || return 1
    done <"$lists/stage"
    [ -z "$owner" ] || { cut -d' ' -f3 "$lists/stage" | sed 's|/link$||' | (cd "$root" && xargs chown "$owner"); }
  fi
  cd / || return 1
}

# The registry itself answers for the images, too: for some of many.
restore_asks() {
  boundary restore-ask
  asked=0
  backup_names "$lists/tags" >"$lists/of-tags"
  while read -r repository digest tag; do
    [ -n "$tag" ] || continue
    collection_asks HEAD "/v2/$repository/manifests/$tag"
    case $code in
      200) asked=$((asked + 1)) ;;
      401 | 403) break ;;
      *) fail "the registry answers ${code:-nothing} for $repository:$tag, which was restored" 'see the log of the registry'; return 1 ;;
    esac
  done <<EOF
$(awk 'NR % step == 1 || step == 1' step="$((1 + $(collection_counts "$lists/of-tags") / 100))" "$lists/of-tags")
EOF
}
