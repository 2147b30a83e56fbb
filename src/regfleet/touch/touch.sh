# regfleet's touch of a host: applies one plan as a transaction, or puts everything back.
# POSIX sh and coreutils (or busybox); fed by standard input, followed by one function
# `plan` that calls `step` for each thing to do. The shell reads that function to its end
# before it runs any of it, so a cut connection means that nothing has happened.
# Output: lines that begin with @ are for the controller (see outcome.py).
# shellcheck shell=sh disable=SC2016  # backquotes in messages are for people, not for the shell
set -u
umask 077
LC_ALL=C
PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin"
export LC_ALL PATH
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND

BASE=/var/lib/regfleet
TAB=$(printf '\t')
NL='
'
failed=            # set once something went wrong: later steps are passed over
changed=           # set once something outside BASE was changed
staged=            # lines: temporary file TAB target TAB mode
dropped=           # lines: target
made=              # lines: directories made
saved=             # directory of this generation
undo_daemon=       # text that makes the daemon forget what it took up
daemon_path=
daemon_final=keep  # keep | remove | a temporary file
activation=none
activated=
wants=
refusals=
replaced=          # lines: containers that stand aside as NAME-before
started=           # lines: containers that were not there before
unused=            # lines: images that go at the end
count=0

say() { printf '@%s\n' "$*"; }

# One line of text, so that it stays one line of the protocol.
flat() { tr '\n\r\t' '   ' | tr -s ' ' | cut -c1-600; }

fail() { # MESSAGE [HINT]
  [ -n "$failed" ] && return 1
  failed=1
  say "failed $(printf '%s' "$1" | flat)"
  [ -n "${2:-}" ] && say "hint $2"
  return 1
}

# Everything that changes a host goes through here, in the order of the plan. The hook is for
# fault injection: it is told the number and name of each step before the step begins.
step() {
  [ -n "$failed" ] && return 0
  count=$((count + 1))
  if [ -n "${REGFLEET_STEP_HOOK:-}" ]; then "$REGFLEET_STEP_HOOK" "$count" "$1"; fi
  "$@" || fail "the step $1 did not succeed"
}

# Children must not hold the lock (file descriptor 9) or wait for our input.
run() { "$@" </dev/null 9>&-; }

# Says what a command printed when it fails.
try() { # WHAT COMMAND...
  what=$1
  shift
  if ! said=$(run "$@" 2>&1); then fail "$what: $(printf '%s' "$said" | tail -n 3 | flat)"; fi
}

begin() { # WHO
  if ! mkdir -p "$BASE" 2>/dev/null || ! chmod 0700 "$BASE"; then
    fail "$BASE cannot be made or written" "is the disk full or read-only? see \`df -h /var/lib\`"
    return 1
  fi
  if command -v flock >/dev/null 2>&1; then
    exec 9>>"$BASE/lock"
    if ! flock -n 9; then
      fail "another regfleet run is at work here: $(flat <"$BASE/lock")" "wait for it to end"
      return 1
    fi
    if ! printf '%s since %s, process %s\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" $$ >"$BASE/lock"
    then
      fail "nothing can be written to $BASE: the disk is full" 'make room on the host: see `df -h /var/lib`'
      return 1
    fi
  fi
}

digest() { if [ -e "$1" ]; then sha256sum <"$1" | cut -d' ' -f1; else echo absent; fi; }

expect() { # PATH DIGEST: what was looked at is still so
  [ "$(digest "$1")" = "$2" ] ||
    fail "$1 changed since the plan was made" "nothing was touched; run it again to plan afresh"
}

# ---- packages and the service ----

install_packages() { # MANAGER PACKAGE...; one that ends in ? is taken where it is known
  manager=$1
  shift
  case $manager in
    apt-get) try 'apt-get update' apt-get -q update ;;
    apk) try 'apk update' apk update ;;
  esac
  wanted=
  for package; do
    case $package in
      *\?)
        package=${package%\?}
        run apt-cache show "$package" >/dev/null 2>&1 || continue
        ;;
    esac
    wanted="$wanted $package"
  done
  changed=1
  # shellcheck disable=SC2086  # package names are plain words from our own table
  case $manager in
    apt-get) try "apt-get install$wanted" apt-get -q -y install $wanted ;;
    dnf | yum) try "$manager install$wanted" "$manager" -q -y install $wanted ;;
    zypper) try "zypper install$wanted" zypper -n -q install $wanted ;;
    apk) try "apk add$wanted" apk add -q $wanted ;;
    pacman) try "pacman -S$wanted" pacman -S --noconfirm --needed $wanted ;;
  esac
  [ -n "$failed" ] && return 0
  answers 1 || service start
  [ -n "$failed" ] || answers 60 || fail 'the engine was installed but does not answer' \
    'see its log: `journalctl -u docker` or /var/log/docker.log'
}

