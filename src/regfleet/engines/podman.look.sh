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

look_registries_conf() { # files that speak of registries; one of short names alone is long
  for file in /etc/containers/registries.conf /etc/containers/registries.conf.d/*.conf; do
    if grep -q '^[[:space:]]*\[\{1,2\}registr' "$file" 2>/dev/null; then look_text "$file"; fi
  done
}

podman_image() { # REFERENCE: its identifier
  podman image inspect --format '{{.Id}}' "$1"
}
