# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Images and containers. A container that is replaced or removed stands aside until all is well.

pull() { # REFERENCE
  run docker image inspect "$1" >/dev/null 2>&1 && return 0
  said=$(run docker pull -q "$1" 2>&1) || fail "the image $1 cannot be pulled: $(printf '%s' "$said" | grep -v -e '--help' | tail -n 2 | flat)" \
    'see whether the host reaches that registry, or give the image as `image_archive`'
}

load() { # FILE: an archive that was sent ahead
  [ -f "$1" ] || return 0
  said=$(run docker load -q -i "$1" 2>&1) || fail "the image archive cannot be loaded: $(printf '%s' "$said" | grep -v -e '--help' | tail -n 2 | flat)" \
    'see whether it is a `docker save` archive, and the free space in /var/lib/docker'
  rm -f "$1"
  rmdir "$BASE/spool" 2>/dev/null
  return 0
}

exists() { run docker container inspect "$1" >/dev/null 2>&1; }

container() { # NAME PORT TLS ARGUMENT...: run it, in the place of the one of that name
  name=$1 port=$2 tls=$3
  shift 3
  changed=1
  fleet=
  for argument; do
    case $argument in --label=regfleet.fleet=*) fleet=${argument#--label=regfleet.fleet=} ;; esac
  done
  if exists "$name" && ! belongs "$name" "$fleet"; then
    fail "a container named $name is there and is not ours" 'rename or remove it, then run this again'
    return 1
  fi
  stand_aside "$name" || return 1
  boundary run
  if ! said=$(run docker run -d --name "$name" "$@" 2>&1); then
    case $said in
      *'already allocated'* | *'already in use'*)
        fail "the port $port is taken on this host: $(holder "$port")" \
          'stop what listens there, or give the registry an endpoint with another port' ;;
      *'No such image'* | *'pull access denied'* | *'Unable to find image'*)
        fail "the image cannot be had: $(printf '%s' "$said" | grep -v -e '--help' | tail -n 2 | flat)" \
          'see whether the host reaches its registry, or give the image as `image_archive`' ;;
      *) fail "$name cannot be run: $(printf '%s' "$said" | grep -v -e '--help' | tail -n 2 | flat)" ;;
    esac
    return 1
  fi
  serves "$name" "$port" "$tls"
}

belongs() { # NAME FLEET
  [ "$(run docker container inspect --format '{{index .Config.Labels "regfleet.fleet"}}' "$1" 2>/dev/null)" = "$2" ]
}

stand_aside() { # NAME: stopped and renamed, until all is well
  printf '%s\n' "$1" >>"$saved/containers" || { fail "$saved cannot be written"; return 1; }
  if exists "$1-before"; then run docker rm -f "$1-before" >/dev/null 2>&1; fi
  exists "$1" || return 0
  boundary stop
  # Stopped first: Docker 26.1 cannot rename one that crashes and starts again and again.
  run docker update --restart no "$1" >/dev/null 2>&1
  run docker stop "$1" >/dev/null 2>&1
  boundary stand-aside
  try "stand $1 aside" docker rename "$1" "$1-before"
  [ -n "$failed" ] && return 1
  aside="$1$NL$aside"
  return 0
}

holder() { # PORT: who listens there
  found=
  if command -v ss >/dev/null 2>&1; then
    found=$(ss -H -ltnp "sport = :$1" 2>/dev/null | head -n 1 |
      sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (process \2) listens there/p')
  fi
  echo "${found:-docker ps and ss -ltnp tell by what}"
}

start_container() { # NAME PORT TLS
  changed=1
  try "start $1" docker start "$1"
  [ -n "$failed" ] || serves "$1" "$2" "$3"
}

serves() { # NAME PORT TLS: /v2/ answers before it counts as done
  serving "$1" "$2" "$3" && return 0
  fail "$1 does not answer /v2/ on port $2: $(last_words "$1")" \
    'its log above says why; `docker logs` on the host says more'
}

last_words() { # NAME
  said=$(run docker logs --tail 40 "$1" 2>&1)
  trouble=$(printf '%s\n' "$said" | serious | uniq | tail -n 3)
  printf '%s' "${trouble:-$(printf '%s\n' "$said" | tail -n 2)}" | flat
}

serving() { # NAME PORT TLS
  tries=120
  until probe "$2" "$3"; do
    tries=$((tries - 1))
    state=$(run docker container inspect --format '{{.State.Running}} {{.RestartCount}}' "$1" 2>/dev/null)
    case $state in
      'true 0' | 'true 1' | 'false 0' | 'false 1') ;;
      *) tries=0 ;;
    esac
    [ "$tries" -le 0 ] && return 1
    nap
  done
}

probe() { # PORT TLS: 200 or 401 from /v2/, by whatever client the host has
  scheme=http
  [ "$2" = yes ] && scheme=https
  if command -v curl >/dev/null 2>&1; then
    case $(run curl -sk -m 5 -o /dev/null -w '%{http_code}' "$scheme://127.0.0.1:$1/v2/" 2>/dev/null) in
      200 | 401) return 0 ;;
    esac
    return 1
  fi
  if [ "$2" = yes ] && command -v openssl >/dev/null 2>&1; then
    answer=$(printf 'GET /v2/ HTTP/1.0\r\nHost: localhost\r\n\r\n' |
      openssl s_client -quiet -connect "127.0.0.1:$1" 2>/dev/null 9>&- | head -n 1)
    case $answer in *' 200 '* | *' 401 '*) return 0 ;; esac
    return 1
  fi
  # The engine itself is a client too, and holds 127.0.0.0/8 insecure.
  case $(run docker pull "127.0.0.1:$1/regfleet/probe" 2>&1) in
    *'no basic auth'* | *unauthorized* | *'manifest unknown'* | *'not found'* | *denied*) return 0 ;;
  esac
  return 1
}

remove_container() { # NAME FLEET DATA-DIRECTORY: the data stays unless the directory is named
  changed=1
  if exists "$1"; then
    if ! belongs "$1" "$2"; then
      say "note the container $1 is not ours any more: it and its data are left alone"
      return 0
    fi
    stand_aside "$1" || return 1
  fi
  if [ -n "$3" ]; then doomed="$3$NL$doomed"; fi
  return 0
}

remove_image() { # REFERENCE: when all has gone well, and unless something uses it
  unused="$unused$1$NL"
}
