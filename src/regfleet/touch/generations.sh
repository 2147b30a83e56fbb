# What a host keeps of earlier changes: its generations, a line for each thing. Reads alone.
# shellcheck shell=sh disable=SC2154  # for shellcheck alone: nothing is set elsewhere
base=/var/lib/regfleet
MOST=65536 # bytes of each list

part() { # NAME: each line of that file of a generation
  [ ! -f "$old/$1" ] || { head -c "$MOST" "$old/$1"; echo; } | sed -n "s/^./@$1 &/p"
}

for old in "$base"/generations/*; do
  number=${old##*/}
  case $number in *[!0-9]* | '') continue ;; esac
  if [ ! -d "$old" ] || [ -e "$old/unfinished" ]; then continue; fi
  echo "@generation $number"
  echo "@saved $(stat -c %Y "$old/fleet" 2>/dev/null)"
  for name in fleet run changes present absent containers services; do part "$name"; done
done
[ ! -f "$base/pending" ] || echo "@pending $(head -c 20 "$base/pending")"
