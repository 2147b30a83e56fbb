# Containers of Docker's. One that is replaced or removed stands aside under another name.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people

container_there() { run docker container inspect "$1" >/dev/null 2>&1; }

container_ours() { # NAME
  [ "$(run docker container inspect --format '{{index .Config.Labels "regfleet.fleet"}}' "$1" 2>/dev/null)" = "$whose" ]
}

container_prepare() { :; } # NAME WORD...: its image is there, and its name is not free yet

container_aside() { # NAME: stopped and renamed
  if container_there "$1-before"; then run docker rm -f "$1-before" >/dev/null 2>&1; fi
  container_there "$1" || return 0
  boundary stop
  # Stopped first: Docker 26.1 cannot rename one that crashes and starts again and again.
  run docker update --restart no "$1" >/dev/null 2>&1
  run docker stop "$1" >/dev/null 2>&1
  boundary stand-aside
  try "stand $1 aside" docker rename "$1" "$1-before"
  [ -z "$failed" ]
}

container_run() { # NAME ARGUMENT...: what `docker run` gets behind the name
  name=$1
  shift
  said=$(run docker run -d --name "$name" "$@" 2>&1) && return 0
  not_run "$name" "$said"
  return 1
}

not_run() { # NAME WHAT-WAS-SAID: says why a container cannot be run
  name=$1 said=$2
  case $said in
    *'cannot assign requested address'*)
      fail "this host has no address ${where%:*} for $name to listen on" \
        'see `ip addr` on the host; `listen` in the fleet file has to name one of its addresses' ;;
    *'already allocated'* | *'already in use'*)
      fail "the port ${where##*:} is taken on this host: $(holder "${where##*:}")" \
        'stop what listens there, or give the registry an endpoint with another port' ;;
    *'No such image'* | *'pull access denied'* | *'Unable to find image'*)
      fail "the image cannot be had: $(printf '%s' "$said" | engine_words)" \
        'see whether the host reaches its registry, or give the image as `image_archive`' ;;
    *) fail "$name cannot be run: $(printf '%s' "$said" | engine_words)" ;;
  esac
}

container_start() { # NAME
  try "start $1" docker start "$1"
  [ -z "$failed" ]
}

container_take_up() { # NAME
  try "reload $1" docker kill --signal HUP "$1"
  [ -z "$failed" ]
}

container_restarts() { # NAME
  printf "DOCKER_HOST='%s'\nexport DOCKER_HOST\n" "$(printf '%s' "$DOCKER_HOST" | sed "s/'/'\\\\''/g")"
  echo "exec docker restart -t 10 $1 >/dev/null"
}

container_process() { run docker container inspect --format '{{.State.Pid}}' "$1" 2>/dev/null; } # NAME

container_alive() { # NAME: it runs, and has not died twice
  state=$(run docker container inspect --format '{{.State.Running}} {{.RestartCount}}' "$1" 2>/dev/null)
  case $state in
    'true 0' | 'true 1' | 'false 0' | 'false 1') return 0 ;;
  esac
  return 1
}

container_image() { # NAME: the engine, the ID and the name of the image that it is made from
  run docker container inspect --format "docker$TAB{{.Image}}$TAB{{.Config.Image}}" "$1" 2>/dev/null
  return 0
}

container_last_words() { run docker logs --tail 80 "$1" 2>&1; } # NAME

container_log() { echo "docker logs $1"; } # NAME: the command that shows its log

container_gone() { run docker rm -f "$1" >/dev/null 2>&1; return 0; } # NAME

container_back() { # NAME [ARGUMENT...]: the one that stood aside, or one like it
  name=$1
  shift
  if container_there "$name-before"; then
    run docker rename "$name-before" "$name" || return 1
  fi
  # Or it never stood aside: what was to take its place is of another kind, and does not remove it.
  if container_there "$name"; then
    run docker update --restart always "$name" >/dev/null || return 1
    run docker start "$name" >/dev/null || return 1
  elif [ $# != 0 ]; then
    run docker run -d --name "$name" "$@" >/dev/null 2>&1 || return 1
  fi
}

container_forget() { run docker rm -f "$1-before" >/dev/null 2>&1; return 0; } # NAME
