# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Collects a registry's garbage: manifests that no tag leads to, and blobs that no manifest needs. The
# registry only reads meanwhile; what goes is first given a second name, and comes back if anything
# that tags lead to is missing afterwards.
#
# The registry becomes read-only by a file that is mounted over its configuration, which stays as it
# is on the disk: no restart of the machine leaves it read-only. `end` (collection_end.sh) ends that,
# called by this job, by a process that watches this one, or by whatever touches the host next.

collecting= # directory for what `end` needs
trash= # directory of second names, on the storage's own file system

# What is collected: sets variables that the other steps use.
collection_of() { # SERVICE KIND ADDRESS:PORT PROBE CONFIG STORAGE CONFIG-INSIDE PROGRAM... (that collects)
  service=$1 kind=$2 where=$3 question=$4 config=$5 storage=$6 inside=$7
  shift 7
  program=$*
  root=$storage/docker/registry/v2
  collecting=$BASE/collecting/$service
  trash=$storage/docker/registry/.regfleet-collection
  login='' collected_at=''
  if ! "${kind}_ours" "$service"; then
    fail "$service does not run here, or is not of this fleet" 'run `regfleet apply` first'
    return 1
  fi
  roomy_directory || { fail "$said"; return 1; }
  rm -rf "$roomy/lists"
  mkdir "$roomy/lists" || { fail "$roomy cannot be written"; return 1; }
}

collection_as() { login=$1; } # HEADER: for what the registry is asked; it is never on a command line

collection_as_if() { # BASE64: lines of REPOSITORY TAG that count as deleted; only to look
  printf '%s' "$1" | base64 -d >"$roomy/lists/without"
}

# ---- looking ----

# Lists what is on the disk, and what of it tags lead to. While pushes go on, a tag may vanish or be
# half written: then all is listed once more.
collection_look() { # MINUTES TIMES: manifests that are younger stay
  progress listing
  lists=$roomy/lists times=$2 doubt=
  : >"$lists/missing"
  cd "$root" 2>/dev/null || { # nothing was pushed yet
    for each in tags manifests untagged reached needed have; do : >"$lists/$each"; done
    return 0
  }
  until collection_lists "$1"; do
    times=$((times - 1))
    [ -z "$failed" ] || break
    if [ "$times" -le 0 ]; then
      fail "$doubt" "$advice"
      break
    fi
    nap
  done
  cd / && [ -z "$failed" ]
}

