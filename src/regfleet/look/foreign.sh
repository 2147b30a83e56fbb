# A registry that regfleet did not make, as a host sees it: its process, configuration and mounts.
# Lines of its configuration that hold secrets are left out, and variables that may hold one.
# shellcheck shell=sh disable=SC2034  # functions and variables of others; `say` is the caller's

# The variables that override a configuration (distribution, docs/configuration.md, "Override
# specific configuration options"). Of other storage drivers only their name is said.
registry_variables() { # PID
  tr '\0' '\n' 2>/dev/null <"/proc/$1/environ" | sed -n \
    -e 's/^\(REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=.*\)/@variable \1/p' \
    -e 's/^\(REGISTRY_STORAGE=.*\)/@variable \1/p' \
    -e 's/^\(REGISTRY_STORAGE_DELETE_ENABLED=.*\)/@variable \1/p' \
    -e 's/^\(REGISTRY_STORAGE_[A-Z0-9]*\)_.*/@variable \1=/p' \
    -e 's/^\(REGISTRY_HTTP_ADDR=.*\)/@variable \1/p' \
    -e 's/^\(REGISTRY_HTTP_TLS_CERTIFICATE=.*\)/@variable \1/p' \
    -e 's/^\(REGISTRY_AUTH_HTPASSWD_PATH=.*\)/@variable \1/p' \
    -e 's/^\(REGISTRY_PROXY_REMOTEURL=.*\)/@variable \1/p' \
    -e 's/^REGISTRY_CONFIGURATION_PATH=\(.*\)/@argument \1/p'
}

is_registry() { # PID
  read -r name 2>/dev/null <"/proc/$1/comm" || return 1
  case $name in registry | docker-registry) return 0 ;; esac
  return 1
}

# What a container starts may be a shell or an init that starts the registry.
registry_below() { # PID: sets `registry`
  registry=$1
  is_registry "$1" && return 0
  below=$(children_of "$1")
  for registry in $below $(for child in $below; do children_of "$child"; done); do
    if is_registry "$registry"; then return 0; fi
  done
  return 1
}

children_of() { cat /proc/"$1"/task/*/children 2>/dev/null; } # PID

print_registry() { # PID: configuration, in effect by the file and the environment
  say "registry $1"
  await_arguments "$1"
  registry_variables "$1"
  config=$(tr '\0' '\n' 2>/dev/null <"/proc/$1/cmdline" | sed -n '/^serve$/{n;p;}' | head -n 1)
  [ -n "$config" ] || config=$(registry_variables "$1" | sed -n 's/^@argument //p')
  [ -n "$config" ] || return 0
  say "argument $config"
  [ -f "/proc/$1/root$config" ] || return 0
  text=$(head -c 262144 "/proc/$1/root$config" |
    sed 's/^\([[:space:]]*["'\'']\{0,1\}[A-Za-z]*\(secret\|password\|key\|token\)[A-Za-z]*["'\'']\{0,1\}[[:space:]]*:\).*/\1 "***"/')
  say "config $(printf '%s\n' "$text" | base64 | tr -d '\n')"
}

