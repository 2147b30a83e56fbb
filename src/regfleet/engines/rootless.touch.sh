# An account's own Docker, as the touch changes it: a reload or restart as the account, and what shows
# that it has taken its file up.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # variables of touch/program and rootless.sh; backquotes are for people

rootless_answers() { # after `find_own`
  find_own "$engine_account" && ask_own 20 docker version --format '{{.Server.Version}}' </dev/null
}

# Everything that its files say stands already: see home_edit. Texts are in base64.
rootless_activate() { # ACCOUNT HOW RESTART PATH EXPECTED REFUSED MEANWHILE UNDO
  find_own "$1" || { fail "there is no account $1"; return 1; }
  own_path=$4 own_expected=$5 own_refused=$6
  [ "$2" != none ] || return 0
  rootless_valid || return 1
  changed=1
  printf '%s' "$8" | base64 -d >"$saved/undo.rootless"
  : >"$saved/activated"
  case $2 in
    reload)
      if [ -n "$7" ]; then
        rootless_meanwhile "$7" "$3"
      else
        rootless_reload "$3"
      fi
      ;;
    *) rootless_restart "$2" ;;
  esac
}

rootless_valid() { # by the engine's own parser, with its flags (23.0 and later)
  of_home "$own_path" || return 1
  checked=$(in_home "$account" save "$file" </dev/null | { IFS= read -r first && [ "$first" != absent ] && base64; })
  [ -n "$checked" ] || return 0
  rest=$(printf '%s\n' "$flags" | sed -e 1d -e '/^$/d')
  set --
  while IFS= read -r flag; do
    [ -n "$flag" ] && set -- "$@" "$flag"
  done <<EOF
$rest
EOF
  said=$(printf '%s' "$checked" | base64 -d | as_own 20 validate "$@")
  case $said in
    ok"$NL"*) ;;
    *)
      fail "dockerd refuses the new $own_path: $(printf '%s' "${said%@ended *}" | tail -n 2 | flat)" \
        'nothing was taken up; mend the declaration, or the flags that dockerd is started with'
      ;;
  esac
}

# A key that goes keeps its value across a reload: it is set to what it is without for that moment.
rootless_meanwhile() { # CONTENT-IN-BASE64 RESTART
  of_home "$own_path" || return 1
  final=$(in_home "$account" save "$file" </dev/null | base64)
  answer=$(printf '%s' "$1" | base64 -d | in_home "$account" restore "$file" 0644)
  [ "$answer" = ok ] || { home_failed written; return 1; }
  boundary meanwhile
  rootless_reload "$2" || return 1
  first=$(printf '%s' "$final" | base64 -d | head -n 1)
  case $first in
    present' '*) answer=$(printf '%s' "$final" | base64 -d | tail -n +2 | in_home "$account" restore "$file" "${first#present }") ;;
    *) answer=$(in_home "$account" remove "$file" </dev/null) ;;
  esac
  [ "$answer" = ok ] || home_failed written
}

rootless_reload() { # RESTART: yes where a reload may end in one
  missing='an engine that runs'
  if [ -n "$pid" ]; then
    if ! ask_own 20 reload "$pid" </dev/null; then
      fail "the Docker of $engine_account does not take up the new $own_path" 'mend the declaration'
      rootless_said
      return 1
    fi
    rootless_settled 5 && return 0
  fi
  if [ "$1" != yes ]; then
    fail "the Docker of $engine_account was told to reload but does not show \"$missing\"" \
      "restart it as $engine_account when it is safe, then run this again"
    rootless_said
    return 1
  fi
  sed "s/^rootless${TAB}\\(.*\\)${TAB}reload\$/rootless${TAB}\\1${TAB}restart/" "$saved/units" >"$saved/units.new" &&
    mv -f "$saved/units.new" "$saved/units"
  say "note the reload did not show \"$missing\": the Docker of $engine_account is restarted"
  rootless_restart restart
}

rootless_restart() { # start | restart
  if ! rootless_unit "$1"; then
    fail "systemctl --user $1 ${own_unit:-docker.service} of $engine_account: $(printf '%s' "$said" | tail -n 3 | flat)" \
      "see \`systemctl --user status docker\` as $engine_account"
  elif ! ready rootless 60; then
    fail "the Docker of $engine_account does not answer after its $1"
  elif rootless_settled 10; then
    return 0
  else
    fail "the Docker of $engine_account was ${1}ed and does not show \"$missing\""
  fi
  rootless_said
  return 1
}

rootless_unit() { ask_own 120 unit "$1" "${own_unit:-docker.service}" </dev/null; } # start | restart

rootless_said() { # its own last words, for the report
  [ -d /run/systemd/system ] || return 0
  run journalctl "_UID=$uid" "_SYSTEMD_USER_UNIT=${own_unit:-docker.service}" --since "@$began" -o cat --no-pager 2>/dev/null |
    serious | tail -n 3 | cut -c1-400 | sed 's/^/@engine /'
}

rootless_settled() { # SECONDS: it shows what it must, and not what it must not; else sets `missing`
  tries=$(($1 * 2))
  until rootless_shows; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    nap
  done
}

rootless_shows() {
  ask_own 20 live "$docker_live" </dev/null || { missing='an answer'; return 1; }
  now=$said missing=
  each holds_own "$(printf '%s' "$own_expected" | base64 -d)" && each lacks_own "$(printf '%s' "$own_refused" | base64 -d)"
}

holds_own() { printf '%s\n' "$now" | grep -q -x -F "$1" || { missing=$1; return 1; }; }

lacks_own() { printf '%s\n' "$now" | grep -q -x -F "$1" && { missing="not $1"; return 1; }; return 0; }

rootless_back() { # ACCOUNT HOW: with the old files in place again
  find_own "$1" || return 0
  if [ "$2" = reload ] && [ -n "$pid" ]; then
    rootless_forget
    ask_own 20 reload "$pid" </dev/null
  elif [ "$2" = reload ]; then
    rootless_unit start # it could not live with the new file
  else
    rootless_unit restart
  fi
  ready rootless 60 || broken="the Docker of $1 does not answer"
}

# Keys that went away again keep their value across a reload: first it is let forget them.
rootless_forget() {
  [ -s "$from/undo.rootless" ] || return 0
  account=$engine_account
  file=$home/.config/docker/daemon.json
  answer=$(in_home "$account" restore "$file" 0644 <"$from/undo.rootless")
  [ "$answer" = ok ] || { not_back "$file" "$(obstacle "$answer" "$file" "$account")"; return 0; }
  ask_own 20 reload "$pid" </dev/null
  if grep -q -x -F "$file" "$from/present" 2>/dev/null; then
    restore_home "$file"
  else
    do_home remove "$file"
  fi
}

rootless_login() { # FILE ENDPOINT USER: proven by that account's client, from what root hands it
  find_own "$account" || return 1
  said=$(as_own 60 login "$2" "$3")
  case $said in *"$NL@ended 0") ;; *) printf '%s\n' "${said%@ended *}"; return 1 ;; esac
  printf '%s\n' "${said%@ended *}" >"$1"
}
