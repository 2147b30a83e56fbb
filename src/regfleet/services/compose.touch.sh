# Containers that Compose makes. Each service is a project of its own, and there is one container in
# it. Compose knows its containers by their labels, under whatever name: one of its own that stood
# aside it would take for the one that is to be replaced. So Compose replaces its own by itself, and
# the way back is to have it go by the file of before; what another kind replaces stands aside.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people

composer= # the words that run it

compose_there() { container_there "$1"; } # NAME
compose_ours() { container_ours "$1"; } # NAME
compose_start() { container_start "$1"; } # NAME
compose_take_up() { container_take_up "$1"; } # NAME
compose_restarts() { container_restarts "$1"; } # NAME
compose_process() { container_process "$1"; } # NAME
compose_alive() { container_alive "$1"; } # NAME
compose_image() { container_image "$1"; } # NAME
compose_last_words() { container_last_words "$1"; } # NAME
compose_prepare() { container_prepare "$1"; } # NAME FILE IMAGE
compose_log() { container_log "$1"; } # NAME
compose_forget() { container_forget "$1"; } # NAME

find_composer() { # sets `composer`
  [ -z "$composer" ] || return 0
  if run docker compose version >/dev/null 2>&1; then
    composer='docker compose'
  elif run docker-compose version >/dev/null 2>&1; then
    composer=docker-compose
  else
    return 1
  fi
}

compose_installed() {
  find_composer || fail 'Compose was installed but does not run' 'see what `docker-compose version` says on the host'
}

# The service's name; Compose takes no dot. No registry's begins so (services/compose.py, project).
find_project() { # NAME: sets `project`
  project=$1
  case $1 in *.*) project=regfleet_${1#regfleet-} project=${project%.*}_${1##*.} ;; esac
}

compose_up() { # NAME FILE
  find_project "$1"
  find_composer || { said='neither `docker compose` nor `docker-compose` runs'; return 1; }
  # shellcheck disable=SC2086  # words of our own
  said=$(run $composer -p "$project" -f "$2" up -d 2>&1)
}

# Also noted is which container there was, and of which image: the image's name may be another's soon.
compose_aside() { # NAME [NEW-KIND]
  found=$(run docker container inspect --format "{{.Id}}$TAB{{.Image}}$TAB{{.Config.Image}}" "$1" 2>/dev/null)
  if [ -n "$found" ]; then
    printf '%s\t%s\n' "$1" "$found" >>"$saved/composed" || { fail "$saved cannot be written"; return 1; }
  fi
  [ "${2:-}" = compose ] || container_aside "$1"
}

compose_run() { # NAME FILE IMAGE
  # What the host should have of it is there by now: it is not to be pulled behind our back.
  if ! run docker image inspect "$3" >/dev/null 2>&1; then not_run "$1" "No such image: $3"; return 1; fi
  compose_up "$1" "$2" || { not_run "$1" "$said"; return 1; }
}

# What Compose made goes; what was there before stays, under whatever name Compose or we gave it.
compose_gone() { # NAME
  composed_before "$1"
  find_project "$1"
  for id in $(run docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$project"); do
    [ "$id" = "$before" ] || run docker rm -f "$id" >/dev/null 2>&1
  done
  return 0
}

composed_before() { # NAME: sets `before`, `image` and `reference` of what was there; empty for none
  before='' image='' reference=''
  line=$(grep "^$1$TAB" "$from/composed" 2>/dev/null | tail -n 1)
  [ -n "$line" ] || return 0
  line=${line#*"$TAB"}
  before=${line%%"$TAB"*} reference=${line##*"$TAB"}
  image=${line#*"$TAB"}
  image=${image%"$TAB"*}
}

compose_back() { # NAME [FILE IMAGE]: the one from before, or one like it; the old file is in place
  composed_before "$1"
  if [ -n "$before" ] && container_there "$before"; then
    now=$(run docker container inspect --format '{{.Name}}' "$before")
    if [ "$now" != "/$1" ]; then
      if container_there "$1"; then run docker rm -f "$1" >/dev/null 2>&1; fi
      run docker rename "$before" "$1" || return 1
    fi
    run docker update --restart always "$1" >/dev/null || return 1
    if [ $# = 1 ]; then
      run docker start "$1" >/dev/null
      return
    fi
  fi
  [ $# != 1 ] || return 0
  if [ -n "$image" ] && run docker image inspect "$image" >/dev/null 2>&1; then
    run docker tag "$image" "$reference" >/dev/null 2>&1
  fi
  compose_up "$1" "$2"
}
