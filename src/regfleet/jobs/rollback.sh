# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Restores the state before a generation, with the functions that undo a failed touch.

# With NEWEST given, it is an error if another generation is the newest on the host.
go_back() { # GENERATION (0: the newest) [NEWEST]: undoes generations, the newest first
  # The recovery has already undone this generation, or completed a rollback to it: no further.
  if [ -n "$recovered" ] && { [ "$1" -eq 0 ] || [ "$1" -ge "$recovered" ]; }; then
    changed=1
    return 0
  fi
  number=$(latest)
  target=$1
  if [ -z "$recovered" ] && [ "${2:-0}" -ne 0 ] && [ "$number" -ne "$2" ]; then
    fail "the host was changed since the run looked at it: the newest generation is $number, not $2" \
      'nothing was touched; run it again'
    return 1
  fi
  [ "$target" -eq 0 ] && target=$number
  [ "$number" -eq 0 ] && return 0
  if [ ! -d "$BASE/generations/$target" ]; then
    # shellcheck disable=SC2012  # regfleet names them by number
    fail "there is no generation $target here" "kept are: $(ls "$BASE/generations" | sort -n | flat)"
    return 1
  fi
  while [ "$number" -ge "$target" ]; do
    other=$(cat "$BASE/generations/$number/fleet" 2>/dev/null)
    if [ "$other" != "$whose" ]; then
      fail "generation $number is of the fleet $other" 'go back with its fleet file first, or change what is declared and apply'
      return 1
    fi
    # If the rollback is interrupted here, the next run completes it.
    commit_to "$BASE/generations/$number" || { fail 'the rollback cannot be recorded' 'is the disk full? see `df -h` on the host'; return 1; }
    put_back "$BASE/generations/$number" yes
    [ -z "$broken" ] || { fail "generation $number cannot be undone: $broken"; return 1; }
    say "note generation $number was undone"
    number=$(latest)
    [ "$number" -eq 0 ] && break
  done
  changed=1
}
