# The Python for the copies of a host, as the look sees it.
# shellcheck shell=sh disable=SC2154  # functions and variables of look.sh and python.sh

look_python() {
  if find_python; then say "python $python"; fi
}
