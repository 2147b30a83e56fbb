# regfleet's doctor on a host: looks for known failures, changes nothing, prints lines that begin
# with @. The look stands behind it, with functions that are used here; what an engine alone knows
# is in engines/WORD.doctor.sh: WORD_first (before the look), WORD_certs, WORD_trouble, WORD_try.
# shellcheck shell=sh disable=SC2154

# What hangs (an engine, a dead disk, a name server) must not take everything with it.
if command -v timeout >/dev/null 2>&1; then
  patient() { timeout 20 "$@"; }
else
  patient() { command "$@"; }
fi

# Nothing of a URL's user and password leaves the host.
scrub() { sed 's|://[^/@ ]*@|://***@|g'; }

# Lines of a log that tell of trouble, and nothing that speaks of passwords.
serious() {
  grep -v -i -E 'level"?[=:] *"?(trace|debug|info|warn)|password' | sed 's/^time="[^"]*" //' | grep .
}

disks() { # PATH...: space and inodes of the file systems that they are on, or would be
  for path; do
    while [ ! -e "$path" ] && [ "$path" != / ]; do path=$(dirname "$path"); done
    say "disk $(patient df -Pk "$path" 2>/dev/null | tail -n 1)"
    say "inodes $(patient df -Pi "$path" 2>/dev/null | tail -n 1)"
  done
}

resolved() { # NAME: its addresses, none where there are none; no line where it cannot be asked
  command -v getent >/dev/null 2>&1 || return 0
  found=$(patient getent ahosts "$1" 2>/dev/null || patient getent hosts "$1" 2>/dev/null)
  say "name $1 $(printf '%s\n' "$found" | cut -d' ' -f1 | sort -u | tr '\n' ' ')"
}

listener() { # PORT: who listens there, if anybody
  command -v ss >/dev/null 2>&1 || return 0
  found=$(ss -H -ltnp "sport = :$1" 2>/dev/null | head -n 1)
  [ -n "$found" ] || { say "port $1"; return 0; }
  found=$(printf '%s' "$found" | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 \2/p')
  say "port $1 ${found:-?}"
}

certificates() { # DIRECTORY: what lies in it
  for file in "$1"/*; do
    if [ -e "$file" ]; then say "cert $1 ${file##*/}"; fi
  done
}
