# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Reads all that a registry keeps and says which images cannot be pulled. It changes nothing. A registry
# itself does not know: HEAD of a blob answers 200 whatever its file holds (distribution 2.8). Uses
# functions of collection.sh.

AUDIT_MOST=200 # lines of each kind that are told; all are counted

# In this order: a registry writes blobs first and tags last, so what a tag needs was there before it.
audit_run() {
  lists=$roomy/lists
  cd "$root" 2>/dev/null || { # nothing was pushed yet
    result audited "$service" 0 0 0 0 0 0
    return 0
  }
  audit_lists && audit_tells
  audited=$?
  cd / || return 1
  return "$audited"
}

audit_lists() {
  boundary audit-list
  progress listing
  : >"$lists/complaints"
  collection_links -print >"$lists/all-links"
  collection_links -size 0 -print | grep -v '/_manifests/tags/[^/]*/index/' >"$lists/empty"
  grep '/_manifests/tags/[^/]*/current/link$' "$lists/all-links" >"$lists/tag-links"
  audit_tags >"$lists/tags"
  find repositories -type d -name _uploads -prune -o -type f -path '*/_layers/*' -name link ! -size 0 -print 2>/dev/null |
    cat - "$lists/all-links" | sed -n \
    -e 's|^repositories/\(.*\)/_layers/sha256/\([0-9a-f]\{64\}\)/link$|\1 sha256:\2|p' \
    -e 's|^repositories/\(.*\)/_manifests/revisions/sha256/\([0-9a-f]\{64\}\)/link$|\1 sha256:\2|p' >"$lists/links"
  sed -n 's|^repositories/.*/_manifests/revisions/sha256/\([0-9a-f]\{64\}\)/link$|\1|p' "$lists/all-links" | sort -u |
    sed 's|^\(..\)\(.*\)$|blobs/sha256/\1/\1\2/data|' >"$lists/paths"
  boundary audit-read
  find blobs -type f -name data -exec stat -c '%s %n' {} + 2>/dev/null |
    sed -n 's|^\([0-9]*\) blobs/sha256/../\([0-9a-f]\{64\}\)/data$|\1 sha256:\2|p' >"$lists/blobs"
  cut -d' ' -f2 "$lists/blobs" >"$lists/have"
  audit_reads "$lists/blobs"
  collection_without "$lists/have" "$lists/whole" >"$lists/damaged"
  audit_edges >"$lists/edges"
  (cd "$lists" && awk -v edges=edges -v have=have -v damaged=damaged -v links=links \
    "$audit_program" edges have damaged links tags) >"$lists/suspect" || { fail 'the tags cannot be followed'; return 1; }
}

# Long work is done in batches, of each of which it is told: of 400 blobs or of a gigabyte at most, or
# of one that is larger.
audit_batches() { # FILE of SIZE DIGEST
  audit_done='0 0'
  audit_number=0
  audit_all=$(awk -v place="$lists/batch-" '{ if (n == 0 || n >= 400 || size + $1 > 1e9) { if (batch) close(place batch); n = 0; size = 0; batch++ }
    n++; size += $1; all += $1; print >(place batch) }
    END { printf "%d %.0f\n", NR, all }' "$1")
}

audit_batch() { # makes `digests` of the next batch; fails when there is none
  audit_number=$((audit_number + 1))
  audit_next=$lists/batch-$audit_number
  [ -f "$audit_next" ] || return 1
  cut -d' ' -f2 "$audit_next" >"$lists/digests"
}

audit_batch_done() { # WORK
  audit_done=$(awk -v before="$audit_done" 'BEGIN { split(before, was, " ") } { sum += $1 }
    END { printf "%d %.0f\n", was[1] + NR, was[2] + sum }' "$audit_next")
  rm -f "$audit_next"
  progress "$1" "${audit_done% *}" "${audit_all% *}" "${audit_done#* }" "${audit_all#* }"
}

# Writes `whole`: digests of blobs that are what their names say. What cannot be read is not.
audit_reads() { # FILE of SIZE DIGEST
  : >"$lists/whole"
  audit_batches "$1" || return 1
  while audit_batch; do
    sed 's|^sha256:\(..\)\(.*\)$|blobs/sha256/\1/\1\2/data|' "$lists/digests" | xargs sha256sum 2>/dev/null |
      sed -n 's|^\([0-9a-f]\{64\}\)  blobs/sha256/../\1/data$|sha256:\1|p' >>"$lists/whole"
    audit_batch_done reading
  done
}

# What manifests are made of, those in `lists/paths`. What a signature belongs to is no part of it: the
# whole of `subject` is one match.
audit_edges() {
  xargs grep -oHE '"(digest|blobSum)"[[:space:]]*:[[:space:]]*"sha256:[0-9a-f]{64}|"subject"[[:space:]]*:[[:space:]]*\{[^}]*\}|"urls"' \
    /dev/null <"$lists/paths" 2>/dev/null | sed -n \
    -e 's|^blobs/sha256/../\([0-9a-f]*\)/data:"urls"$|sha256:\1 u|p' \
    -e 's|^blobs/sha256/../\([0-9a-f]*\)/data:".*"\(sha256:[0-9a-f]*\)$|sha256:\1 s \2|p'
}

audit_tags() { # REPOSITORY DIGEST TAG of each
  xargs grep -H '' /dev/null <"$lists/tag-links" 2>/dev/null | sed -n \
    's|^repositories/\(.*\)/_manifests/tags/\([^/]*\)/current/link:\(sha256:[0-9a-f]\{64\}\)$|\1 \3 \2|p'
}

audit_tells() {
  # One that was pushed anew or deleted meanwhile is not told of.
  audit_tags >"$lists/tags-now"
  awk 'FILENAME == ARGV[1] { was[$1, $3] = $2; next }
    FILENAME == ARGV[2] { if (was[$1, $3] == $2) same[$1, $2 = $3]; next }
    ($1, $2) in same' "$lists/tags" "$lists/tags-now" "$lists/suspect" >"$lists/broken"
  head -n "$AUDIT_MOST" "$lists/broken" >"$lists/told"
  while read -r repository tag why; do result broken "$service" "$repository" "$tag" "$why"; done <"$lists/told"
  head -n "$AUDIT_MOST" "$lists/damaged" >"$lists/told"
  while read -r digest; do result damaged "$service" "$digest"; done <"$lists/told"
  head -n "$AUDIT_MOST" "$lists/empty" >"$lists/told"
  while read -r link; do result empty "$service" "$link"; done <"$lists/told"
  bytes=$(awk '{ sum += $1 } END { printf "%.0f\n", sum }' "$lists/blobs")
  result audited "$service" "$(collection_counts "$lists/tags")" "$(collection_counts "$lists/have")" "${bytes:-0}" \
    "$(collection_counts "$lists/broken")" "$(collection_counts "$lists/damaged")" "$(collection_counts "$lists/empty")"
}
