# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Reads all that a registry's backups keep, and says which of them can no longer give what they have.
# Nothing that is kept is changed; `damaged` names what is, for the next backup. Uses functions of
# collection.sh, audit.sh and backup_place.sh.

VERIFY_MOST=200 # lines of each kind that are told; all are counted

verify_of() { # REGISTRY TO MOUNTED FLEET
  registry=$1
  backup_at "$2" "$3" "$4" "$1"
  roomy_directory || { fail "$said"; return 1; }
  lists=$roomy/lists
  rm -rf "$lists"
  mkdir "$lists" || { fail "$lists cannot be written"; return 1; }
  backup_usable || { fail "the backups of $registry cannot be read: $said" "$advice"; return 1; }
  [ -d "$place" ] || return 0 # other registries' backups are read all the same
  # Where nothing can be written, as in a snapshot that is mounted, no backup is at work either.
  if backup_lockable; then backup_alone; fi
}

verify_run() {
  [ -d "$place" ] || { result verified "$registry" 0 0 0 0; return 0; }
  boundary verify-list
  progress listing
  : >"$lists/needed"
  backup_numbers >"$lists/numbers"
  while read -r number; do
    if backup_whole "$number"; then
      sed "s/\$/ $number/" "$place/backups/$number/blobs" >>"$lists/needed"
    else
      result unreadable "$registry" "$number" "$said"
    fi
  done <"$lists/numbers"
  cd "$place" || { fail "$place cannot be entered"; return 1; }
  backup_stored >"$lists/pool"
  boundary verify-read
  audit_reads "$lists/pool"
  verified=$?
  cd / || return 1
  [ "$verified" -eq 0 ] || { fail "$lists cannot be written"; return 1; }
  cut -d' ' -f2 "$lists/pool" >"$lists/have"
  collection_without "$lists/have" "$lists/whole" >"$lists/damaged"
  # Lines DIGEST WHY NUMBER,NUMBER of what is not as a backup needs it.
  awk -v pool="$lists/pool" -v damaged="$lists/damaged" '
    FILENAME == damaged { bad[$1] = "damaged"; next }
    FILENAME == pool { size[$2] = $1; next }
    { why = ($2 in size) ? (size[$2] == $1 ? bad[$2] : "damaged") : "missing" }
    why != "" { reason[$2] = why
      if (!($2 in numbers)) numbers[$2] = $3; else if (length(numbers[$2]) < 180) numbers[$2] = numbers[$2] "," $3 }
    END { for (each in numbers) print each, reason[each], numbers[each] }' \
    "$lists/damaged" "$lists/pool" "$lists/needed" | sort >"$lists/bad"
  verify_notes || say "note $place/damaged cannot be written ($(df -Pk "$place" | tail -n 1 | flat)): the next backup copies nothing anew before it is verified again"
  head -n "$VERIFY_MOST" "$lists/bad" >"$lists/told"
  while read -r digest why numbers; do
    result bad "$registry" "$digest" "$why" "$numbers"
  done <"$lists/told"
  result verified "$registry" "$(collection_counts "$lists/numbers")" "$(collection_counts "$lists/pool")" \
    "$(awk '{ sum += $1 } END { printf "%.0f\n", sum }' "$lists/pool")" "$(collection_counts "$lists/bad")"
}

# The next backup copies these again, where the registry has them.
verify_notes() {
  boundary verify-note
  if [ ! -s "$lists/damaged" ]; then
    rm -f "$place/damaged" 2>/dev/null
    return 0
  fi
  umask 077
  if [ ! -d "$place/damaged" ] && cp "$lists/damaged" "$place/.damaged" 2>/dev/null &&
    mv -f "$place/.damaged" "$place/damaged"; then
    return 0
  fi
  rm -f "$place/.damaged" 2>/dev/null
  return 1
}
