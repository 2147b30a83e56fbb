# Podman, as the doctor sees it: no daemon, so each command shows what the next will meet.
# shellcheck shell=sh disable=SC2154  # with functions and variables of doctor.sh, look.sh and common.sh

podman_first() { :; }
podman_trouble() { :; }

podman_certs() { # ENDPOINT: containers-certs.d(5) names both places
  certificates "/etc/containers/certs.d/$1"
  certificates "/etc/docker/certs.d/$1"
}

# A pull of what is not there: see docker.doctor.sh.
podman_try() { # ENDPOINT ACCOUNT
  command -v podman >/dev/null 2>&1 || return 0
  private_directory || return 0
  authfile=$private/auth.json
  if copy_login "$2" .config/containers/auth.json "$1" "$authfile"; then
    said=$(patient podman --remote=false pull --authfile "$authfile" -q "$1/regfleet/doctor:none" 2>&1 </dev/null)
  else
    false
  fi
  # What it tries again is one error said several times.
  say "try $1 $2 $? $(printf '%s' "$said" | grep -v 'retrying in' | scrub | flat)"
  rm -f "$authfile"
}
