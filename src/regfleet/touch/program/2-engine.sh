# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Engines: packages, services, and whether they answer. An engine is known here by its word: its own
# functions (engines/WORD.touch.sh) begin with it. WORD_answers says whether it does.

install_packages() { # MANAGER PACKAGE...; one that ends in ? is taken where it is known
  manager=$1
  shift
  case $manager in
    apt-get) try 'apt-get update' apt-get -q update ;;
    apk) try 'apk update' apk update ;;
  esac
  wanted=
  for package; do
    case $package in
      *\?)
        package=${package%\?}
        run apt-cache show "$package" >/dev/null 2>&1 || continue
        ;;
    esac
    wanted="$wanted $package"
  done
  changed=1
  # shellcheck disable=SC2086  # package names are plain words from our own table
  case $manager in
    apt-get) try "apt-get install$wanted" apt-get -q -y install $wanted ;;
    dnf | yum) try "$manager install$wanted" "$manager" -q -y install $wanted ;;
    zypper) try "zypper install$wanted" zypper -n -q install $wanted ;;
    apk) try "apk add$wanted" apk add -q $wanted ;;
    pacman) try "pacman -S$wanted" pacman -S --noconfirm --needed $wanted ;;
  esac
}

nap() { sleep 0.25 2>/dev/null || sleep 1; }

# Lines of a log that tell of trouble; those that no logger wrote are a program's last words.
serious() {
  grep -v -i -E 'level"?[=:] *"?(trace|debug|info|warn)' | sed 's/^time="[^"]*" //' | grep .
}

installed() { # ENGINE UNIT: after its packages came; for a WORD_installed to call
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

unit() { # NAME start|reload|restart
  if [ -d /run/systemd/system ]; then
    run systemctl reset-failed "$1" >/dev/null 2>&1
    try "systemctl $2 $1" systemctl "$2" "$1"
  elif [ -x "/etc/init.d/$1" ]; then
    try "/etc/init.d/$1 $2" "/etc/init.d/$1" "$2"
  elif command -v rc-service >/dev/null 2>&1; then
    try "rc-service $1 $2" rc-service "$1" "$2"
  else
    fail "no service manager here runs $1: it cannot be ${2}ed" "$2 it by hand, then run this again"
  fi
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
  ready "$1" 60 && return 0
  fail "$2 does not answer after its $3" "see its log: journalctl -u $2"
  unit_said "$2"
  return 1
}

back_unit() { # ENGINE UNIT HOW: with the old files in place again
  failing=$failed
  failed=1 # what a service manager has to say of a failure now is said by what asked for it
  unit "$2" restart >/dev/null 2>&1
  failed=$failing
  ready "$1" 60 || broken="$2 does not answer"
}
