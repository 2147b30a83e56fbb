# Podman, as the touch changes it: no daemon, so nothing is reloaded.
# shellcheck shell=sh  # functions of touch/program

podman_answers() { podman version >/dev/null; }

podman_installed() {
  run podman_answers || fail 'podman was installed but does not run' 'see what podman version says on the host'
}

podman_login() { # FILE ENDPOINT USER
  podman login --authfile "$1" --username "$3" --password-stdin "$2"
}

podman_logout() { # FILE ENDPOINT
  podman logout --authfile "$1" "$2"
}