service() { # start | restart
  if [ -d /run/systemd/system ]; then
    run systemctl reset-failed docker.service >/dev/null 2>&1
    try "systemctl $1 docker" systemctl "$1" docker.service
  elif [ -x /etc/init.d/docker ]; then
    try "/etc/init.d/docker $1" /etc/init.d/docker "$1"
  elif command -v rc-service >/dev/null 2>&1; then
    try "rc-service docker $1" rc-service docker "$1"
  else
    fail "no service manager here runs dockerd: it cannot be ${1}ed" "$1 it by hand, then run this again"
  fi
}

answers() { # SECONDS: the engine answers within them; sooner when its process is gone
  tries=$(($1 * 4))
  gone=0
  while :; do
    run docker version --format '{{.Server.Version}}' >/dev/null 2>&1 && return 0
    tries=$((tries - 1))
    if [ -n "$(docker_pid)" ]; then gone=0; else gone=$((gone + 1)); fi
    if [ "$tries" -le 0 ] || [ "$gone" -gt 20 ]; then return 1; fi
    nap
  done
}

nap() { sleep 0.25 2>/dev/null || sleep 1; }

start_engine() {
  changed=1
  service start
  [ -n "$failed" ] && { engine_said; return 1; }
  answers 60 || { fail 'the engine was started but does not answer'; engine_said; return 1; }
}

engine_said() { # the engine's own last words, for the report
  if [ -d /run/systemd/system ]; then
    run journalctl -u docker.service -n 30 -o cat --no-pager 2>/dev/null
  else
    tail -n 30 /var/log/docker.log 2>/dev/null
  fi | grep -i -E 'level=(error|fatal)|failed|unable|conflict' | tail -n 3 | cut -c1-400 |
    sed 's/^/@engine /'
}

# ---- files ----

directory() { # PATH MODE
  if [ ! -d "$1" ]; then
    try "make $1" mkdir -p "$1"
    [ -n "$failed" ] && return 1
    made="$1$NL$made"
  fi
  changed=1
  if ! chmod "$2" "$1" || ! chown 0:0 "$1"; then fail "$1: mode or owner cannot be set"; fi
}

# A new file beside its target: unpredictable name, 0600, no suffix that certs.d would read.
beside() { # PATH
  mktemp "$(dirname "$1")/.regfleet.XXXXXXXXXX" 2>&1
}

write() { # TEMPORARY BASE64: written and on the disk
  printf '%s' "$2" | base64 -d >"$1" 2>/dev/null && flush "$1"
}

# fsync of one file or directory; a sync that knows no operand flushes everything instead.
flush() { run sync "$1" 2>/dev/null || run sync; }

stage() { # PATH MODE BASE64: sets `fresh`
  if [ ! -d "$(dirname "$1")" ]; then
    directory "$(dirname "$1")" 0755 || return 1
  fi
  if ! fresh=$(beside "$1") || [ ! -f "$fresh" ]; then
    fail "$1 cannot be written: $(printf '%s' "$fresh" | flat)" 'see `df -h` and `mount` on the host'
    return 1
  fi
  staged="$staged$fresh$TAB$1$TAB$2$NL"
  if ! write "$fresh" "$3"; then
    fail "$1 cannot be written: the disk may be full ($(df -Pk "$(dirname "$1")" | tail -n 1 | flat))" \
      'make room on the host, then run this again'
    return 1
  fi
}

put() { # PATH MODE FOREIGN BASE64
  if [ "$3" = 1 ] && [ -f "$1" ] && [ ! -e "$BASE/original$1" ]; then
    try "keep the original $1" mkdir -p "$(dirname "$BASE/original$1")"
    try "keep the original $1" cp -p "$1" "$BASE/original$1"
    [ -n "$failed" ] && return 1
  fi
  stage "$1" "$2" "$4"
}

