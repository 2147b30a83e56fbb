# regfleet's touch of a host: applies one plan as a transaction, or puts everything back.
# POSIX sh and coreutils (or busybox); fed by standard input, followed by one function
# `plan` that calls `step` for each thing to do. The shell reads that function to its end
# before it runs any of it, so a cut connection means that nothing has happened.
# Output: between `@begin MARK` and `@end MARK`, lines that begin with @ are for the controller (see
# outcome.py). They are kept in two places for a controller that has to ask again: beside the
# record, which outlives a restart, and in /run, which outlives a touch that takes everything out.
# shellcheck shell=sh disable=SC2016,SC2034  # shared variables; backquotes are for people
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND

BASE=/var/lib/regfleet
RUNS=/run/regfleet
[ -d /run ] || RUNS=/var/run/regfleet
mark=             # this touch's own, which frames what it says
failed=           # set once something went wrong: later steps are passed over
changed=          # set once something outside BASE was changed
whose=            # the fleet that this touch is for
locked=           # set once the lock is ours
told=             # file in RUNS: what this run said
staged=           # lines: temporary file TAB target TAB mode
dropped=          # lines: target
held=             # lines like those of `staged`, and
held_drop=        # one like those of `dropped`: for when an engine has read another text there
made=             # lines: directories made
saved=            # directory of this generation
from=             # directory of the generation that is put back
recovered=        # number of the generation that was put back first, after a kill
undo_daemon=      # text, in base64, that makes the daemon forget what it took up
units=            # lines: engine TAB its service TAB what is done to it
daemon_path=
activation=none
wants=
refusals=
aside=            # lines: services that stand aside TAB their kind
kept=             # lines: originals kept aside by this touch
drained=          # lines: files by which hosts were asked to take an address over
spent=            # lines: originals that came back, and go at the end
unused=           # lines: images that go at the end TAB their engine
spooled=          # lines: archives that go with this touch, however it ends
doomed=           # lines: directories whose data goes at the end TAB whether they are ours
undoing=          # lines: functions that take back what a job did, the last first
of_run='0
'                 # lines: this run's number and id, and who makes it
notes=            # what is changed, in base64: lines of action and resource
count=0
began=$(date +%s)
patience=0        # seconds that it waits for other work to end
outcome=          # how it ended
begun_by=         # who began it
heard=            # set where a controller hears how far it is

# Said to the controller, and kept for a controller that has to ask again.
say() {
  printf '@%s\n' "$*"
  if [ -n "$told" ]; then printf '@%s\n' "$*" >>"$told"; fi 2>/dev/null
  if [ -n "$locked" ]; then printf '@%s\n' "$*" >>"$BASE/last"; fi 2>/dev/null
  return 0
}

# How far a job is, now and then; not kept. Words and numbers are those of shell/how_far.py.
progress() { # WORK [DONE OF [BYTES OF]]
  [ -z "$heard" ] || printf '@progress %s\n' "$*" 2>/dev/null
  return 0 # when the connection broke, too
}

fail() { # MESSAGE [HINT]
  [ -n "$failed" ] && return 1
  failed=1
  say "failed $(printf '%s' "$1" | flat)"
  [ -n "${2:-}" ] && say "hint $2"
  return 1
}

# What a job found, for its Python file to read: `read` of jobs/interface.py. A field is one line.
result() { # KEY FIELD...
  answer_line=$1
  shift
  for field; do
    case $field in *[[:cntrl:]]*) field=$(printf '%s' "$field" | tr '[:cntrl:]' ' ') ;; esac
    answer_line="$answer_line$TAB$field"
  done
  say "result $answer_line"
}

# Fault injection redefines this; it is told of every boundary before what follows it.
hook() { :; }

boundary() { # NAME
  count=$((count + 1))
  hook "$count" "$1"
}

