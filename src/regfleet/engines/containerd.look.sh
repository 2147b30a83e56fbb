# containerd, as the look sees it.
# shellcheck shell=sh disable=SC2154  # functions and variables of look.sh

# One that runs, or that its unit starts, in none of the usual places; dockerd's own is none.
containerd_elsewhere() {
  for pid in $(pidof containerd 2>/dev/null); do
    if is_roots "$pid" containerd && ! grep -q /docker/containerd/ "/proc/$pid/cmdline"; then
      say "of containerd elsewhere ${exe% (deleted)}"
      return
    fi
  done
  if started_by containerd.service; then say "of containerd elsewhere $exe"; fi
}

containerd_look() {
  config=/etc/containerd/config.toml
  for pid in $(pidof containerd); do
    is_roots "$pid" containerd || continue
    given=$(tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null |
      sed -n -e 's/^--config=//p' -e '/^--config$/{n;p;}' -e '/^-c$/{n;p;}' | head -n 1)
    case $given in
      '' | */docker/containerd/*) ;; # dockerd runs one of its own where there is no other
      *) config=$given ;;
    esac
  done
  say "of containerd config $config"
  hosts=/etc/containerd/certs.d
  imports=
  if ! command -v containerd >/dev/null 2>&1; then
    say 'of containerd state missing'
    containerd_elsewhere
  else
    if version=$(ctr version 2>/dev/null | sed -n '/^Server/,$ s/.*Version: *//p' | head -n 1) &&
      [ -n "$version" ]; then
      say 'of containerd state up'
    else
      version=$(containerd --version 2>/dev/null | cut -d' ' -f3)
      if pidof containerd >/dev/null 2>&1; then
        say 'of containerd state silent'
      else
        say 'of containerd state down'
      fi
    fi
    say "of containerd version ${version#v}"
    say_boot containerd containerd
    if dump=$(containerd --config "$config" config dump 2>/dev/null); then
      # Of the whole only what is about registries, without anybody's passwords.
      dump=$(printf '%s\n' "$dump" | awk '
        BEGIN { keep = 1 }
        /^[ \t]*\[/ { keep = /cri/ && /registry/ && !/auth/ && !/headers/ }
        keep')
      say "of containerd dump $(printf '%s\n' "$dump" | base64 | tr -d '\n')"
      containerd_imports "$(printf '%s\n' "$dump" | sed -n 's/^imports = \[\(.*\)\]$/\1/p')"
      path=$(printf '%s\n' "$dump" | sed -n "s/^ *config_path = ['\"]\([^'\":]*\).*/\1/p" | head -n 1)
      [ -n "$path" ] && hosts=$path
    else
      say "of containerd refused $(containerd --config "$config" config dump 2>&1 | tail -n 2 | flat)"
    fi
  fi
  say "of containerd hosts $hosts"
  look_text "$config"
  # Those of a directory that was another one when ours were written are in the record.
  files=$(
    {
      ls -d "$hosts"/*/hosts.toml /etc/containerd/certs.d/*/hosts.toml 2>/dev/null
      recorded_files hosts.toml
    } | sort -u
  )
  IFS=$NL
  set -f
  for file in $files; do
    look_text "$file"
    look_paths "$file"
  done
  set +f
  unset IFS
}

containerd_imports() { # LIST: of config.toml, as the dump has it; the files that are there, in order
  IFS=$NL
  for file in $(printf '%s\n' "$1" | tr ',' '\n' | sed -e 's/^ *["'"'"']//' -e 's/["'"'"'] *$//'); do
    case $file in
      "$config" | *[!A-Za-z0-9_./@+-]*) ;;
      /*)
        if [ -f "$file" ]; then
          imports="${imports:+$imports:}$file"
          look_text "$file"
          look_paths "$file"
        fi
        ;;
    esac
  done
  unset IFS
  say "of containerd imports ${imports:-}"
}

containerd_image() { # REFERENCE: none is kept for the smoke test, which has a namespace of its own
  return 1
}
