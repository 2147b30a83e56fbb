# shellcheck shell=sh disable=SC2154  # `storage` and `place_taken` are set before
# Every tag of a registry's storage, its digest, and when it was pushed last: reads alone. A registry
# tells no times; the link of a tag is written anew by each push (distribution,
# registry/storage/tagstore.go), and so has its time. A tag is `@left` whose deletion was interrupted:
# an empty index has its place (registry_api/deletion.py), put there by no push. It is `@torn` where its
# repository does not have what it leads to.
pushed_tags() { # uses the files `$lists/...`
  # Repositories and tags may be named `index` and `revisions`.
  find . -type d \( -name _layers -o -name _uploads -o -path '*/_manifests/revisions' \
    -o -path '*/_manifests/tags/*/index' \) -prune \
    -o -type f -path '*/_manifests/tags/*/current/link' -print 2>/dev/null >"$lists/links"
  xargs grep -H '^sha256:[0-9a-f]*$' /dev/null <"$lists/links" 2>/dev/null >"$lists/tags"
  sed -n 's|^.*:sha256:\(..\)\([0-9a-f]*\)$|../blobs/sha256/\1/\1\2/data|p' "$lists/tags" | sort -u >"$lists/manifests"
  {
    cat "$lists/tags"
    xargs stat -c '%Y %n' <"$lists/links" 2>/dev/null
    sed -n 's|^\(.*/_manifests\)/tags/[^/]*/current/link:sha256:\([0-9a-f]*\)$|\1/revisions/sha256/\2/link|p' "$lists/tags" |
      cat - "$lists/manifests" | xargs stat -c 'there %s %n' 2>/dev/null
    xargs grep -lF "\"$place_taken\"" /dev/null <"$lists/manifests" 2>/dev/null |
      sed -n 's|^.*/\([0-9a-f]*\)/data$|left sha256:\1|p'
  } | awk '
    $1 == "left" { left[$2]; next }
    $1 == "there" { if ($2 > 0) there[$3]; next }
    $2 ~ /\/current\/link$/ { when[$2] = $1; next }
    match($0, /\/current\/link:sha256:[0-9a-f]+$/) { digest[substr($0, 1, RSTART + 12)] = substr($0, RSTART + 14) }
    END {
      for (path in digest) {
        if (!(path in when)) continue
        place = substr(path, 3)
        at = index(place, "/_manifests/tags/")
        repository = substr(place, 1, at - 1)
        tag = substr(place, at + 17)
        sub(/\/current\/link$/, "", tag)
        name = substr(digest[path], 8)
        word = "@tag"
        if (!(("./" repository "/_manifests/revisions/sha256/" name "/link") in there) ||
          !(("../blobs/sha256/" substr(name, 1, 2) "/" name "/data") in there)) word = "@torn"
        if (digest[path] in left) word = "@left"
        print word, when[path], digest[path], repository, tag
      }
    }'
}

printf '@now %s\n' "$(date +%s)"
if cd "$storage/docker/registry/v2/repositories" 2>/dev/null; then pushed_tags; fi
rm -rf "$lists"
echo '@all'
