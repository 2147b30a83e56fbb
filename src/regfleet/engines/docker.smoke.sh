# Docker, as the smoke test uses it.
# shellcheck shell=sh disable=SC2034,SC2154  # variables of smoke.sh

config= # directory of the Docker configuration whose login is used; none is read where it is empty

docker_do() { said=$(docker ${config:+--config "$config"} "$@" </dev/null 2>&1); }

docker_has() { docker_do image inspect "$1"; }
docker_fetch() { docker_do pull -q "$1"; }
docker_tag() { docker_do tag "$1" "$2"; }
docker_remove() { docker_do rmi "$1"; }
docker_save() { docker_do save -o "$2" "$1"; }
docker_load() { docker_do load -q -i "$1"; }
docker_run() { docker_do run --rm --network none "$1" echo "$2"; }

docker_push() {
  docker_do push "$1" || return 1
  pushed=$(printf '%s\n' "$said" | sed -n 's/.*digest: \(sha256:[0-9a-f]*\).*/\1/p' | tail -n 1)
}

docker_pull() {
  docker_do pull "$1" || return 1
  pulled=$(printf '%s\n' "$said" | sed -n 's/^Digest: \(sha256:[0-9a-f]*\).*/\1/p' | tail -n 1)
}

docker_kept() { # ACCOUNT
  config=
  [ -n "$1" ] || return 0
  private_directory || return 1
  config=$private
  copy_login "$1" .docker/config.json "$endpoint" "$config/config.json"
}