drop() { # PATH
  dropped="$dropped$1$NL"
}

drop_directory() { # PATH: only when nothing is left in it
  rmdir "$1" 2>/dev/null
  return 0
}

daemon() { # PATH ACTIVE FINAL|same|remove UNDO
  daemon_path=$1
  mode=0644
  [ -f "$1" ] && mode=$(stat -c %a "$1")
  stage "$1" "$mode" "$2" || return 1
  validate "$fresh" || return 1
  undo_daemon=$4
  case $3 in
    same) daemon_final=keep ;;
    remove) daemon_final=remove ;;
    *) daemon_final=$3 ;;
  esac
}

validate() { # FILE: by the engine's own parser, with the flags that it runs with (23.0 and later)
  run dockerd --help 2>/dev/null | grep -q -e --validate || return 0
  pid=$(docker_pid)
  set -- "$1"
  if [ -n "$pid" ]; then
    flags=$(tr '\0' '\n' <"/proc/$pid/cmdline" | sed -e 1d -e '/^--config-file$/,+1d' -e '/^--config-file=/d' -e '/^$/d')
    file=$1
    set --
    while IFS= read -r flag; do
      [ -n "$flag" ] && set -- "$@" "$flag"
    done <<EOF
$flags
EOF
    set -- "$file" "$@"
  fi
  file=$1
  shift
  said=$(run dockerd --validate --config-file "$file" "$@" 2>&1) || {
    fail "dockerd refuses the new $daemon_path: $(printf '%s' "$said" | tail -n 2 | flat)" \
      'nothing was changed; mend the declaration, or the flags that dockerd is started with'
    return 1
  }
}

docker_pid() {
  for file in /var/run/docker.pid /run/docker.pid; do
    if [ -r "$file" ]; then
      read -r pid <"$file" || :
      [ -n "${pid:-}" ] && [ -d "/proc/$pid" ] && { echo "$pid"; return; }
    fi
  done
  if [ -d /run/systemd/system ]; then
    pid=$(run systemctl show --property MainPID --value docker.service 2>/dev/null)
    [ "${pid:-0}" != 0 ] && echo "$pid"
  fi
}

record() { # BASE64: the ownership record is a file like any other, but goes first
  if [ -n "$1" ]; then
    stage "$BASE/owned.json" 0600 "$1" || return 1
    line="$fresh$TAB$BASE/owned.json${TAB}0600$NL"
    staged="$line${staged%"$line"}"
  else
    drop "$BASE/owned.json"
  fi
}