collection_lists() { # MINUTES: in the storage; sets `doubt` and `advice` where it is not sure
  advice='nothing was changed; `regfleet doctor` and the log of the host may say more'
  : >"$lists/complaints"
  collection_links -print >"$lists/links"
  collection_links -size 0 -print | grep -v '/_manifests/tags/[^/]*/index/' >"$lists/empty"
  if [ -s "$lists/empty" ]; then
    doubt="$(collection_counts "$lists/empty") link files are empty, as a crash leaves them: $(head -n 3 "$lists/empty" | flat)"
    advice="remove them in $root, and push those images again"
    return 1
  fi
  sed -n 's|^repositories/\(.*\)/_manifests/revisions/sha256/\([0-9a-f]\{64\}\)/link$|\1 sha256:\2|p' \
    "$lists/links" | sort >"$lists/manifests"
  if [ "$(grep -c '/_manifests/revisions/' "$lists/links")" != "$(grep -c . "$lists/manifests")" ] ||
    [ -n "$(find blobs ! -name blobs -prune ! -name sha256)" ]; then
    doubt="$storage has digests that are not sha256"
    advice='regfleet does not collect there'
    return 1
  fi
  collection_links -mmin "-$1" -print | sed -n \
    's|^repositories/\(.*\)/_manifests/revisions/sha256/\([0-9a-f]\{64\}\)/link$|\1 sha256:\2|p' >"$lists/young"
  grep '/_manifests/tags/[^/]*/current/link$' "$lists/links" >"$lists/tag-links"
  xargs grep -H '' /dev/null <"$lists/tag-links" 2>>"$lists/complaints" | sed -n \
    's|^repositories/\(.*\)/_manifests/tags/\([^/]*\)/current/link:\(sha256:[0-9a-f]\{64\}\)$|\1 \3 \2|p' >"$lists/tags"
  if [ "$(grep -c . "$lists/tag-links")" != "$(grep -c . "$lists/tags")" ]; then
    doubt="not every tag in $storage can be read"
    return 1
  fi
  if [ -s "$lists/without" ]; then
    mv "$lists/tags" "$lists/all-tags"
    awk 'FILENAME == ARGV[1] { gone[$1, $2]; next } !(($1, $3) in gone)' "$lists/without" "$lists/all-tags" >"$lists/tags"
  fi
  # Every digest that a manifest mentions: what it is made of, and any other.
  cut -d' ' -f2 "$lists/manifests" | sort -u |
    sed 's|^sha256:\(..\)\(.*\)$|blobs/sha256/\1/\1\2/data|' >"$lists/paths"
  # What an earlier look of this run has read is not read again: its name is its digest.
  : >>"$lists/known"
  collection_without "$lists/paths" "$lists/known" >"$lists/unread"
  # Read whole, and what it should be: of one that is damaged nobody knows what it leads to.
  xargs sha256sum <"$lists/unread" 2>/dev/null |
    sed -n 's|^\([0-9a-f]\{64\}\)  \(blobs/sha256/../\1/data\)$|\2|p' >"$lists/whole"
  collection_without "$lists/unread" "$lists/whole" >"$lists/not-whole"
  while IFS= read -r of; do
    [ ! -e "$of" ] || { doubt="the manifest $of in $storage is damaged"; return 1; }
  done <"$lists/not-whole"
  xargs grep -oHE '"(digest|blobSum)"[[:space:]]*:[[:space:]]*"sha256:[0-9a-f]{64}|sha256:[0-9a-f]{64}|"subject"' \
    /dev/null <"$lists/whole" 2>>"$lists/complaints" >"$lists/said"
  if grep -v -i 'no such file' "$lists/complaints" >"$lists/unreadable" || grep -q -i '^binary file' "$lists/said"; then
    doubt="not all in $storage can be read: $(head -n 2 "$lists/unreadable" | flat)"
    return 1
  fi
  sed -n -e 's|^blobs/sha256/../\([0-9a-f]*\)/data:"subject"$|sha256:\1 j|p' \
    -e 's|^blobs/sha256/../\([0-9a-f]*\)/data:\(sha256:[0-9a-f]*\)$|sha256:\1 m \2|p' \
    -e 's|^blobs/sha256/../\([0-9a-f]*\)/data:".*"\(sha256:[0-9a-f]*\)$|sha256:\1 s \2|p' "$lists/said" >>"$lists/edges"
  cat "$lists/whole" >>"$lists/known"
  for each in untagged reached needed; do : >"$lists/$each"; done
  (cd "$lists" && awk -v edges=edges -v tags=tags -v young=young -v manifests=manifests \
    -v untagged=untagged -v reached=reached -v needed=needed "$collection_marks" edges tags young manifests) ||
    { doubt='the manifests cannot be followed'; return 1; }
  sort -u -o "$lists/reached" "$lists/reached"
  sort -u -o "$lists/needed" "$lists/needed"
  collection_missing "$lists/needed" "$lists/missing"
}

collection_links() { # TEST...: links of tags and manifests
  find repositories -type d \( -name _layers -o -name _uploads \) -prune -o -type f -name link "$@" \
    2>>"$lists/complaints"
}

collection_missing() { # DIGESTS FILE: which of them are not on the disk
  find blobs -type f -name data | sed -n 's|^.*/\([0-9a-f]\{64\}\)/data$|sha256:\1|p' | sort >"$roomy/lists/have"
  collection_without "$1" "$roomy/lists/have" >"$2"
}

