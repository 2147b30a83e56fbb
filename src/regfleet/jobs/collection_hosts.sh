# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# A collection of a registry of several hosts with one storage. All of them only read before anything is
# marked; one of them, the collector, deletes; then all take pushes again. They go one after the other,
# so that the others serve pulls meanwhile.
#
# They tell each other by a file of each on that storage, which its host alone writes: TOKEN WORD
# NUMBER. The token is that of this collection. The number grows as long as the host's job lives.
# The collector says `wait`, `hold.HOST`, `work`, `confirm`, `free.HOST` and `over`; the others `here`,
# `holds`, `confirmed`, `ended`, and `lost` where they were ended otherwise.
#
# The collector gives up, and puts back what it deleted, when another host says no more. The others
# wait longer before they take pushes again without having been told: until then it may still delete.

meet=      # directory of these files; empty where the registry has one host
collector= # of another host's job: the host that collects
peers=     # of the collector's job: the other hosts
LOST=10 # less than any machine needs to restart: its registry takes pushes then
ABANDONED=120

collection_meets() { # TOKEN OWN-NAME WORD
  token=$1 me=$2
  meet=$storage/docker/registry/.regfleet-hosts
  if ! mkdir -p "$meet" || ! identify $$; then
    fail "$meet cannot be made"
    return 1
  fi
  alive=$process heard=$roomy/heard
  mkdir -p "$heard"
  collection_word "$3"
  # By exec: of a function's own redirections a shell keeps what they replace, the lock too.
  (exec </dev/null >/dev/null 2>&1 9>&- && collection_beats) &
  beats=$!
  undo_with collection_part
}

collection_word() { printf '%s\n' "$1" >"$heard/word"; } # what this host says from now on

# A process of its own, which outlives the job: whatever ends that, the others hear of it. While what was
# begun is still being ended here, the collector is not over.
collection_beats() {
  number=0 word=wait
  while identify $$ && [ "$process" = "$alive" ]; do
    read -r word <"$heard/word" || :
    collection_writes
    nap
  done
  tries=$((ABANDONED * 4))
  while [ -z "$collector" ] && [ -e "$collecting/end" ] && [ "$tries" -gt 0 ]; do
    tries=$((tries - 1))
    collection_writes
    nap
  done
  if [ -n "$collector" ]; then word=lost; else word=over; fi
  collection_writes
}

collection_writes() {
  number=$((number + 1))
  printf '%s %s %s\n' "$token" "$word" "$number" >"$meet/$me"
}

# Written in place and opened anew each time: NFS asks the server at each open (nfs(5), close-to-open).
# A file that is just being written is empty: then what it said before counts.
collection_hears() { # HOST: sets `word` and `silence`, in seconds; `none` while there is no such file
  its='' word='' number=''
  ls "$meet" >/dev/null 2>&1
  { read -r its word number <"$meet/$1"; } 2>/dev/null || :
  read -r up_for _ </proc/uptime
  up_for=${up_for%%.*} last='' since=$up_for before=none
  { read -r last since before <"$heard/$1"; } 2>/dev/null || :
  if [ -z "$number" ] && [ -e "$meet/$1" ]; then
    word=$before number=$last
  elif [ "$its" != "$token" ]; then
    word=none number=-
  fi
  silence=$((up_for - since))
  if [ "$number" != "$last" ] || [ "$word" != "$before" ]; then
    silence=0
    printf '%s %s %s\n' "$number" "$up_for" "$word" >"$heard/$1"
  fi
}

collection_part() { # the last word, and no more
  boundary collection-part
  kill -9 "$beats" 2>/dev/null # the job keeps what ends it from ending it, and so does this one
  wait "$beats" 2>/dev/null
  if [ -n "$collector" ]; then word=ended; else word=over; fi
  printf '%s %s last\n' "$token" "$word" >"$meet/$me"
  return 0
}

# ---- the collector ----