# Calls a function with the fields of each line; no temporary file, for the disk may be full.
# Not to be nested: its variables are global.
each() { # FUNCTION LINES
  function=$1 rest=$2
  while [ -n "$rest" ]; do
    line=${rest%%"$NL"*}
    rest=${rest#*"$NL"}
    [ -n "$line" ] || continue
    first=${line%%"$TAB"*}
    line=${line#"$first"}
    line=${line#"$TAB"}
    second=${line%%"$TAB"*}
    "$function" "$first" "$second" "${line#*"$TAB"}" || return 1
  done
}

save() { # PATH: its present state into this generation
  grep -q -x -F "$1" "$saved/present" 2>/dev/null && return 0
  grep -q -x -F "$1" "$saved/absent" 2>/dev/null && return 0
  if [ -e "$1" ]; then
    mkdir -p "$(dirname "$saved/files$1")" && cp -p "$1" "$saved/files$1" &&
      printf '%s\n' "$1" >>"$saved/present"
  else
    printf '%s\n' "$1" >>"$saved/absent"
  fi
}

save_target() { save "$2"; }

generation() { # a directory for what is about to be replaced
  number=0
  for old in "$BASE"/generations/*; do
    [ -d "$old" ] && [ "${old##*/}" -gt "$number" ] 2>/dev/null && number=${old##*/}
  done
  number=$((number + 1))
  saved=$BASE/generations/$number
  mkdir -p "$saved" || { fail "$saved cannot be made" 'is the disk full? see `df -h` on the host'; return 1; }
  : >"$saved/present"
  : >"$saved/absent"
  say "generation $number"
}

swap_one() { # TEMPORARY TARGET MODE
  chown 0:0 "$1" && chmod "$3" "$1" && mv -f "$1" "$2" && flush "$(dirname "$2")"
}

drop_one() { # TARGET; what stood there before us comes back
  if [ -e "$BASE/original$1" ]; then
    mv -f "$BASE/original$1" "$1"
  else
    rm -f "$1"
  fi
}

swap() { # everything staged goes into place
  generation || return 1
  if ! each save_target "$staged" || ! each save "$dropped"; then
    fail 'the old files cannot be saved' 'is the disk full? see `df -h` on the host'
    return 1
  fi
  flush "$saved"
  changed=1
  each swap_one "$staged" || { fail 'a new file cannot be put in place'; return 1; }
  staged=
  each drop_one "$dropped" || { fail 'a file cannot be removed'; return 1; }
}

# ---- the daemon takes it up ----

want() { wants="$wants$1$NL"; }
refuse() { refusals="$refusals$1$NL"; }

live() { # what the daemon holds, a line each
  run docker info --format '{{range .RegistryConfig.IndexConfigs}}{{if not .Secure}}insecure {{.Name}}
{{end}}{{end}}{{range .RegistryConfig.InsecureRegistryCIDRs}}insecure {{.}}
{{end}}{{range .RegistryConfig.Mirrors}}mirror {{.}}
{{end}}live-restore {{.LiveRestoreEnabled}}
debug {{.Debug}}
log-driver {{.LoggingDriver}}
storage-driver {{.Driver}}
data-root {{.DockerRootDir}}
default-runtime {{.DefaultRuntime}}' 2>/dev/null
}

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

activate() { # reload | restart | none, then yes where a reload may end in a restart
  activation=$1
  [ "$1" = none ] && return 0
  activated=1
  if [ "$1" = reload ]; then
    pid=$(docker_pid)
    if [ -n "$pid" ]; then
      kill -HUP "$pid"
      settled 5 && return 0
    fi
    if [ "$2" != yes ]; then
      fail "the engine was told to reload but does not show \"$missing\"" \
        'restart it when it is safe, then run this again'
      engine_said
      return 1
    fi
    activation=restart
    say "note the reload did not show \"$missing\": the engine is restarted"
  fi
  service restart
  [ -n "$failed" ] && { engine_said; return 1; }
  answers 60 || { fail 'the engine does not come back after its restart'; engine_said; return 1; }
  settled 10 || { fail "the restarted engine does not show \"$missing\""; return 1; }
}

settle() { # after all is verified: daemon.json as it stays
  case $daemon_final in
    keep) ;;
    remove) rm -f "$daemon_path" ;;
    *)
      mode=$(stat -c %a "$daemon_path")
      stage "$daemon_path" "$mode" "$daemon_final" || return 1
      each swap_one "$staged" || return 1
      staged=
      ;;
  esac
}

# ---- images and containers ----

pull() { # REFERENCE
  run docker image inspect "$1" >/dev/null 2>&1 && return 0
  said=$(run docker pull -q "$1" 2>&1) || fail "the image $1 cannot be pulled: $(printf '%s' "$said" | tail -n 2 | flat)" \
    'see whether the host reaches that registry, or give the image as `image_archive`'
}

load() { # FILE: an archive that was sent ahead
  [ -f "$1" ] || return 0
  said=$(run docker load -q -i "$1" 2>&1) || fail "the image archive cannot be loaded: $(printf '%s' "$said" | tail -n 2 | flat)" \
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
  if exists "$name-before"; then run docker rm -f "$name-before" >/dev/null 2>&1; fi
  if exists "$name"; then
    try "stand $name aside" docker rename "$name" "$name-before"
    [ -n "$failed" ] && return 1
    replaced="$name$NL$replaced"
    run docker update --restart no "$name-before" >/dev/null 2>&1
    run docker stop "$name-before" >/dev/null 2>&1
  else
    started="$name$NL$started"
  fi
  if ! said=$(run docker run -d --name "$name" "$@" 2>&1); then
    case $said in
      *'already allocated'* | *'already in use'*)
        fail "the port $port is taken on this host: $(holder "$port")" \
          'stop what listens there, or give the registry an endpoint with another port' ;;
      *'No such image'* | *'pull access denied'* | *'Unable to find image'*)
        fail "the image cannot be had: $(printf '%s' "$said" | tail -n 2 | flat)" \
          'see whether the host reaches its registry, or give the image as `image_archive`' ;;
      *) fail "$name cannot be run: $(printf '%s' "$said" | tail -n 2 | flat)" ;;
    esac
    return 1
  fi
  serves "$name" "$port" "$tls"
}