# comm(1) is not in every busybox.
collection_without() { # FILE OTHER: lines that the other does not have
  awk 'FILENAME == ARGV[1] { other[$0]; next } !($0 in other)' "$2" "$1"
}

collection_both() { # FILE OTHER: lines that the other has, too
  awk 'FILENAME == ARGV[1] { other[$0]; next } $0 in other' "$2" "$1"
}

collection_size() { # FILE of digests: sets `bytes`
  bytes=$(cd "$root" 2>/dev/null && sed 's|^sha256:\(..\)\(.*\)$|blobs/sha256/\1/\1\2/data|' "$1" |
    xargs stat -c %s 2>/dev/null | awk '{ sum += $1 } END { printf "%.0f\n", sum }')
  bytes=${bytes:-0}
}

collection_counts() { # FILE: how many lines
  grep -c . "$1" || :
}

# What a collection would do now.
collection_foresee() { # MINUTES
  collection_look "$1" 5 || return 1
  collection_without "$lists/have" "$lists/reached" >"$lists/victims"
  collection_size "$lists/victims"
  collection_says "$(collection_counts "$lists/untagged")" "$(collection_counts "$lists/victims")" "$bytes" 0
}

collection_says() { # UNTAGGED BLOBS BYTES SECONDS
  result collected "$service" "$(collection_counts "$lists/tags")" "$(collection_counts "$lists/manifests")" \
    "$(collection_counts "$lists/missing")" "$@"
}

# ---- read-only, and back ----

collection_restarts() { # prints the program that restarts the service
  printf 'PATH=%s\nexport PATH\n' "'$(printf '%s' "$PATH" | sed "s/'/'\\\\''/g")'"
  "${kind}_restarts" "$service"
}

collection_waits_for() { # where another host collects: what `end` has to wait for
  [ -z "$collector" ] || printf '%s\n' "$meet" "$collector" "$token" "$me" >"$collecting/meets"
}

# Reading from a file that is mounted over its configuration, the registry only reads.
collection_begin() {
  boundary collection-begin
  marker=$RUNS/read-only-$service
  identify $$ || { fail 'there is no /proc here'; return 1; }
  if ! mkdir -p "$collecting" || ! printf '%s\n' "$storage" >"$collecting/storage" ||
    ! printf '%s\n' "$$ ${process#*-}" >"$collecting/owner" ||
    ! printf '%s\n' "$marker" >"$collecting/marker" || ! collection_waits_for || ! collection_restarts >"$collecting/restart" ||
    ! printf '%s' "$collection_ends" | base64 -d >"$collecting/end"; then
    rm -rf "$collecting"
    fail "$collecting cannot be written" 'is the disk full? see `df -h` on the host'
    return 1
  fi
  sed 's|^  "storage": {$|&\n    "maintenance": {"readonly": {"enabled": true}},|' "$config" >"$marker.yml"
  if [ "$(grep -c '"maintenance": {"readonly": {"enabled": true}},' "$marker.yml")" != 1 ]; then
    rm -rf "$collecting" "$marker.yml"
    fail "$config is not as regfleet writes it" 'run `regfleet apply` first, which restores it'
    return 1
  fi
  chcon --reference="$config" "$marker.yml" 2>/dev/null # what SELinux lets a container read
  changed=1
  undo_with collection_end
  # `config` comes last: there is nothing to end before.
  printf '%s\n' "$config" >"$collecting/config" || { fail "$collecting cannot be written"; return 1; }
  collection_watched
  boundary collection-read-only
  [ -n "$meet" ] || collected_at=$(date +%s)
  before=$("${kind}_process" "$service")
  : >"$marker"
  try "mount $marker.yml over $config" mount --bind "$marker.yml" "$config"
  [ -z "$failed" ] || return 1
  boundary collection-restart
  try "restart $service" sh "$collecting/restart"
  [ -z "$failed" ] || return 1
  if ! answering "$kind" "$service" "$where" "$question"; then
    fail "$service does not answer when it is to be read-only: $(last_words "$kind" "$service")"
    return 1
  fi
  collection_reads_only || { fail "$service still takes pushes: $said" 'nothing was collected'; return 1; }
}

