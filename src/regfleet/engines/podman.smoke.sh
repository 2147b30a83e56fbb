# Podman, as the smoke test uses it.
# shellcheck shell=sh disable=SC2034,SC2154  # variables of smoke.sh

authfile= # the file of logins that is used

podman_do() { said=$(podman --remote=false "$@" </dev/null 2>&1); }

podman_has() { podman_do image exists "$1"; }
podman_fetch() { podman_do pull -q "$1"; }
podman_tag() { podman_do tag "$1" "$2"; }
podman_remove() { podman_do rmi "$1"; }
podman_save() { podman_do save -q -o "$2" "$1"; }
podman_load() { podman_do load -q -i "$1"; }
podman_run() { podman_do run --rm --network none "$1" echo "$2"; }

# Layers are compressed on their way, so the digest is what the registry was given.
podman_push() {
  private_directory || return 1
  digests=$private/digest
  podman_do push ${authfile:+--authfile "$authfile"} --digestfile "$digests" "$1"
  ended=$?
  pushed=$(cat "$digests" 2>/dev/null)
  rm -f "$digests"
  return "$ended"
}

podman_pull() {
  podman_do pull ${authfile:+--authfile "$authfile"} -q "$1" || return 1
  pulled=$(podman --remote=false image inspect --format '{{.Digest}}' "$1" 2>/dev/null)
}

podman_kept() { # ACCOUNT
  # Without a name it would read what root keeps in memory (containers-auth.json(5)).
  private_directory || return 1
  authfile=$private/auth.json
  if [ -n "$1" ]; then
    copy_login "$1" .config/containers/auth.json "$endpoint" "$authfile"
  else
    echo '{}' >"$authfile"
  fi
}
