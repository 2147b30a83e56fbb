# Podman, as retention asks it: root's images.
# shellcheck shell=sh

podman_holds() { # lines of REPOSITORY TAG DIGEST
  podman --remote=false image ls -a --digests --no-trunc --format '{{.Repository}} {{.Tag}} {{.Digest}}' </dev/null
}