collection_leads() { # TOKEN OWN-NAME HOST...: the others
  led_token=$1 led_name=$2
  shift 2
  peers=$*
  rm -f "$storage/docker/registry/.regfleet-hosts"/*
  collection_meets "$led_token" "$led_name" wait
}

collection_awaits() { # HOST WORD SECONDS: until it says that
  read -r limit _ </proc/uptime
  limit=$((${limit%%.*} + $3))
  while :; do
    collection_hears "$1"
    [ "$word" != "$2" ] || return 0
    case $word in
      lost | ended) break ;;
      none) ;;
      *) [ "$silence" -lt "$LOST" ] || break ;;
    esac
    [ "$up_for" -lt "$limit" ] || break
    nap
  done
  said="$1 says $word"
  [ "$word" != none ] || said="nothing is heard of $1"
  return 1
}

collection_gather() { # every other host only reads
  [ -n "$meet" ] || return 0
  boundary collection-gather
  for host in $peers; do
    collection_awaits "$host" here 60 ||
      { fail "$service on $host is not made read-only: $said" 'nothing was collected'; return 1; }
  done
  for host in $peers; do
    collection_word "hold.$host"
    collection_awaits "$host" holds 180 ||
      { fail "$service on $host is not made read-only: $said" 'nothing was collected'; return 1; }
  done
  collection_word work
}

collection_all_hold() { # sets `said` where one does not
  for host in $peers; do
    collection_hears "$host"
    if [ "$word" != holds ] || [ "$silence" -ge "$LOST" ]; then
      said="$host says $word since $silence seconds"
      return 1
    fi
  done
}

collection_confirms() { # every other host has only read all the time
  [ -n "$meet" ] || return 0
  boundary collection-confirm
  collection_word confirm
  for host in $peers; do
    collection_awaits "$host" confirmed 60 ||
      { fail "$service on $host may have taken pushes meanwhile: $said" 'all that was deleted is put back'; return 1; }
  done
}

collection_release() { # all take pushes again
  [ -n "$meet" ] || return 0
  boundary collection-release
  for host in $peers; do
    collection_word "free.$host"
    collection_awaits "$host" ended 180 ||
      { fail "whether $service on $host takes pushes again is not known: $said" 'its host ends that by itself within minutes'; return 1; }
  done
}

collection_disperse() { # nobody writes there any more; who comes late reads that it is over
  [ -n "$meet" ] || return 0
  undoing=
  collection_part
  for host in $peers; do
    collection_awaits "$host" ended 20 || return 0
  done
  rm -rf "$meet"
}

# ---- the others ----

collection_hold() { # TOKEN OWN-NAME HOST: the one that collects
  collector=$3
  collection_meets "$1" "$2" here || return 1
  held=0
  if collection_told "hold.$me"; then
    collection_begin || return 1
    collection_word holds
    boundary collection-holds
    progress holding
    held_at=$(date +%s)
    collection_holds || return 1
    boundary collection-free
    undoing=
    if ! collection_end; then
      fail "$service could not be made to take pushes again" "see \`sh $collecting/end $collecting\` on the host"
      return 1
    fi
    if ! answering "$kind" "$service" "$where" "$question"; then
      fail "$service does not answer after the collection: $(last_words "$kind" "$service")"
      return 1
    fi
    held=$(($(date +%s) - held_at))
  fi
  undoing=
  collection_part
  result held "$service" "$held"
}

collection_told() { # WORD: until the collector says it; not, when it ended before
  until collection_hears "$collector" && [ "$word" = "$1" ]; do
    if [ "$word" = over ] || [ "$silence" -ge "$ABANDONED" ]; then return 1; fi
    nap
  done
}

collection_holds() { # until the collector has ended
  while :; do
    collection_hears "$collector"
    case $word in
      "free.$me") return 0 ;;
      over)
        say "note the collection of $service on $collector ended early"
        return 0
        ;;
      confirm)
        collection_reads_only || { fail "$service has taken pushes meanwhile: $said"; return 1; }
        collection_word confirmed
        ;;
    esac
    if [ "$silence" -ge "$ABANDONED" ]; then
      say "note nothing was heard of $collector, which collects, for $silence seconds"
      rm -f "$collecting/meets"
      return 0
    fi
    nap
  done
}
