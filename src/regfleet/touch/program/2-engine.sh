# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Engines: packages, services, and whether they answer. An engine is known here by its word: its own
# functions (engines/WORD.touch.sh) begin with it. WORD_answers says whether it does.

install_packages() { with_proxies install_now "$@"; } # MANAGER PACKAGE...

install_now() { # MANAGER PACKAGE...
  manager=$1
  shift
  case $manager in
    apt-get) try 'apt-get update' apt-get -q update ;;
    apk) try 'apk update' apk update ;;
  esac
  resolve_packages "$@"
  # shellcheck disable=SC2086  # package names are plain words from our own table
  goes=$(foresee_packages "$manager" $wanted | sed -n 's/^remove / /p' | tr -d '\n')
  if [ -n "$goes" ]; then
    fail "installing$wanted would remove$goes, and nothing is removed for what is installed" \
      'remove that by hand if it may go, or install the engine by hand; then run this again'
    return 1
  fi
  changed=1
  # dnf(8) removes nothing without --allowerasing; pacman answers no where it would have to.
  # shellcheck disable=SC2086
  case $manager in
    apt-get) try "apt-get install$wanted" apt-get -q -y --no-remove install $wanted ;;
    dnf | yum) try "$manager install$wanted" "$manager" -q -y install $wanted ;;
    zypper) try "zypper install$wanted" zypper -n -q install --no-force-resolution $wanted ;;
    apk) try "apk add$wanted" apk add -q $wanted ;;
    pacman) try "pacman -S$wanted" pacman -S --noconfirm --needed $wanted ;;
  esac
}

add_repository() { # FILE CONTENT-IN-BASE64: a package manager's; one that is there already stays
  [ ! -e "$1" ] || return 0
  changed=1
  (umask 022 && printf '%s' "$2" | base64 -d >"$1") || fail "$1 cannot be written"
}

nap() { sleep 0.25 2>/dev/null || sleep 1; }

# Lines of a log that tell of trouble; those that no logger wrote are a program's last words.
serious() {
  grep -v -i -E 'level"?[=:] *"?(trace|debug|info|warn)' | sed 's/^time="[^"]*" //' | grep .
}

installed() { # ENGINE UNIT: after its packages came; for a WORD_installed to call
  enable_unit "$2" # which packages do on some distributions alone
  ready "$1" 2 || unit "$2" start
  [ -n "$failed" ] || ready "$1" 60 ||
    fail "$1 was installed but does not answer" "see its log: journalctl -u $2"
}

ready() { # ENGINE SECONDS: it answers within them
  tries=$(($2 * 4))
  until run "$1_answers" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -le 0 ] && return 1
    nap
  done
}

# Where a unit or drop-in is among the files that this touch made or changed, or puts back.
read_units_again() {
  if changed_units; then try 'systemctl daemon-reload' systemctl daemon-reload; fi
}

changed_units() {
  [ -d /run/systemd/system ] && [ -n "${from:-$saved}" ] &&
    grep -q -s /systemd/system/ "${from:-$saved}/present" "${from:-$saved}/absent"
}

unit() { # NAME start|reload|restart
  if [ -d /run/systemd/system ]; then
    run systemctl reset-failed "$1" >/dev/null 2>&1
    read_units_again
    try "systemctl $2 $1" systemctl "$2" "$1"
  elif is_openrc "$1"; then
    rc_service "$1" "$2"
  elif [ -x "/etc/init.d/$1" ]; then
    try "/etc/init.d/$1 $2" usually "/etc/init.d/$1" "$2"
  else
    fail "no service manager here runs $1: it cannot be ${2}ed" "$2 it by hand, then run this again"
  fi
}

# OpenRC starts nothing that it holds for started, as where the process was killed; a program that
# runs outside its knowledge keeps the new one from starting, and says so.
rc_service() { # NAME start|reload|restart
  if [ "$2" != reload ] && ! run rc-service "$1" status >/dev/null 2>&1; then
    run rc-service "$1" zap >/dev/null 2>&1
  fi
  try "rc-service $1 $2" usually rc-service "$1" "$2"
}

enable_unit() { # NAME: it starts with the machine
  if [ -d /run/systemd/system ]; then
    run systemctl -q enable "$1.service" >/dev/null 2>&1
  elif [ -e /run/openrc/softlevel ]; then
    run rc-update --quiet add "$1" default >/dev/null 2>&1
  elif command -v update-rc.d >/dev/null 2>&1; then
    run update-rc.d "$1" defaults >/dev/null 2>&1
  fi
  return 0
}

unit_said() { # NAME: its own last words, for the report
  [ -d /run/systemd/system ] || return 0
  run journalctl -u "$1" --since "@$began" -o cat --no-pager 2>/dev/null |
    serious | grep -v -i systemd | tail -n 3 | cut -c1-400 | sed 's/^/@engine /'
}

will_activate() { # ENGINE UNIT reload|restart: known before anything is in place, for the way back
  units="$units$1$TAB$2$TAB$3$NL"
}

activate_unit() { # ENGINE UNIT start|reload|restart
  changed=1
  : >"$saved/activated"
  unit "$2" "$3"
  [ -n "$failed" ] && { unit_said "$2"; return 1; }
  if ready "$1" 60; then
    has_proxy "$2"
    return
  fi
  fail "$2 does not answer after its $3" "see its log: journalctl -u $2"
  unit_said "$2"
  return 1
}

show_settings() { # ENGINE FILE EXPECTED-IN-BASE64: what an engine without a daemon has to show
  said=$("$1_shows" 2>&1) || {
    fail "$1 does not say which settings it has: $(printf '%s\n' "$said" | tail -n 2 | flat)" \
      "see what \`$1 info\` says on the host"
    return 1
  }
  lacks=$(printf '%s' "$3" | base64 -d | { cat; echo; } | while IFS= read -r line; do
    [ -z "$line" ] || printf '%s\n' "$said" | grep -q -x -F -e "$line" || printf '%s\n' "$line"
  done | head -n 1)
  [ -n "$lacks" ] || return 0
  fail "$2 says \`$lacks\`, and \`$1 info\` does not show it: $1 reads other files, or one wins over it" \
    "see which files it reads there (a variable, or a script in the place of $1), and take that away"
}

# What a drop-in of ours says of a proxy is in the environment of what was restarted.
has_proxy() { # UNIT
  for file in /etc/systemd/system/"$1".service.d/regfleet-*-proxy.env; do
    [ -f "$file" ] || continue
    pid=$(run systemctl show --property MainPID --value "$1.service" 2>/dev/null)
    while IFS='=' read -r name value; do
      value=${value#\"}
      tr '\0' '\n' <"/proc/${pid:-0}/environ" 2>/dev/null | grep -q -x -F "$name=${value%\"}" ||
        fail "$1 was restarted and has not the $name that $file says" "see \`systemctl cat $1\` on the host"
    done <"$file"
  done
  [ -z "$failed" ]
}

back_unit() { # ENGINE UNIT HOW: with the old files in place again
  if command -v "$1_back" >/dev/null 2>&1; then # an account's own has its own way
    "$1_back" "$2" "$3"
    return
  fi
  failing=$failed
  failed=1 # what a service manager has to say of a failure now is said by what asked for it
  unit "$2" restart >/dev/null 2>&1
  failed=$failing
  ready "$1" 60 || broken="$2 does not answer"
}
