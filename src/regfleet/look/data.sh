# Sizes of registry storages, for `destroy --delete-data`.
# shellcheck shell=sh disable=SC2154  # functions and variables of look.sh
count_seconds=30 # for all counts on a host; counts that take longer are "at least"
count_until=

look_data() { # STORAGE: kind of content, repositories, bytes, whether counting was complete
  count_until=${count_until:-$(($(date +%s) + count_seconds))}
  real=$(readlink -f "$1" 2>/dev/null)
  [ -d "$real" ] || return 0
  v2=$real/docker/registry/v2
  if [ ! -d "$v2" ]; then
    if [ -z "$(ls -A "$real" 2>/dev/null)" ]; then say "data empty 0 0 yes $1"; else say "data other 0 0 yes $1"; fi
    return 0
  fi
  repositories=0 size=0 all=yes
  if [ -d "$v2/repositories" ]; then
    counted=$({
      within_count_time find "$v2/repositories" -type d -name '_*' -prune -name _manifests -print 2>/dev/null
      echo "ended $?"
    } | awk '/_manifests$/ { n++ } $1 == "ended" { e = $2 } END { print n + 0, e }')
    repositories=${counted% *}
    [ "${counted#* }" = 0 ] || all=no
  fi
  if [ -d "$v2/blobs" ]; then
    counted=$({
      within_count_time find "$v2/blobs" -type f -exec stat -c 'size %s' {} + 2>/dev/null
      echo "ended $?"
    } | awk '$1 == "size" { n += $2 } $1 == "ended" { e = $2 } END { printf "%.0f %d\n", n, e }')
    size=${counted% *}
    [ "${counted#* }" = 0 ] || all=no
  fi
  say "data registry $repositories $size $all $1"
}

within_count_time() { # COMMAND...: for the rest of count_seconds, but at least a second
  now=$(date +%s)
  left=$((count_until - now))
  [ "$left" -gt 0 ] || left=1
  if command -v timeout >/dev/null 2>&1; then
    timeout "$left" "$@"
  else
    "$@"
  fi
}
