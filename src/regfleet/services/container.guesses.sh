# The log of a container, for what counts in it.
# shellcheck shell=sh

container_has_log() { docker container inspect "$1" >/dev/null 2>&1; } # NAME

container_last_day() { docker logs --since 24h --tail 100000 "$1" 2>&1; } # NAME
