# Podman, as the look sees it.
# shellcheck shell=sh  # functions of look.sh

podman_look() {
  if command -v podman >/dev/null 2>&1; then
    say 'of podman state up' # it has no daemon: where its command is, it is
    say "of podman version $(podman --version 2>/dev/null | sed 's/.* //')"
  else
    say 'of podman state missing'
  fi
  look_registries_conf
}

podman_image() { # REFERENCE: its identifier
  podman image inspect --format '{{.Id}}' "$1"
}
