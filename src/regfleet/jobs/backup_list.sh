# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Tells of the backups at a place, or gives a state directory that is kept there; changes nothing.

backup_listed() { # REGISTRY TO MOUNTED FLEET
  backup_at "$2" "$3" "$4" "$1"
  printf '@place %s %s\n' "$1" "$place"
  if ! backup_usable; then
    printf '@error %s %s\n@hint %s %s\n' "$1" "$said" "$1" "$advice"
    return
  fi
  backup_numbers | tail -n 1000 | while read -r number; do
    about=$(head -c 4096 "$place/backups/$number/about" 2>/dev/null)
    printf '@backup %s %s' "$1" "$number"
    for each in taken tags blobs bytes broken; do printf ' %s' "$(backup_tells "$each" | grep -x '[0-9]\{1,18\}' || echo -)"; done
    echo
  done
  for each in "$place"/state/*; do
    case ${each##*/} in *[!0-9]* | '' | ???????????*) continue ;; esac
    if [ -f "$each" ] && [ ! -L "$each" ]; then printf '@state %s %s %s\n' "$1" "${each##*/}" "$(stat -c %Y "$each")"; fi
  done
}

backup_state_given() { # REGISTRY TO MOUNTED FLEET: the newest one, in base64
  backup_at "$2" "$3" "$4" "$1"
  if ! backup_usable; then
    printf '@error %s %s\n@hint %s %s\n' "$1" "$said" "$1" "$advice"
    return
  fi
  newest=
  for each in "$place"/state/*; do
    case ${each##*/} in *[!0-9]* | '' | ???????????*) continue ;; esac
    if [ -f "$each" ] && [ ! -L "$each" ] && [ "${each##*/}" -gt "${newest:-0}" ]; then newest=${each##*/}; fi
  done
  if [ -n "$newest" ]; then
    printf '@state %s %s %s\n' "$1" "$newest" "$(stat -c %Y "$place/state/$newest")"
    head -c 33554432 "$place/state/$newest" | base64 | sed 's/^/@data /'
  fi
}
