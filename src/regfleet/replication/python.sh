# A Python for the copies that run on a host.
# shellcheck shell=sh

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
