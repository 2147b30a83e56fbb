# The log of what Compose runs, for what counts in it: it is a container.
# shellcheck shell=sh  # functions of container.guesses.sh

compose_has_log() { container_has_log "$1"; } # NAME

compose_last_day() { container_last_day "$1"; } # NAME
