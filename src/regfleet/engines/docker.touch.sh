# Docker, as the touch changes it: its service, whether it answers, what its live configuration is.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # variables of touch/program; backquotes are for people

new_flags=
new_flags_known=
parser=yes # empty where dockerd is known to have none that only validates

docker_installed() {
  enable_unit docker
  answers 1 || service start
  [ -n "$failed" ] || answers 60 || fail 'the engine was installed but does not answer' \
    'see its log: `journalctl -u docker` or /var/log/docker.log'
}

service() { # start | restart
  if [ -d /run/systemd/system ]; then
    run systemctl reset-failed "$docker_unit" >/dev/null 2>&1
    read_units_again
    try "systemctl $1 ${docker_unit%.service}" systemctl "$1" "$docker_unit"
  elif is_openrc docker; then
    rc_service docker "$1"
  elif [ -x /etc/init.d/docker ]; then
    said=$(run usually /etc/init.d/docker "$1" 2>&1) || by_hand "$said"
  else
    fail "no service manager here runs dockerd: it cannot be ${1}ed" "$1 it by hand, then run this again"
  fi
}

# A service script that cannot do its work, as where limits may not be raised (in a container):
# the daemon is started as the script would start it.
by_hand() { # WHAT-THE-SCRIPT-SAID
  pid=$(docker_pid)
  if [ -n "$pid" ]; then
    kill "$pid" 2>/dev/null
    tries=60
    while [ -d "/proc/$pid" ] && [ "$tries" -gt 0 ]; do
      tries=$((tries - 1))
      nap
    done
  fi
  (
    umask 022
    DOCKER_OPTS=
    # shellcheck source=/dev/null
    if [ -r /etc/default/docker ]; then . /etc/default/docker; fi
    # shellcheck disable=SC2086  # options are words, as the service script takes them
    exec setsid dockerd --pidfile /var/run/docker.pid $DOCKER_OPTS
  ) >>/var/log/docker.log 2>&1 </dev/null 9>&- &
  say "note /etc/init.d/docker failed ($(printf '%s' "$1" | tail -n 1 | flat)); dockerd was started directly"
}

answers() { # SECONDS: the engine answers within them; sooner when its process is gone
  tries=$(($1 * 4))
  gone=0
  while :; do
    find_engine # what it listens on may have changed with its start
    run docker version --format '{{.Server.Version}}' >/dev/null 2>&1 && return 0
    tries=$((tries - 1))
    if [ -n "$pid" ]; then gone=0; else gone=$((gone + 1)); fi
    if [ "$tries" -le 0 ] || [ "$gone" -gt 20 ]; then return 1; fi
    nap
  done
}

start_engine() {
  changed=1
  service start
  [ -n "$failed" ] && { engine_said; return 1; }
  answers 60 || { fail 'the engine was started but does not answer'; engine_said; return 1; }
  settled 10 || fail "the engine that was started does not show \"$missing\""
}

engine_said() { # the engine's own last words, for the report
  if [ -d /run/systemd/system ]; then
    # By its own name: what the service manager adds is no reason.
    run journalctl -u "$docker_unit" -t dockerd -t docker.dockerd --since "@$began" -o cat --no-pager 2>/dev/null
  else
    tail -n 30 /var/log/docker.log 2>/dev/null
  fi | serious | tail -n 3 | cut -c1-400 | sed 's/^/@engine /'
}

# The arguments that dockerd starts with from now on, where they are not those it runs with.
will_run_with() { # ARGUMENT...
  new_flags=$(printf '%s\n' "$@")
  new_flags_known=1
}

daemon_flags() { # a line each, without the configuration file
  if [ -n "$new_flags_known" ]; then
    printf '%s\n' "$new_flags"
  else
    pid=$(docker_pid)
    [ -n "$pid" ] && tr '\0' '\n' <"/proc/$pid/cmdline" | sed 1d
  fi | sed -e '/^--config-file$/,+1d' -e '/^--config-file=/d' -e '/^$/d'
}

without_parser() { parser=; }

# What is prepared for daemon.json is judged, and what dockerd reads first is prepared, where that
# is another text. Texts are in base64.
will_take_up() { # PATH ACTIVATION UNDO [MEANWHILE]
  daemon_path=$1 activation=$2 undo_daemon=$3
  find_prepared "$1"
  if [ -n "$prepared" ]; then
    validate "$prepared" "$1" || return 1
  elif [ -n "$removed" ]; then
    # What stood there before us comes back.
    if [ -f "$BASE/original$1" ]; then removed=$BASE/original$1; else removed=; fi
    validate "$removed" "$1" || return 1
  elif [ -f "$1" ]; then
    validate "$1" flags || return 1
  else
    validate '' flags || return 1
  fi
  [ -n "${4:-}" ] || return 0
  hold "$1"
  mode=0644
  [ -f "$1" ] && mode=$(stat -c %a "$1")
  stage "$1" "$mode" "$4" || return 1
  validate "$fresh" "$1"
}

find_prepared() { # PATH: sets `prepared` to the file that takes its place, or `removed`
  wanted_path=$1 prepared='' removed=''
  each note_prepared "$staged"
  each note_removed "$dropped"
}

