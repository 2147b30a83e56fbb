# Podman, as the touch changes it: no daemon, so nothing is reloaded.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # of touch/program; backquotes are for people

podman_answers() { podman --remote=false version >/dev/null; }

# What its commands have of registries.conf and its drop-ins, a line each.
podman_shows() {
  run podman --remote=false info --format '{{range $name, $each := .Registries}}{{if ne $name "search"}}{{if $each.Insecure}}insecure {{$name}}
{{end}}{{range $each.Mirrors}}mirror of {{$name}}: {{.Location}}
{{end}}{{end}}{{end}}'
}

podman_installed() {
  run podman_answers || fail 'podman was installed but does not run' 'see what podman version says on the host'
}

podman_login() { # FILE ENDPOINT USER: in a directory of root's own, never an account's
  podman --remote=false login --authfile "$1" --username "$3" --password-stdin "$2"
}

podman_has() { run podman --remote=false image exists "$1"; } # REFERENCE

# A name without its registry means Docker Hub here, as it does to Docker; Podman would ask whatever
# registries its host searches (containers-registries.conf(5), unqualified-search-registries).
podman_pull() { # REFERENCE
  podman_has "$1" && return 0
  case $1 in
    localhost/* | *.*/* | *:*/*) whole_name=$1 ;;
    */*) whole_name=docker.io/$1 ;;
    *) whole_name=docker.io/library/$1 ;;
  esac
  said=$(run podman --remote=false pull -q "$whole_name" 2>&1) || { not_pulled "$1"; return 1; }
  podman_has "$1" || try "give $whole_name the name $1" podman --remote=false tag "$whole_name" "$1"
}

podman_load() { # FILE
  said=$(run podman --remote=false load -q -i "$1" 2>&1) || not_loaded '`podman save`' /var/lib/containers
}

podman_image_id() { run podman --remote=false image inspect --format '{{.Id}}' "$1" 2>/dev/null; } # REFERENCE

podman_image_names() { run podman --remote=false image inspect --format '{{range .RepoTags}}{{.}} {{end}}' "$1" 2>/dev/null; } # ID

podman_tag() { run podman --remote=false tag "$1" "$2" >/dev/null 2>&1; } # ID REFERENCE

podman_forget_image() { run podman --remote=false rmi "$1" >/dev/null 2>&1; return 0; } # REFERENCE
