# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Every job begins with this: it undoes a change that was interrupted on the host.

recover() { # restores the state before an interrupted touch
  # Interrupted before its files were in place: there is only what it made on the way.
  each unmake "$(cat "$BASE/making")"
  rm -f "$BASE/making"
  [ -e "$BASE/pending" ] || { forget_unfinished; return 0; }
  number=$(cat "$BASE/pending")
  put_back "$BASE/generations/$number" yes
  recovered=$number
  say 'note an earlier change was interrupted; the state before it was restored first'
  [ -z "$broken" ] || fail "the interrupted change cannot be undone: $broken"
}

forget_unfinished() { # removes generations that a touch began to save and never completed
  for old in "$BASE"/generations/*/unfinished; do
    rm -rf "${old%/unfinished}"
  done
}
