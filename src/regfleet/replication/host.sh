# Copies that run on a host: what they need there, and one run now.
# shellcheck shell=sh disable=SC2154  # functions and variables of common.sh

# Sets `python`: one of 3.6 or later with what the engine imports. Debian's python3-minimal has not
# all of it; Red Hat's family keeps one for the system's own programs alone.
find_python() {
  for python in python3 /usr/libexec/platform-python python3.13 python3.12 python3.11 python3.9 python3.8; do
    python=$(command -v "$python" 2>/dev/null) || continue
    "$python" -I -c 'import sys, ssl, json, http.client; sys.exit(sys.version_info < (3, 6))' \
      >/dev/null 2>&1 </dev/null && return 0
  done
  python=
  return 1
}

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
  result=$("$python" -I "$private/engine.py" "$private/settings.json" ${3:+"$3"} 2>"$private/said" </dev/null)
  if [ -n "$result" ]; then
    printf '@result %s\n' "$result"
  else
    printf '@error %s\n' "$(flat <"$private/said")"
  fi
}
