# An account's own Docker, as retention asks it.
# shellcheck shell=sh disable=SC2154  # variables of rootless.sh

rootless_holds() { # lines of REPOSITORY TAG DIGEST: of all images, those of containers with them
  find_own "$engine_account" || { echo "there is no account $engine_account"; return 1; }
  ask_own 60 docker image ls -a --digests --no-trunc --format '{{.Repository}} {{.Tag}} {{.Digest}}' </dev/null
  ended=$?
  printf '%s\n' "$said"
  return "$ended"
}
