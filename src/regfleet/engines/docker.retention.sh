# Docker, as retention asks it.
# shellcheck shell=sh disable=SC2154  # variables of other files

docker_holds() { # lines of REPOSITORY TAG DIGEST: of all images, those of containers with them
  find_engine
  docker image ls -a --digests --no-trunc --format '{{.Repository}} {{.Tag}} {{.Digest}}' </dev/null
}