# A process of Docker's client that waits for the container: what started it would start another.
print_starter() { # NAME
  for process in /proc/[0-9]*; do
    read -r name 2>/dev/null <"$process/comm" || continue
    [ "$name" = docker ] || continue
    tr '\0' '\n' 2>/dev/null <"$process/cmdline" | grep -q -x -e "$1" -e "--name=$1" || continue
    say "starter $(systemd_unit_of "${process#/proc/}")"
    return
  done
}

systemd_unit_of() { # PID: the systemd unit that it belongs to, or nothing (cgroups(7), /proc/PID/cgroup)
  sed -n 's|.*/\([^/]*\)\.service$|\1|p' "/proc/$1/cgroup" 2>/dev/null | head -n 1
}

# By Docker, or by Podman, whose answer has the same fields.
print_container() { # NAME-OR-ID [podman]: selected settings as JSON in one line, and what runs in it
  by=${2:-docker}
  id=.Id
  if [ "$by" = podman ]; then id=.ID; fi
  # What a template gives is printed up to where it fails.
  found=$("$by" container inspect --format \
    '@inspected {"id":{{json '"$id"'}},"name":{{json .Name}},"image":{{json .Config.Image}},"restart":{{json .HostConfig.RestartPolicy}},"remove":{{json .HostConfig.AutoRemove}},"network":{{json .HostConfig.NetworkMode}},"mounts":{{json .Mounts}},"ports":{{json .NetworkSettings.Ports}},"project":{{json (index .Config.Labels "com.docker.compose.project")}},"swarm":{{json (index .Config.Labels "com.docker.swarm.service.name")}},"pod":{{json (index .Config.Labels "io.kubernetes.pod.name")}},"fleet":{{json (index .Config.Labels "regfleet.fleet")}}}' \
    "$1" 2>/dev/null) || return 0
  printf '%s\n' "$found"
  if registry_below "$("$by" container inspect --format '{{.State.Pid}}' "$1" 2>/dev/null)"; then
    print_registry "$registry"
  fi
  [ "$by" = docker ] || return 0
  print_starter "$(docker container inspect --format '{{.Name}}' "$1" 2>/dev/null | tr -d /)"
}

# A container that has the host's network publishes no port: it is known by its process.
container_of() { # PID: sets `container` to the identifier of the one whose process it is
  container=
  for each in $(docker ps -q --no-trunc 2>/dev/null); do
    main=$(docker container inspect --format '{{.State.Pid}}' "$each" 2>/dev/null)
    case ${main:-0} in 0) continue ;; esac
    if [ "$main" = "$1" ] || { registry_below "$main" && [ "$registry" = "$1" ]; }; then
      container=$each
      return 0
    fi
  done
  return 1
}

# Root's own alone: nothing is asked of an account's Podman. conmon(8) is started with `-c CONTAINER`.
print_podmans() { # PID: the container whose port this conmon holds; fails where there is none
  command -v podman >/dev/null 2>&1 && is_roots "$1" conmon || return 1
  container=$(tr '\0' '\n' 2>/dev/null <"/proc/$1/cmdline" | sed -n '/^-c$/{n;p;q;}')
  case $container in '' | *[!0-9a-f]*) return 1 ;; esac
  found=$(podman container inspect --format '{{.Name}} {{.ImageName}}' "$container" 2>/dev/null | flat)
  [ -n "$found" ] || return 1
  say "container $found"
  say "conmon $(systemd_unit_of "$1")"
  print_container "$container" podman
}

script_of() { # PID: the one service script that names its program, where there is one
  program=$(readlink "/proc/$1/exe" 2>/dev/null) || return 0
  scripts=$(grep -l -F -e "$program" /etc/init.d/* 2>/dev/null)
  case $scripts in
    '' | *"$NL"*) ;; # Debian's own, for one, is called as its program is, and does not name it
    *) if [ -x "$scripts" ]; then echo "${scripts##*/}"; fi ;;
  esac
}

print_service() { # PID: a registry that the service manager runs
  is_registry "$1" || return 0
  unit=$(systemd_unit_of "$1")
  if [ ! -d /run/systemd/system ]; then unit=$(script_of "$1"); fi
  if [ -z "$unit" ] && [ -x /etc/init.d/docker-registry ]; then unit=docker-registry; fi
  [ -n "$unit" ] || unit=-
  enabled=disabled
  if [ -d /run/systemd/system ]; then
    if systemctl -q is-enabled "$unit.service" 2>/dev/null; then enabled=enabled; fi
  else
    for link in /etc/rc[2345].d/S[0-9][0-9]"$unit" /etc/runlevels/*/"$unit"; do
      if [ -L "$link" ]; then enabled=enabled; fi
    done
  fi
  say "managed $unit $enabled"
  print_registry "$1"
}

# Where images are and where they are to be: what is there, and how near they are to each other.
look_stores() { # SOURCE STORAGE
  look_data "$1"
  look_data "$2"
  if [ "$(readlink -f "$1")" = "$(readlink -f "$2")" ]; then say 'place same'; return 0; fi
  near=$2
  while [ ! -e "$near" ]; do near=${near%/*}; done
  # Those of another user are copied (see adopt_images of the touch).
  [ "$(stat -c %u "$1/docker/registry/v2" 2>/dev/null)" = 0 ] || return 0
  if [ "$(stat -c %d "$1" 2>/dev/null)" = "$(stat -c %d "${near:-/}" 2>/dev/null)" ]; then
    say 'place near'
  fi
}
