# Services: run, replaced, removed and brought back, whatever their kind. The functions of a kind begin
# with its name (services/KIND.touch.sh; services/interface.py says which there are).
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people

where= # address and port of the service that is at hand

run_service() { # KIND NAME OLD-KIND ADDRESS:PORT PROBE WORD...: in the place of the one of that name
  kind=$1 name=$2 old=$3 where=$4 question=$5
  shift 5
  changed=1
  for each in "$kind" "$old"; do
    if "${each}_there" "$name" && ! "${each}_ours" "$name"; then
      fail "$name is there ($each) and is not ours" 'rename or remove it, then run this again'
      return 1
    fi
  done
  stand_aside "$old" "$name" "$kind" "$@" || return 1
  boundary run
  "${kind}_run" "$name" "$@" || return 1
  serves "$kind" "$name" "$where" "$question"
}

stand_aside() { # KIND NAME [NEW-KIND WORD...]: until all is well; see run_service
  printf '%s\n' "$2$TAB${3:-$1}" >>"$saved/services" || { fail "$saved cannot be written"; return 1; }
  aside="$2$TAB$1$NL$aside"
  note_image "$1" "$2" || return 1
  of=$1 named=$2 new=${3:-}
  if [ -n "$new" ] && [ "$new" != "$of" ]; then
    shift 3
    boundary prepare
    "${new}_prepare" "$named" "$@" || return 1
  fi
  "${of}_aside" "$named" "$new"
}

start_service() { # KIND NAME ADDRESS:PORT PROBE
  changed=1
  where=$3
  "$1_start" "$2" && serves "$@"
}

reload_service() { # KIND NAME ADDRESS:PORT PROBE: it has taken up its files when it answers
  changed=1
  where=$3
  printf '%s\n' "$2$TAB$1" >>"$saved/reloaded" || { fail "$saved cannot be written"; return 1; }
  boundary reload
  # nginx's old workers go on with the old files for a tenth of a second.
  "$1_take_up" "$2" && serves "$@" && nap
}

reload_back() { # NAME KIND: the files are as they were before
  if ! "$2_there" "$1"; then return 0; fi
  failing=$failed
  failed=1 # what there is to say is said below
  "$2_take_up" "$1"
  failed=$failing
  kept=$(kept_service "$1")
  [ -n "$kept" ] || return 0
  eval "set -- $1 $kept"
  answering "$2" "$1" "$3" "$4" ||
    say "note $1 is as it was before, and does not answer $(asked "$4") at $3"
}

# The address that clients know goes to another host while this one is changed: keepalived gives it away
# when the file says 1, and comes to be asked again when all is done (gateway/vip.py).
drain() { # FILE ADDRESS
  [ -f "$1" ] || return 0 # keepalived does not run
  printf '%s\n' "$1$TAB$2" >>"$saved/drained" || { fail "$saved cannot be written"; return 1; }
  drained="$1$NL$drained"
  give_away "$1" "$2" ||
    say "note no other host takes $2 over: clients wait until this one answers again"
}

drain_again() { # FILE ADDRESS: on the way back
  [ -f "$1" ] || return 0
  drained="$1$NL$drained"
  give_away "$1" "$2"
  return 0
}

give_away() { # FILE ADDRESS: the other hosts may need some seconds to see that their own gateways serve
  printf '1\n' >"$1"
  tries=40
  while has_address "$2"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    nap
  done
}

has_address() { [ -n "$(run ip -o addr show to "$1" 2>/dev/null)" ]; } # ADDRESS

undrain() { if [ -f "$1" ]; then printf '0\n' >"$1"; fi; } # FILE