holder() { # PORT: who listens there
  found=
  if command -v ss >/dev/null 2>&1; then
    found=$(ss -H -ltnp "sport = :$1" 2>/dev/null | sed 's/.*users:((\([^)]*\)).*/\1/' | head -n 1 | flat)
  fi
  echo "${found:-docker ps and ss -ltnp tell by what}"
}

start_container() { # NAME PORT TLS
  changed=1
  try "start $1" docker start "$1"
  [ -n "$failed" ] || serves "$1" "$2" "$3"
}

serves() { # NAME PORT TLS: /v2/ answers before it counts as done
  tries=120
  until probe "$2" "$3"; do
    tries=$((tries - 1))
    state=$(run docker container inspect --format '{{.State.Running}} {{.RestartCount}}' "$1" 2>/dev/null)
    case $state in
      'true 0' | 'true 1' | 'false 0' | 'false 1') ;;
      *) tries=0 ;;
    esac
    if [ "$tries" -le 0 ]; then
      fail "$1 does not answer /v2/ on port $2: $(run docker logs --tail 5 "$1" 2>&1 | flat)" \
        'its log above says why; `docker logs` on the host says more'
      return 1
    fi
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

remove_container() { # NAME DATA-DIRECTORY: the data stays unless the directory is named
  changed=1
  if exists "$1"; then
    owner=$(run docker container inspect --format '{{index .Config.Labels "regfleet.registry"}}' "$1" 2>/dev/null)
    if [ -z "$owner" ]; then
      say "note the container $1 is not ours any more: left alone"
    else
      try "remove $1" docker rm -f "$1"
      [ -n "$failed" ] && return 1
    fi
  fi
  if [ -n "$2" ]; then try "delete $2" rm -rf "$2"; fi
  return 0
}

remove_image() { # REFERENCE: when all has gone well, and unless something uses it
  unused="$unused$1$NL"
}

# ---- logins ----

configuration_of() { # ACCOUNT: the directory of its Docker configuration
  line=$(getent passwd "$1" 2>/dev/null || sed -n "/^$1:/p" /etc/passwd)
  home=$(printf '%s\n' "$line" | cut -d: -f6)
  [ -n "$home" ] && echo "$home/.docker"
}

login() { # ACCOUNT ENDPOINT USER PASSWORD-IN-BASE64
  directory=$(configuration_of "$1")
  [ -n "$directory" ] || { fail "there is no account $1"; return 1; }
  [ -n "$saved" ] || generation || return 1
  save "$directory/config.json" || { fail 'the Docker configuration cannot be saved'; return 1; }
  if [ ! -d "$directory" ]; then
    if ! mkdir -m 0700 "$directory" || ! chown "$1:" "$directory"; then
      fail "$directory cannot be made"
      return 1
    fi
    made="$directory$NL$made"
  fi
  changed=1
  tries=30
  while :; do
    # A registry that was started just now, perhaps on another host, is given a little time.
    if said=$(printf '%s' "$4" | base64 -d | docker --config "$directory" login --username "$3" --password-stdin "$2" 2>&1 9>&-); then
      break
    fi
    case $said in
      *refused* | *'no such host'* | *timeout* | *' EOF'*) tries=$((tries - 3)) ;;
      *) tries=0 ;;
    esac
    if [ "$tries" -le 0 ]; then
      fail "docker login $2 as $3 is refused: $(printf '%s' "$said" | grep -v '^WARNING' | tail -n 2 | flat)" "$(login_hint "$said")"
      return 1
    fi
    sleep 1
  done
  chown "$1:" "$directory/config.json" && chmod 0600 "$directory/config.json"
}

login_hint() { # OUTPUT
  case $1 in
    *x509*authority* | *'unknown authority'*) echo 'the CA in certs.d does not sign what the registry serves: is another registry at that address?' ;;
    *x509*) echo 'the certificate does not fit: see `names` of the registry, and the clocks' ;;
    *'no such host'*) echo 'the host does not resolve that name: see its DNS or /etc/hosts' ;;
    *unauthorized* | *401*) echo 'the password is not the one the registry has: apply the registry first' ;;
    *refused* | *timeout*) echo 'nothing answers there: is the registry up, and the port open?' ;;
    *) echo 'try it by hand on the host: docker login' ;;
  esac
}

