# shellcheck shell=sh disable=SC2154  # `storage` and `place_taken` are set before
# Every tag of a registry's storage, its digest, and when it was pushed last: reads alone. A registry
# tells no times; the link of a tag is written anew by each push (distribution,
# registry/storage/tagstore.go), and so has its time. A tag is `@left` whose deletion was interrupted:
# an empty index has its place (registry_api/deletion.py), put there by no push.
cd "$storage/docker/registry/v2/repositories" 2>/dev/null || exit 0
find . -type d \( -name _layers -o -name _uploads -o -name revisions -o -name index \) -prune \
  -o -type f -path '*/_manifests/tags/*/current/link' -print 2>/dev/null >"$lists"
{
  xargs grep -H '' /dev/null <"$lists" 2>/dev/null
  xargs stat -c '%Y %n' <"$lists" 2>/dev/null
  xargs grep -h '^sha256:' /dev/null <"$lists" 2>/dev/null | sort -u |
    sed -n 's|^sha256:\(..\)\([0-9a-f]*\)$|../blobs/sha256/\1/\1\2/data|p' |
    xargs grep -lF "\"$place_taken\"" /dev/null 2>/dev/null |
    sed -n 's|^.*/\([0-9a-f]*\)/data$|left sha256:\1|p'
} | awk '
  $1 == "left" { left[$2]; next }
  $2 ~ /\/current\/link$/ { when[$2] = $1; next }
  match($0, /\/current\/link:sha256:[0-9a-f]+$/) { digest[substr($0, 1, RSTART + 12)] = substr($0, RSTART + 14) }
  END {
    for (path in digest) {
      if (!(path in when)) continue
      place = substr(path, 3)
      at = index(place, "/_manifests/tags/")
      tag = substr(place, at + 17)
      sub(/\/current\/link$/, "", tag)
      print (digest[path] in left ? "@left" : "@tag"), when[path], digest[path], substr(place, 1, at - 1), tag
    }
  }'
rm -f "$lists"
echo '@all'
