# regfleet's doctor on a host: looks for known failures, changes nothing, prints lines that begin
# with @. The look follows it, and its functions are used here; the engines' own checks are in
# engines/WORD.doctor.sh: WORD_first (before the look), WORD_certs, WORD_trouble, WORD_try.
# shellcheck shell=sh disable=SC2016,SC2154  # $ARGV is of perl

begin() { # before anything else
  end_cleanly
  sweep
}

# A command that hangs (an engine, a dead disk, a name server) must not block the others.
if command -v timeout >/dev/null 2>&1; then
  patient() { timeout 20 "$@"; }
else
  patient() { command "$@"; }
fi

# Removes user and password from URLs before they leave the host.
scrub() { sed 's|://[^/@ ]*@|://***@|g'; }

# Log lines about errors, without lines that mention passwords.
serious() {
  grep -v -i -E 'level"?[=:] *"?(trace|debug|info|warn)|password' | sed 's/^time="[^"]*" //' | grep .
}

disks() { # PATH...: space and inodes of their file systems, also of paths that do not exist yet
  for path; do
    while [ ! -e "$path" ] && [ "$path" != / ]; do path=$(dirname "$path"); done
    say "disk $(patient df -Pk "$path" 2>/dev/null | tail -n 1)"
    say "inodes $(patient df -Pi "$path" 2>/dev/null | tail -n 1)"
  done
}

resolved() { # NAME: its addresses; no line if there is no getent
  command -v getent >/dev/null 2>&1 || return 0
  found=$(patient getent ahosts "$1" 2>/dev/null || patient getent hosts "$1" 2>/dev/null)
  say "name $1 $(printf '%s\n' "$found" | cut -d' ' -f1 | sort -u | tr '\n' ' ')"
}

listener() { # NAME PORT [ADDRESS:PORT]: the process that listens there or on all addresses
  command -v ss >/dev/null 2>&1 || return 0
  found=$(ss -H -ltnp "sport = :$2" 2>/dev/null |
    awk -v at="${3:-}" \
      'at == "" || $4 == at || $4 ~ /^(\*|0\.0\.0\.0|\[::\]):/ { print; exit }')
  [ -n "$found" ] || { say "listener $1"; return 0; }
  found=$(printf '%s' "$found" | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 \2/p')
  say "listener $1 ${found:-?}"
}

# Whether somebody accepts connections there; no line where nothing here can tell. What is said to it
# is not what a proxy expects: any answer will do, and none too. It names no host, or a proxy would ask
# itself, and itself again. curl(1), --write-out: time_connect is 0 where there was no connection.
reaches() { # HOST:PORT
  if command -v curl >/dev/null 2>&1; then
    said=$(patient curl -q -sS -m 8 --http1.0 -H Host: --noproxy '*' -o /dev/null \
      -w '\n%{time_connect}' "http://$1/" 2>&1)
    case ${said##*"$NL"} in
      *[1-9]*) say "reaches $1 yes" ;;
      *) say "reaches $1 no $(printf '%s\n' "$said" | sed -n '/^curl: /{p;q;}')" ;;
    esac
  elif said=$(patient perl -MIO::Socket::INET -e '
    IO::Socket::INET->new(PeerAddr => $ARGV[0], Timeout => 8) and print "yes" or print "no $@"' \
    -- "$1" 2>/dev/null); then
    say "reaches $1 $said"
  fi
}

certificates() { # DIRECTORY: the names of its files
  for file in "$1"/*; do
    if [ -e "$file" ]; then say "cert $1 ${file##*/}"; fi
  done
}
