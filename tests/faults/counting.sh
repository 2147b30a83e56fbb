# shellcheck shell=sh disable=SC2034,SC2154  # for tests alone: variables of the touch's functions
# A job like those to come: it stops others from writing, reads, keeps what it found, and ends that.

count_close() { # DIRECTORY: an earlier one may have been killed and left it closed
  closed=$1
  boundary close
  changed=1
  undo_with count_open
  : >"$1/closed"
}

count_open() {
  boundary open
  rm -f "$closed/closed"
}

count_files() { # DIRECTORY
  total=0
  for file in "$1"/*.txt; do
    boundary read
    [ -f "$file" ] || continue
    total=$((total + 1))
    result file "${file##*/}" "$(stat -c %s "$file")"
  done
  result total "$total"
}

count_keep() { # DIRECTORY: the sum of it, in a file that a rollback would put back
  stage "$1/total" 0600 "$(printf '%s\n' "$total" | base64)" || return 1
  swap
}

count_refuse() { fail 'there is nothing to count here' 'put something there'; }

count_flood() { # BYTES [OF-EACH]
  size=${2:-1000}
  line=$(printf "%0${size}d" 0)
  lines=$(($1 / size))
  while [ "$lines" -gt 0 ]; do
    lines=$((lines - 1))
    result flood "$line"
  done
}

count_lines() { # NUMBER
  lines=$1
  while [ "$lines" -gt 0 ]; do
    lines=$((lines - 1))
    result line "$lines"
  done
}