logout() { # ACCOUNT ENDPOINT
  directory=$(configuration_of "$1")
  [ -f "$directory/config.json" ] || return 0
  [ -n "$saved" ] || generation || return 1
  save "$directory/config.json" || return 1
  changed=1
  try "docker logout $2" docker --config "$directory" logout "$2"
  # A configuration that says nothing any more is one that was not there before.
  case $(tr -d ' \t\r\n' <"$directory/config.json") in
    '{}' | '{"auths":{}}')
      rm -f "$directory/config.json"
      rmdir "$directory" 2>/dev/null
      ;;
    *) chown "$1:" "$directory/config.json" ;;
  esac
  return 0
}

# ---- the way back, and the end ----

restore_one() { # PATH
  spare=$(beside "$1") || return 1
  cp -p "$saved/files$1" "$spare" && mv -f "$spare" "$1"
}

forget_one() { rm -f "$1"; }

back_container() { # NAME
  run docker rm -f "$1" >/dev/null 2>&1
  run docker rename "$1-before" "$1" && run docker update --restart always "$1" >/dev/null &&
    run docker start "$1" >/dev/null
}

unmake() { rmdir "$1" 2>/dev/null; return 0; }
discard() { rm -f "$1"; return 0; }
remove_started() { run docker rm -f "$1" >/dev/null 2>&1; return 0; }

rollback() {
  broken=
  each discard "$staged"
  if [ -n "$saved" ]; then
    if [ -n "$activated" ] && [ "$activation" = reload ] && [ -n "$undo_daemon" ]; then
      # Keys that go away keep their value across a reload: first let the daemon forget them.
      if spare=$(beside "$daemon_path") && write "$spare" "$undo_daemon"; then
        mv -f "$spare" "$daemon_path"
      fi
      pid=$(docker_pid)
      [ -n "$pid" ] && kill -HUP "$pid"
      nap
      nap
    fi
    each restore_one "$(cat "$saved/present")$NL" || broken='a file could not be restored'
    each forget_one "$(cat "$saved/absent")$NL" || broken='a new file could not be removed'
    sync
    if [ -n "$activated" ] && [ "$activation" = restart ]; then
      if [ -d /run/systemd/system ]; then
        run systemctl reset-failed docker.service >/dev/null 2>&1
        run systemctl restart docker.service >/dev/null 2>&1
      elif [ -x /etc/init.d/docker ]; then
        run /etc/init.d/docker restart >/dev/null 2>&1
      fi
    fi
    if [ -n "$activated" ]; then answers 60 || broken='the engine does not answer'; fi
    [ -n "$broken" ] || rm -rf "$saved"
  fi
  each remove_started "$started"
  each back_container "$replaced" || broken='the old container did not come back'
  each unmake "$made"
  if [ -n "$broken" ]; then
    say "failed and putting things back did not succeed: $broken (the old files are in $saved)"
    say 'outcome failed'
  elif [ -n "$changed" ]; then
    say 'outcome rolled-back'
  else
    say 'outcome failed'
  fi
  # A first touch that failed leaves no trace of itself.
  if [ -z "$broken" ] && [ ! -e "$BASE/owned.json" ]; then rm -rf "$BASE"; fi
}

forget_image() { run docker rmi "$1" >/dev/null 2>&1; return 0; }
forget_before() { run docker rm -f "$1-before" >/dev/null 2>&1; return 0; }

prune() { # the last ten generations stay
  # shellcheck disable=SC2012  # their names are numbers of our own
  ls "$BASE/generations" 2>/dev/null | sort -n | head -n -10 2>/dev/null | while read -r old; do
    rm -rf "$BASE/generations/$old"
  done
}

finish() {
  if [ -n "$failed" ]; then
    rollback
  else
    each forget_before "$replaced"
    each forget_image "$unused"
    prune
    say 'outcome changed'
    [ -e "$BASE/owned.json" ] || rm -rf "$BASE" # nothing of ours is left on this host
  fi
}

touch_host() { # runs `plan`, come what may of the connection
  trap '' HUP PIPE INT TERM
  plan
  finish
}
