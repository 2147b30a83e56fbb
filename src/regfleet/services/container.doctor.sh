# Containers, as the doctor sees them.
# shellcheck shell=sh disable=SC2154  # functions and variables of doctor.sh and docker.doctor.sh

container_state() { # NAME: its state, and its last words where it does not run
  [ -n "$docker_up" ] || return 0
  state=$(docker container inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$1" 2>/dev/null) || return 0
  say "state $1 $state"
  case $state in 'running '*) return 0 ;; esac
  # Its log of requests tells nothing.
  docker logs --tail 30 "$1" 2>&1 | grep -v ' HTTP/[0-9.]*" [0-9]' | serious | tail -n 2 | scrub | flat | sed "s|^|@last $1 |"
}