# Everything that changes a host goes through here, in the order of the plan.
step() {
  [ -n "$failed" ] && return 0
  boundary "$1"
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

# Calls a function with the fields of each line; no temporary file, for the disk may be full.
# Not to be nested: its variables are global.
each() { # FUNCTION LINES
  function=$1 rest=$2
  while [ -n "$rest" ]; do
    line=${rest%%"$NL"*}
    case $rest in
      *"$NL"*) rest=${rest#*"$NL"} ;;
      *) rest= ;;
    esac
    [ -n "$line" ] || continue
    first=${line%%"$TAB"*}
    line=${line#"$first"}
    line=${line#"$TAB"}
    second=${line%%"$TAB"*}
    "$function" "$first" "$second" "${line#*"$TAB"}" || return 1
  done
}

begin() { # RUN WHO, which ends in "fleet NAME", then archives that may wait for this touch
  whose=${2##*fleet } begun_by=$2
  keep_answer "$1" || return 1
  if ! mkdir -p "$BASE/services" 2>/dev/null || ! chmod 0700 "$BASE"; then
    fail "$BASE cannot be made or written" "is the disk full or read-only? see \`df -h /var/lib\`"
    return 1
  fi
  until take_lock; do
    if [ "$patience" -gt 0 ]; then
      patience=$((patience - 5))
      sleep 5
      continue
    fi
    fail "another regfleet run is at work here: $(flat <"$BASE/lock")" "wait for it to end"
    return 1
  done
  if ! printf '%s since %s, process %s\n' "$2" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" $$ >"$BASE/lock" ||
    ! printf '@run %s\n' "$1" >"$BASE/last" || ! : >>"$BASE/making"; then
    fail "nothing can be written to $BASE: the disk is full" 'make room on the host: see `df -h /var/lib`'
    return 1
  fi
  locked=1
  sweep
  find_engine
  for left in /run/regfleet-*.vip/drain; do undrain "$left"; done # of a touch that was killed
  # What a touch that was killed left beside its targets; under the lock nobody else's is there.
  if [ -f "$BASE/beside" ]; then
    each clear_beside "$(sort -u "$BASE/beside")"
    rm -f "$BASE/beside"
  fi
  rm -rf "$BASE/generations/spent"
  end_collections || return 1
  shift 2
  for archive; do spooled="$spooled$archive$NL"; done
}

# A registry that a killed collection left read-only takes pushes again (jobs/collection_end.sh); as a
# rule a process on the host has seen to that long ago.
end_collections() {
  for left in "$BASE"/collecting/*/end; do
    [ -e "$left" ] || continue
    service=${left%/end}
    say "note a collection of ${service##*/} was interrupted; it is ended first"
    if ! run sh "$left" "$service"; then
      fail "an interrupted collection of ${service##*/} cannot be ended" "see \`sh $left $service\` on the host"
      return 1
    fi
  done
}

keep_answer() { # RUN: where what is said is kept; those of earlier days go
  [ -d "$RUNS" ] || mkdir -m 0700 "$RUNS" 2>/dev/null
  if [ ! -d "$RUNS" ] || [ -L "$RUNS" ]; then return 0; fi
  # What says that a registry only reads stays until that is ended (jobs/collection_end.sh).
  find "$RUNS" -type f -mtime +0 ! -name 'read-only-*' -exec rm -f {} \; 2>/dev/null
  if [ -e "$RUNS/$1" ]; then
    fail 'the controller gave this run up before it began: nothing was touched' 'run it again'
    return 1
  fi
  if (set -C && printf '@run %s\n' "$1" >"$RUNS/$1") 2>/dev/null; then told=$RUNS/$1; fi
}

noted() { # RUN-NUMBER RUN-ID WHO CHANGES-IN-BASE64: for the generation that is saved
  of_run="$1$NL$2$NL$(date -u +%Y-%m-%dT%H:%M:%SZ)$NL$3"
  notes=$4
}

# One touch at a time; a lock whose holder is dead is nobody's. The kernel's lock where there is
# flock(1), which goes with its holder, and a link that names the process where there is none.
take_lock() {
  exec 9>>"$BASE/lock" || return 1
  if command -v flock >/dev/null 2>&1; then
    flock -n 9
    return
  fi
  ln -s "$$" "$BASE/lock.pid" 2>/dev/null && return 0
  [ ! -d "/proc/$(readlink "$BASE/lock.pid")" ] || return 1
  rm -f "$BASE/lock.pid"
  ln -s "$$" "$BASE/lock.pid" 2>/dev/null
}

settled_before() { # a touch that was cut off has to be put back before anything else
  [ ! -e "$BASE/pending" ] ||
    fail 'a change that was cut off is still to be put back here' 'run it again: that comes first'
}
