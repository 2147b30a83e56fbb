# shellcheck shell=sh disable=SC2154  # `engine` is set before
# What an engine holds: reads alone. An engine that does not run holds what nobody knows.
if held=$("${engine}_holds" 2>&1); then
  printf '%s\n' "$held" | sed -n 's/^[^ ]* [^ ]* [^ ]*$/@held &/p'
  echo '@all'
else
  printf '%s\n' "$held" | tail -n 2
fi
