# Compose, as the look sees it.
# shellcheck shell=sh  # functions of look.sh and container.look.sh

# Whether a host has it, without starting it: docker-compose 1 takes a second to say its version. The
# directories are those of Docker's client (docker/cli, cli-plugins/manager/manager_unix.go).
look_compose() { # NAME
  for place in /usr/local/lib /usr/local/libexec /usr/lib /usr/libexec; do
    if [ -x "$place/docker/cli-plugins/docker-compose" ]; then
      say 'of compose state up'
      look_container "$1"
      return 0
    fi
  done
  if command -v docker-compose >/dev/null 2>&1; then say 'of compose state up'; fi
  look_container "$1"
}