remove_service() { # KIND NAME DATA-DIRECTORY MADE: the data stays unless the directory is named
  changed=1
  if "$1_there" "$2"; then
    if ! "$1_ours" "$2"; then
      say "note the $1 $2 is not ours any more: it and its data are left alone"
      return 0
    fi
    stand_aside "$1" "$2" || return 1
  fi
  if [ -n "$3" ]; then doomed="$3$TAB$4$NL$doomed"; fi
  rm -f "$RECORDS"/*".$2"
  return 0
}

forget_before() { "$2_forget" "$1"; } # NAME KIND

keep_service() { # NAME BASE64: how it is run, for the way back to it; see kept_service
  forget_kept "$1"
  stage "$BASE/services/$1" 0600 "$2"
}

drop_service() { # NAME
  forget_kept "$1"
  drop "$BASE/services/$1"
}

forget_kept() { # NAME: what version 0.1 kept
  if [ -e "$BASE/containers/$1" ]; then drop "$BASE/containers/$1"; fi
}

# How a service of ours is run: KIND ADDRESS:PORT PROBE WORD..., written by ourselves, every word
# quoted, readable by root alone. Version 0.1 kept ADDRESS:PORT TLS WORD... of its containers.
kept_service() { # NAME: nothing where none is kept
  if [ -s "$BASE/services/$1" ]; then
    cat "$BASE/services/$1"
  elif [ -s "$BASE/containers/$1" ]; then
    printf 'container %s\n' "$(cat "$BASE/containers/$1")"
  fi
}

back_service() { # NAME KIND: what came goes, and what was there before comes back
  name=$1
  "$2_gone" "$name"
  kept=$(kept_service "$name")
  if [ -z "$kept" ]; then # or what is kept was lost: it may still stand aside
    "$2_back" "$name"
    return
  fi
  eval "set -- $kept"
  kind=$1 where=$2 question=$3
  shift 3
  "${kind}_back" "$name" "$@" || return 1
  # Back it is; whether it ever answered is another question.
  answering "$kind" "$name" "$where" "$question" ||
    say "note $name is as it was before, and does not answer $(asked "$question") at $where"
}

serves() { # KIND NAME ADDRESS:PORT PROBE: it answers before it counts as done
  answering "$@" && return 0
  fail "$2 does not answer $(asked "$4") at $3: $(last_words "$1" "$2")" \
    "its log above says why; \`$("$1_log" "$2")\` on the host says more"
}

asked() { # PROBE: what was asked for, for a message
  case $1 in
    yes | no) echo /v2/ ;;
    tcp) echo 'a connection' ;;
    *) echo "${1##*:}" ;;
  esac
}

last_words() { # KIND NAME
  said=$("$1_last_words" "$2")
  trouble=$(printf '%s\n' "$said" | without_traces | serious | uniq | tail -n 3)
  printf '%s' "${trouble:-$(printf '%s\n' "$said" | tail -n 2)}" | flat
}

# A program of Go's that ends by a panic says why, and then twenty lines of where (runtime.Stack).
without_traces() {
  awk '/^panic: / { print; trace = 1; next } /^time="/ || /^\{"/ { trace = 0 } !trace'
}

answering() { # KIND NAME ADDRESS:PORT PROBE: within half a minute
  tries=120
  until probe "$3" "$4"; do
    tries=$((tries - 1))
    "$1_alive" "$2" || tries=0
    [ "$tries" -le 0 ] && return 1
    nap
  done
}

# PROBE is SCHEME:CODE,...:PATH or `tcp`; version 0.1 kept whether a registry speaks TLS.
probe() { # ADDRESS:PORT PROBE: by whatever client the host has
  case $1 in
    *:*) ;;
    *) set -- "127.0.0.1:$1" "$2" ;; # kept by an earlier version, which knew ports alone
  esac
  case $2 in
    yes) set -- "$1" https 200,401 /v2/ ;;
    no) set -- "$1" http 200,401 /v2/ ;;
    tcp) listens "${1##*:}"; return ;;
    *)
      codes=${2#*:}
      set -- "$1" "${2%%:*}" "${codes%%:*}" "${codes#*:}"
      ;;
  esac
  if command -v curl >/dev/null 2>&1; then
    code=$(run curl -q -gsk --noproxy '*' -m 5 -o /dev/null -w '%{http_code}' "$2://$1$4" 2>/dev/null)
    case ,$3, in *",${code:-none},"*) return 0 ;; esac
    return 1
  fi
  if [ "$2" = https ] && command -v openssl >/dev/null 2>&1; then
    answer=$(printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$4" |
      openssl s_client -quiet -connect "$1" 2>/dev/null 9>&- | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p')
    case ,$3, in *",${answer:-none},"*) return 0 ;; esac
    return 1
  fi
  if [ "$2" = http ] && command -v bash >/dev/null 2>&1; then
    answer=$(by_bash "$1" "$4" | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p')
    case ,$3, in *",${answer:-none},"*) return 0 ;; esac
    return 1
  fi
  # An engine is a client too. Docker holds 127.0.0.0/8 insecure; elsewhere it complains of a
  # certificate that it does not trust, or of plain HTTP, where somebody answers.
  said=
  if [ "$4" != /v2/ ]; then
    listens "${1##*:}"
    return
  elif command -v docker >/dev/null 2>&1; then
    said=$(run docker pull "$1/regfleet/probe" 2>&1)
  elif command -v podman >/dev/null 2>&1; then
    said=$(run podman --remote=false pull -q --tls-verify=false "$1/regfleet/probe" 2>&1)
  else
    listens "${1##*:}"
    return
  fi
  case $said in
    *x509:* | *'HTTP response to HTTPS client'*) return 0 ;;
    *'no basic auth'* | *unauthorized* | *'authentication required'*) return 0 ;;
    *'manifest unknown'* | *'not found'* | *denied*) return 0 ;;
  esac
  return 1
}

by_bash() { # ADDRESS:PORT PATH: what answers, whole
  answering_at=${1%:*}
  answering_at=${answering_at#[}
  # shellcheck disable=SC2016  # the variables are bash's
  run timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf "GET %s HTTP/1.0\r\n\r\n" "$2" >&3 && cat <&3' \
    "${answering_at%]}" "${1##*:}" "$2" 2>/dev/null
}

# Not enough where there is a better way: docker-proxy and conmon listen before a container does.
listens() { # PORT: somebody does (proc(5), /proc/net/tcp; 0A is LISTEN)
  grep -q "^ *[0-9]*: [0-9A-F]*:$(printf '%04X' "$1") [0-9A-F]*:0000 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

holder() { # PORT: who listens there
  found=
  if command -v ss >/dev/null 2>&1; then
    found=$(ss -H -ltnp "sport = :$1" 2>/dev/null | head -n 1 |
      sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (process \2) listens there/p')
  fi
  echo "${found:-docker ps and ss -ltnp tell by what}"
}
