# One run now of a copy on its host.
# shellcheck shell=sh disable=SC2154  # functions and variables of common.sh and python.sh

# It goes on where the connection breaks, and leaves its record: nothing is killed by a hang-up.
replicate_now() { # ENGINE SETTINGS [--dry-run]: the files in base64
  trap '' HUP
  if ! find_python; then
    echo '@python none'
    return 0
  fi
  if ! private_directory; then
    echo "@error $said"
    return 0
  fi
  if ! printf '%s' "$1" | base64 -d >"$private/engine.py" ||
    ! printf '%s' "$2" | base64 -d >"$private/settings.json"; then
    echo "@error $private cannot be written to"
    return 0
  fi
  exec 3>&1 # for its progress; what it prints is the result
  result=$("$python" -I "$private/engine.py" "$private/settings.json" --progress 3 ${3:+"$3"} 2>"$private/said" </dev/null)
  if [ -n "$result" ]; then
    printf '@result %s\n' "$result"
  else
    printf '@error %s\n' "$(flat <"$private/said")"
  fi
}
