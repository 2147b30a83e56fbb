# How often somebody gave a wrong password at a registry's gateway, by the gateway's own log.
# shellcheck shell=sh

# The user's name stands in the line as JSON writes it, so that no name ends it (njs/gateway.js).
# shellcheck disable=SC2016  # awk's own
COUNT_GUESSES='{
  at = index($0, "wrong password or no such user: \"")
  if (!at) next
  wrong++
  rest = substr($0, at + 33)
  while (match(rest, /^([^"\\]+|\\.)/)) rest = substr(rest, RLENGTH + 1)
  if (match(rest, /^" from [0-9A-Fa-f.:]+$/)) from[rest]
}
END {
  for (each in from) addresses++
  printf "@guesses %d %d\n", wrong, addresses
}'

guesses() { # KIND NAME of the gateway's service: in the last day, as far as its log goes back
  "$1_has_log" "$2" || return 0
  "$1_last_day" "$2" | awk "$COUNT_GUESSES"
}
