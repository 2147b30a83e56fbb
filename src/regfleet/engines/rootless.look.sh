# An account's own Docker, as the look sees it.
# shellcheck shell=sh disable=SC2034,SC2154  # functions and variables of look.sh, common.sh and rootless.sh

of_own() { say "of rootless $1 $(printf '%s' "$2" | flat)"; }

rootless_look() { # after `engine_account`
  if ! find_own "$engine_account"; then
    say 'of rootless state missing'
    of_own no-account "$engine_account"
    return 0
  fi
  place="~$engine_account/.config/docker/daemon.json"
  look_home_text "$place"
  case $answer in '' | absent) ;; *) of_own unread "$(obstacle "$answer" "$place" "$engine_account")" ;; esac
  if [ -z "$pid" ]; then
    look_stopped
    return 0
  fi
  of_own unit "$own_unit"
  of_own flags "$(printf '%s' "$flags" | tr '\n' ' ')"
  settings=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | sed -n 's/^XDG_CONFIG_HOME=//p' | head -n 1)
  case ${settings:-$home/.config} in "$home/.config" | "$home/.config/") ;; *) of_own elsewhere "$settings/docker" ;; esac
  ask_own 20 info || :
  case $said in *"$NL"*) said="${said%%"$NL"*} ..." ;; esac
  case $said in
    '{'*'}')
      say 'of rootless state up'
      of_own version "$(printf '%s\n' "$said" | sed -n 's/.*"ServerVersion":"\([^"]*\)".*/\1/p')"
      say "of rootless info $said"
      ;;
    *)
      say 'of rootless state silent'
      of_own detail "${said:-no answer at $own_socket}"
      ;;
  esac
}

look_stopped() { # one that does not run: whether its account's systemd can start it
  if ask_own 20 has docker.service; then :; fi
  case $said in
    "manager${NL}unit")
      say 'of rootless state down'
      of_own unit docker.service
      ;;
    *)
      say 'of rootless state missing'
      case $said in manager) ;; *) of_own manager none ;; esac
      ;;
  esac
  of_own version "$(dockerd --version 2>/dev/null | sed 's/^Docker version \([^,]*\).*/\1/')"
}

rootless_image() { # REFERENCE: its identifier
  ask_own 20 docker image inspect --format '{{.Id}}' "$1" || return 1
  case $said in sha256:*[!a-f0-9]*) return 1 ;; sha256:*) printf '%s\n' "$said" ;; *) return 1 ;; esac
}
