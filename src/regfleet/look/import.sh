# What a host has that a fleet file can declare: registries, trust, mirrors, and who is logged in
# where. No password, hash or key is printed.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # functions and variables of others; awk's variables
import_host() {
  say "name $(uname -n | flat)"
  find_engine
  import_docker
  import_services
  import_trust
  import_logins
  import_own # last: it sets what is known of the host's own
}

import_docker() { # registries in containers that run
  [ -n "$pid" ] && command -v docker >/dev/null 2>&1 || return 0
  say "engine docker"
  for each in $(docker ps -q --no-trunc --filter label=regfleet.fleet 2>/dev/null); do
    say "ours $(docker container inspect --format '{{.Name}} {{index .Config.Labels "regfleet.fleet"}}' "$each" | flat)"
  done
  for each in $(docker ps -q --no-trunc 2>/dev/null); do
    registry_below "$(docker container inspect --format '{{.State.Pid}}' "$each" 2>/dev/null)" || continue
    say found
    served=$registry
    print_container "$each"
    print_users "$served"
  done
}

import_services() { # registries that the service manager runs: those in no container
  for process in /proc/[0-9]*; do
    is_registry "${process#/proc/}" || continue
    # shellcheck disable=SC3013  # all shells here have it
    [ "$process/ns/pid" -ef "/proc/$$/ns/pid" ] || continue
    say found
    print_service "${process#/proc/}"
    print_users "${process#/proc/}"
  done
}

# The names in the htpasswd file that a registry's variables or configuration name.
print_users() { # PID
  file=$(registry_variables "$1" | sed -n 's/^@variable REGISTRY_AUTH_HTPASSWD_PATH=//p')
  if [ -z "$file" ] && [ -n "${config:-}" ]; then
    file=$(awk '/htpasswd["'\'']?:/ { below = 1 } below && /path["'\'']?:/ { print $2; exit }' "/proc/$1/root$config" 2>/dev/null |
      tr -d "\"',")
  fi
  if [ -n "$file" ] && [ -f "/proc/$1/root$file" ]; then
    head -c 262144 "/proc/$1/root$file" | sed -n 's/^\([^:[:space:]]\{1,\}\):.*/@user \1/p'
  fi
}

import_trust() {
  [ ! -f "$daemon_file" ] || say "daemon $(head -c 262144 "$daemon_file" | base64 | tr -d '\n')"
  printf '%s\n' "$flags" | sed -n \
    -e 's/^--insecure-registry=/@insecure /p' -e 's/^--registry-mirror=/@mirror /p'
  for place in /etc/docker/certs.d/*/; do
    [ -d "$place" ] || continue
    place=${place%/}
    for file in "$place"/*.crt; do
      if [ -f "$file" ]; then say "trusted ${place##*/} $file"; fi
    done
  done
}

import_logins() { # of accounts with a shell: endpoint and user, or `-` where a helper keeps it
  { getent passwd || cat /etc/passwd; } 2>/dev/null | grep -v -e '/nologin$' -e '/false$' -e '/sync$' |
    cut -d: -f1 | head -n 200 | while read -r account; do
    find_account "$account" || continue
    in_home "$account" save "$home/.docker/config.json" </dev/null | tr -d '\n\t ' | awk '{
      while (match($0, /"[^"]+":\{("auth":"[^"]*")?/)) {
        entry = substr($0, RSTART + 1, RLENGTH - 1)
        $0 = substr($0, RSTART + RLENGTH)
        split(entry, part, "\"")
        if (part[1] ~ /[.:]/) print part[1], part[5]
      }
    }' | while read -r endpoint auth; do
      user=-
      [ -z "$auth" ] || user=$(printf '%s' "$auth" | base64 -d 2>/dev/null | cut -d: -f1 | head -n 1 | flat)
      say "login $account $endpoint ${user:--}"
    done
  done
}

# Docker that accounts run without root. All that is in a home is the account's to choose.
import_own() {
  for own in $(pidof dockerd 2>/dev/null); do
    owner=$(stat -c %U "/proc/$own" 2>/dev/null)
    case $owner in '' | root | UNKNOWN | *[!A-Za-z0-9._-]*) continue ;; esac
    find_own "$owner" && [ "$pid" = "$own" ] || continue
    say "own $owner"
    say "own-daemon $(in_home "$owner" save "$home/.config/docker/daemon.json" </dev/null | sed '1d' | head -c 262144 | base64 | tr -d '\n')"
    printf '%s\n' "$flags" | sed -n \
      -e 's/^--insecure-registry=/@own-insecure /p' -e 's/^--registry-mirror=/@own-mirror /p'
    ask_own 20 trusted </dev/null || continue
    printf '%s\n' "$said" | head -n 200 | while IFS=/ read -r endpoint file; do
      case $endpoint/$file in *[!A-Za-z0-9._:/[\]-]*) ;; *) say "own-trusted $endpoint ~$owner/.config/docker/certs.d/$endpoint/$file" ;; esac
    done
  done
}
