# regfleet's look at a host: reads, changes nothing, prints lines that begin with @.
# Behind it come calls of the functions below. Each takes what to look for as arguments.
# Every host runs it at every plan, and to start a program costs what ten lines of the shell's own
# do: it starts few.
# shellcheck shell=sh
NL='
'
told= # the engine, by its shell word, that has told of all images and containers already

say() { printf '@%s\n' "$*"; }

whole() { # NAME PATH: a file's whole content, base64 in one line
  [ -f "$2" ] || return 0
  printf '@whole %s ' "$1"
  base64 -w 0 <"$2" 2>/dev/null || base64 <"$2" | tr -d '\n' # older busybox folds lines, always
  echo
}

look_host() {
  # A program's own entry in /proc is made when it starts (proc(5)): it tells who asks, and when.
  # shellcheck disable=SC2046
  set -- $(stat -L -c '%u %Y' /proc/self 2>/dev/null)
  say "uid ${1:-$(id -u)}"
  say "clock ${2:-$(date +%s)}"
  if [ -d /run/systemd/system ]; then say 'init systemd'; else say 'init scripts'; fi
  for tool in apt-get dnf yum zypper apk pacman; do
    if command -v "$tool" >/dev/null 2>&1; then say "packages $tool"; break; fi
  done
  os=unknown version=
  if [ -r /etc/os-release ]; then
    while IFS='=' read -r name value; do # assignments, perhaps quoted (os-release(5))
      value=${value#[\"\']}
      value=${value%[\"\']}
      case $name in ID) os=$value ;; VERSION_ID) version=$value ;; esac
    done </etc/os-release
    say "os $os $version"
  fi
  whole owned /var/lib/regfleet/owned.json
  # Twice, for it may end while we ask who it is.
  if unfinished && ! at_work /var/lib/regfleet/lock && unfinished; then say 'pending'; fi
}

unfinished() { [ -e /var/lib/regfleet/pending ] || [ -e /var/lib/regfleet/making ]; }

# Whether a touch is in the middle of its work, and whose. It holds its lock open as file
# descriptor 9 for as long as it lives; to try the lock would be to take it for a moment.
at_work() { # LOCK
  holder=$(sed -n 's/.*, process \([0-9]*\)$/\1/p' "$1" 2>/dev/null)
  [ -n "$holder" ] && [ "$(readlink "/proc/$holder/fd/9")" = "$(readlink -f "$1")" ] || return 1
  say "busy $(tr '\n' ' ' <"$1")"
}

look_paths() { # PATH...: raw mode, owner and digest of each that exists
  [ $# -gt 0 ] || return 0
  stat -L -c '@stat %f %u %g %n' "$@" 2>/dev/null
  sums=$(sha256sum "$@" 2>/dev/null)
  IFS=$NL
  set -f
  for sum in $sums; do say "sum $sum"; done
  set +f
  unset IFS
}

look_text() { # PATH: a file that is merged into, and what it was before us
  whole "text:$1" "$1"
  whole "original:$1" "/var/lib/regfleet/original$1"
}

look_registries_conf() { # files that speak of registries; one of short names alone is long
  for file in /etc/containers/registries.conf /etc/containers/registries.conf.d/*.conf; do
    if grep -q '^[[:space:]]*\[\{1,2\}registr' "$file" 2>/dev/null; then look_text "$file"; fi
  done
}

look_image() { # ENGINE REFERENCE: with the engine's own `ENGINE_image`
  [ "$told" != "$1" ] || return 0
  id=$("$1_image" "$2" 2>/dev/null) && say "image $2 $id"
}

look_login() { # ACCOUNT ENDPOINT SALT FILE: never the login, only its salted digest
  find_home "$1"
  if [ -z "$home" ]; then say "login $1 $2 no-account"; return 0; fi
  file=$home/$4
  [ -f "$file" ] || return 0
  compact=
  set -f
  while read -r line || [ -n "$line" ]; do
    for word in $line; do compact=$compact$word; done
  done <"$file"
  set +f
  name="\"$2\":{"
  auth=
  case $compact in
    *"$name"*)
      entry=${compact##*"$name"}
      entry=${entry%%\}*}
      case $entry in
        *'"auth":"'*)
          auth=${entry##*'"auth":"'}
          auth=${auth%%\"*}
          ;;
      esac
      ;;
  esac
  if [ -n "$auth" ]; then
    digest=$(
      sha256sum <<EOF
$3$auth
EOF
    )
    say "login $1 $2 ${digest%% *}"
  else
    case $compact in
      *'"credsStore":"'?*'"'"$2"'":{'* | *'"'"$2"'":{'*'"credsStore":"'?* | \
      *'"credHelpers":{'*'"'"$2"'":"'?*) say "login $1 $2 helper" ;;
    esac
  fi
}