note_prepared() { # TEMPORARY TARGET
  [ "$2" != "$wanted_path" ] || prepared=$1
}

note_removed() { # TARGET
  [ "$1" != "$wanted_path" ] || removed=$1
}

validate() { # FILE WHAT: by the engine's own parser, with its flags (23.0 and later); empty for no file
  [ -n "$parser" ] && command -v dockerd >/dev/null 2>&1 || return 0
  file=$1 judged=$2
  flags=$(daemon_flags)
  set --
  while IFS= read -r flag; do
    [ -n "$flag" ] && set -- "$@" "$flag"
  done <<EOF
$flags
EOF
  [ -n "$file" ] && set -- --config-file "$file" "$@"
  said=$(run dockerd --validate "$@" 2>&1) || {
    case $said in *'unknown flag: --validate'*) return 0 ;; esac
    fail "dockerd refuses the new $judged: $(printf '%s' "$said" | tail -n 2 | flat)" \
      'nothing was changed; mend the declaration, or the flags that dockerd is started with'
    return 1
  }
}

want() { wants="$wants$1$NL"; }

refuse() { refusals="$refusals$1$NL"; }

live() { run docker info --format "$docker_live" 2>/dev/null; } # what the daemon holds, a line each

holds() { # whether the live daemon shows what it must and not what it must not: sets `missing`
  now=$(live) || { missing='an answer'; return 1; }
  missing=
  each holds_one "$wants" && each lacks_one "$refusals"
}

holds_one() { printf '%s\n' "$now" | grep -q -x -F "$1" || { missing=$1; return 1; }; }

lacks_one() { printf '%s\n' "$now" | grep -q -x -F "$1" && { missing="not $1"; return 1; }; return 0; }

settled() { # SECONDS
  tries=$(($1 * 4))
  until holds; do
    tries=$((tries - 1))
    [ "$tries" -le 0 ] && return 1
    nap
  done
}

moment() { # sets `now`: seconds, with a fraction where date(1) knows it
  now=$(date +%s.%N)
  case $now in *[!0-9.]* | *.) now=$(date +%s) ;; esac
}

# The daemon tells of a reload that it carried out, and tells nobody but its log of a file that it
# cannot take (moby daemon/reload.go).
reloads() { # MOMENT: how many there were since
  moment
  run docker events --since "$1" --until "$now" --filter type=daemon --filter event=reload \
    --format reload 2>/dev/null | grep -c reload
}

reload() { # PID SECONDS: whether the daemon takes its file up within them
  moment
  asked=$now before=0
  case $asked in *.*) ;; *) before=$(reloads "$asked") ;; esac # others in the same second
  kill -HUP "$1"
  tries=$(($2 * 4))
  while [ "$tries" -gt 0 ]; do
    nap # less than to ask once too often
    [ "$(reloads "$asked")" -le "$before" ] || return 0
    tries=$((tries - 1))
  done
  return 1
}

activate() { # reload | restart | none, then yes where a reload may end in a restart
  [ "$1" = none ] && return 0
  : >"$saved/activated"
  if [ "$1" = reload ]; then
    pid=$(docker_pid)
    missing='an engine that runs'
    if [ -n "$pid" ]; then
      if ! reload "$pid" 5; then
        fail "the engine does not take up the new $daemon_path" 'mend the declaration'
        engine_said
        return 1
      fi
      settled 5 && return 0
    fi
    if [ "$2" != yes ]; then
      fail "the engine was told to reload but does not show \"$missing\"" \
        'restart it when it is safe, then run this again'
      engine_said
      return 1
    fi
    echo restart >"$saved/activation"
    say "note the reload did not show \"$missing\": the engine is restarted"
  fi
  service restart
  [ -n "$failed" ] && { engine_said; return 1; }
  answers 60 || { fail 'the engine does not come back after its restart'; engine_said; return 1; }
  settled 10 || { fail "the restarted engine does not show \"$missing\""; return 1; }
}

# The command-line client wants a directory where others want a file.
docker_login() { # FILE ENDPOINT USER: in a directory of root's own, never an account's
  # With a login in it the client takes no credential helper that it finds (docker/cli,
  # cli/config/config.go, LoadDefaultConfigFile).
  printf '{"auths": {"regfleet.invalid": {}}}' >"$1"
  docker --config "${1%/*}" login --username "$3" --password-stdin "$2"
}

# ---- images ----

docker_pull() { # REFERENCE
  run docker image inspect "$1" >/dev/null 2>&1 && return 0
  said=$(run docker pull -q "$1" 2>&1) || not_pulled "$1"
}

docker_load() { # FILE
  said=$(run docker load -q -i "$1" 2>&1) || not_loaded '`docker save`' /var/lib/docker
}

docker_image_id() { run docker image inspect --format '{{.Id}}' "$1" 2>/dev/null; } # REFERENCE

docker_image_names() { run docker image inspect --format '{{range .RepoTags}}{{.}} {{end}}' "$1" 2>/dev/null; } # ID

docker_tag() { run docker tag "$1" "$2" >/dev/null 2>&1; } # ID REFERENCE

docker_forget_image() { run docker rmi "$1" >/dev/null 2>&1; return 0; } # REFERENCE