# Outlives this process, whatever ends it.
collection_watched() {
  if [ -d /run/systemd/system ] && run systemd-run --quiet --collect "--unit=regfleet-collection-$service" \
    /bin/sh "$collecting/end" "$collecting" $$ "${process#*-}" 2>/dev/null; then
    return 0
  fi
  own=
  if command -v setsid >/dev/null 2>&1; then own=setsid; fi
  $own sh "$collecting/end" "$collecting" $$ "${process#*-}" </dev/null >/dev/null 2>&1 9>&- &
}

# A push is refused with 405. Where nobody here can log in, the process tells what it has read.
collection_reads_only() {
  collection_asks POST /v2/regfleet/collection/blobs/uploads/
  case $code in
    405) return 0 ;;
    401 | 403) ;;
    *) said="a push is answered ${code:-not at all}"; return 1 ;;
  esac
  process_of=$("${kind}_process" "$service")
  said='it does not run from the configuration that only reads'
  [ -n "$process_of" ] && [ "$process_of" != "$before" ] &&
    grep -q '"readonly": {"enabled": true}' "/proc/$process_of/root$inside" 2>/dev/null
}

collection_asks() { # METHOD PATH: sets `code`
  scheme=${question%%:*} code=
  if command -v curl >/dev/null 2>&1; then
    code=$({
      if [ -n "$login" ]; then printf 'header = "Authorization: Basic %s"\n' "$login"; fi
      echo "header = \"Accept: $collection_accepts\""
      if [ "$1" = HEAD ]; then echo head; else echo "request = $1"; fi
    } | curl -q -gsk --noproxy '*' -m 20 -o /dev/null -w '%{http_code}' -K - "$scheme://$where$2" 2>/dev/null 9>&-)
    [ "$code" != 000 ] || code=
    return 0
  fi
  request=$(
    printf '%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\nAccept: %s\r\n' "$1" "$2" "$collection_accepts"
    if [ -n "$login" ]; then printf 'Authorization: Basic %s\r\n' "$login"; fi
    printf '\r\n.'
  )
  if [ "$scheme" = https ] && command -v openssl >/dev/null 2>&1; then
    code=$(printf '%s' "${request%.}" | openssl s_client -quiet -connect "$where" 2>/dev/null 9>&-)
  elif [ "$scheme" = http ] && command -v bash >/dev/null 2>&1; then
    host=${where%:*}
    host=${host#[}
    code=$(printf '%s' "${request%.}" | timeout 20 bash -c \
      'exec 3<>"/dev/tcp/$0/$1" && cat >&3 && cat <&3' "${host%]}" "${where##*:}" 2>/dev/null 9>&-)
  else
    code=401 # nobody here can ask
    return 0
  fi
  code=$(printf '%s\n' "$code" | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p')
}

collection_end() { # what begun ends: this one's work comes back unless it was verified
  boundary collection-end
  [ -e "$collecting/end" ] || return 0
  if [ -n "$collector" ] && [ -n "$failed" ]; then collection_word lost; fi
  run sh "$collecting/end" "$collecting"
}

# ---- collecting ----

collection_collect() { # MINUTES
  # All over again: from here on nothing changes.
  collection_look "$1" 1 || return 1
  cp "$lists/missing" "$lists/missing.before"
  if ! rm -rf "$trash" || ! mkdir -p "$trash"; then fail "$trash cannot be made"; return 1; fi
  boundary collection-untagged
  # Manifests of one repository go by one program.
  awk '{ line[$1] = line[$1] " " substr($2, 8); if (++n[$1] % 500 == 0) { print $1 line[$1]; line[$1] = "" } }
    END { for (each in line) if (line[each] != "") print each line[each] }' "$lists/untagged" >"$lists/by-repository"
  while read -r repository digests; do
    of=repositories/$repository/_manifests/revisions/sha256
    # shellcheck disable=SC2086  # digests are words
    if ! mkdir -p "$trash/$of" || ! (cd "$root/$of" && mv $digests "$trash/$of/"); then
      fail "manifests of $repository cannot be put aside"
      return 1
    fi
  done <"$lists/by-repository"
  boundary collection-foresee
  # shellcheck disable=SC2086  # words of our own
  if ! run $program --dry-run "$inside" >"$lists/dry" 2>&1; then
    collection_of_schema_1 || return 1
    fail "the registry's own dry run fails: $(serious <"$lists/dry" | tail -n 2 | flat)" 'nothing was deleted'
    return 1
  fi
  sed -n 's/^blob eligible for deletion: \(sha256:[0-9a-f]\{64\}\).*$/\1/p' "$lists/dry" | sort -u >"$lists/eligible"
  collection_both "$lists/eligible" "$lists/needed" >"$lists/wrong"
  if [ -s "$lists/wrong" ]; then
    fail "the registry would delete $(collection_counts "$lists/wrong") blobs that tags need: $(head -n 2 "$lists/wrong" | flat)" \
      'nothing was deleted; see `regfleet audit`'
    return 1
  fi
  boundary collection-link
  collection_size "$lists/eligible"
  sed 's|^sha256:\(..\)\(.*\)$|blobs/sha256/\1/\1\2|' "$lists/eligible" >"$lists/places"
  collection_links_aside || { fail "blobs in $storage cannot be given second names" 'does its file system have hard links, and room?'; return 1; }
  boundary collection-delete
  progress deleting
  collection_deletes || return 1
  boundary collection-verify
  progress checking
  cd "$root" || return 1
  collection_missing "$lists/reached" "$lists/missing.after"
  collection_without "$lists/missing.after" "$lists/missing.before" >"$lists/lost"
  # What manifests only mention the registry does not keep; it stays all the same.
  while IFS= read -r digest; do
    of=${digest#sha256:}
    of=blobs/sha256/${of%"${of#??}"}/$of
    [ ! -e "$trash/$of/data" ] || { mkdir -p "$of" && ln "$trash/$of/data" "$of/data"; }
  done <"$lists/lost"
  collection_missing "$lists/needed" "$lists/missing"
  cd / || return 1
  lost=$(collection_without "$lists/missing" "$lists/missing.before" | grep -c .)
  if [ "$ended" != 0 ] || [ "$lost" != 0 ]; then
    fail "the collection ended with $ended, and $lost blobs that tags need are missing: $(serious <"$lists/done" | tail -n 2 | flat)" \
      'all that was deleted is put back'
    return 1
  fi
  collection_without "$lists/eligible" "$lists/have" >"$lists/deleted"
  collection_size_of_deleted
  collection_still_serves && collection_confirms
}

# Its process is known to whatever ends this one: it must not delete while pushes are taken.
collection_deletes() { # sets `ended`
  # This host itself may have stood still since all of them said so.
  if [ -n "$meet" ] && ! collection_all_hold; then
    fail "nothing was deleted, for $service may take pushes: $said" 'run it again'
    return 1
  fi
  # shellcheck disable=SC2086
  $program "$inside" </dev/null >"$lists/done" 2>&1 9>&- &
  deleting=$!
  if identify "$deleting"; then printf '%s %s\n' "$deleting" "${process#*-}" >"$collecting/program"; fi
  while [ -n "$meet" ] && kill -0 "$deleting" 2>/dev/null; do
    if ! collection_all_hold; then
      kill -9 "$deleting"
      wait "$deleting" 2>/dev/null
      fail "the collection was stopped, for $service may take pushes: $said" \
        "all that was deleted is put back$(collection_beyond)"
      return 1
    fi
    nap
  done
  wait "$deleting"
  ended=$?
  rm -f "$collecting/program"
}

# What is pushed in spite of all that, as by a host that restarted, may be garbage to a registry that
# marked before, and has no second name.
collection_beyond() { # prints a hint
  sed -n 's/^blob eligible for deletion: \(sha256:[0-9a-f]\{64\}\).*$/\1/p' "$lists/done" | sort -u >"$lists/gone"
  beyond=$(collection_without "$lists/gone" "$lists/eligible" | head -n 3 | flat)
  [ -z "$beyond" ] || printf '%s' ", but not what was pushed meanwhile (${beyond% }): push it again, and see \`regfleet audit\`"
}

# Registry 3 collects nothing while there is one manifest of schema 1: as of which tag it is told.
collection_of_schema_1() {
  old=$(cd "$root" && xargs grep -lE '"schemaVersion"[[:space:]]*:[[:space:]]*1[^0-9]' <"$lists/paths" 2>/dev/null | head -n 1)
  [ -n "$old" ] || return 0
  old=${old%/data}
  where=$(grep " sha256:${old##*/} " "$lists/tags" | head -n 1 | cut -d' ' -f1,3 | tr ' ' :)
  fail "${where:-an image without a tag} is of schema 1, which this version of the registry cannot read: it collects nothing" \
    "delete it (sha256:${old##*/}), or push it anew with a client of today; nothing was deleted"
}

collection_links_aside() {
  [ -s "$lists/places" ] || return 0
  if cp --version 2>/dev/null | grep -q GNU; then
    (cd "$root" && xargs cp -al --parents -t "$trash" <"$lists/places") 2>/dev/null
    return
  fi
  while IFS= read -r of; do
    mkdir -p "$trash/$of" && ln "$root/$of/data" "$trash/$of/data" || return 1
  done <"$lists/places"
}

collection_size_of_deleted() { # sets `bytes`: what is left of it has its second name
  bytes=$(cd "$trash" && sed 's|^sha256:\(..\)\(.*\)$|blobs/sha256/\1/\1\2/data|' "$lists/deleted" |
    xargs stat -c %s 2>/dev/null | awk '{ sum += $1 } END { printf "%.0f\n", sum }')
  bytes=${bytes:-0}
}

# Through the registry, too: some of the tags, and that it has only read all the time.
collection_still_serves() {
  while read -r repository digest tag; do
    grep -q -x "$digest" "$lists/missing" && continue
    collection_asks HEAD "/v2/$repository/manifests/$tag"
    case $code in
      200) ;;
      401 | 403) break ;;
      *) fail "the registry answers ${code:-nothing} for $repository:$tag after the collection" 'all that was deleted is put back'; return 1 ;;
    esac
  done <<EOF
$(awk 'NR % step == 1 || step == 1' step="$((1 + $(collection_counts "$lists/tags") / 20))" "$lists/tags")
EOF
  collection_reads_only || { fail "$service has taken pushes meanwhile: $said" 'all that was deleted is put back'; return 1; }
}

collection_finish() { # all is verified: from here on nothing comes back
  : >"$collecting/verified" || { fail "$collecting cannot be written"; return 1; }
  boundary collection-verified
  undoing=
  if ! collection_end; then
    fail "$service could not be made to take pushes again" "see \`sh $collecting/end $collecting\` on the host"
    return 1
  fi
  if ! answering "$kind" "$service" "$where" "$question"; then
    fail "$service does not answer after the collection: $(last_words "$kind" "$service")"
    return 1
  fi
  collection_release || return 1
  collection_says "$(collection_counts "$lists/untagged")" "$(collection_counts "$lists/deleted")" "$bytes" \
    "$(($(date +%s) - collected_at))"
}

collection_run() { # MINUTES
  keep_record "collection.$service"
  collection_look "$1" 5 || return 1
  collection_without "$lists/have" "$lists/reached" >"$lists/victims"
  if [ ! -s "$lists/untagged" ] && [ ! -s "$lists/victims" ]; then
    collection_says 0 0 0 0
  else
    collected_at=$(date +%s) # of several hosts the first one stops taking pushes now
    collection_gather && collection_begin && collection_collect "$1" && collection_finish || return 1
  fi
  collection_disperse
}
