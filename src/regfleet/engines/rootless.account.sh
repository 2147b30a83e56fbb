# What is done with an account's own Docker, as that account: rootless.sh runs this as it, with HOME set.
# Arguments: the socket; the directory of its dockerd, which may be in no PATH; what to do; and what that takes:
#   docker ARGUMENT...        runs the client
#   info, live FORMAT         what `docker info` says, whole or in a format
#   reload PID                has dockerd read its file again: "ok" once it has
#   unit start|restart UNIT   does that to a unit of the account's own systemd
#   has UNIT                  whether there is one: "manager" where it is asked, then "unit"
#   certs ENDPOINT            the names of the files that it reads for a registry
#   trusted                   ENDPOINT/FILE of each CA in its certs.d
#   validate FLAG...          standard input as daemon.json by dockerd's own parser: "ok", or its words
#   login ENDPOINT USER       with the password on standard input: the file of logins that comes of it
# The client reads the account's own configuration for `docker` alone, where logins are meant.
# shellcheck shell=sh disable=SC2016  # backquotes are for people
set -u
umask 077
LC_ALL=C
DOCKER_HOST=unix://$1
PATH=${2:+$2:}$PATH:$HOME/bin # where Docker's own script for accounts puts all programs
XDG_RUNTIME_DIR=/run/user/$(id -u)
verb=$3
shift 3
export LC_ALL PATH DOCKER_HOST XDG_RUNTIME_DIR

plainly() { DOCKER_CONFIG=/nonexistent docker "$@"; }

set_now() { # sets `now`: seconds, with a fraction where date(1) knows it
  now=$(date +%s.%N)
  case $now in *[!0-9.]* | *.) now=$(date +%s) ;; esac
}

count_reloads() { # MOMENT: how many there were since (moby, daemon/reload.go: an event tells of each)
  set_now
  plainly events --since "$1" --until "$now" --filter type=daemon --filter event=reload \
    --format reload 2>/dev/null | grep -c reload
}

temporary() { # a directory that goes again
  made=$(mktemp -d "$XDG_RUNTIME_DIR/regfleet.XXXXXXXXXX" 2>/dev/null || mktemp -d) || exit 1
  trap 'rm -rf "$made"' EXIT
  trap 'exit 1' HUP INT PIPE TERM
}

case $verb in
  docker) exec docker "$@" ;;
  info) plainly info --format '{{json .}}' 2>/dev/null ;;
  live) plainly info --format "$1" 2>/dev/null ;;
  reload)
    set_now
    asked=$now before=0
    case $asked in *.*) ;; *) before=$(count_reloads "$asked") ;; esac # others in the same second
    kill -HUP "$1" || exit 1
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      sleep 0.25 2>/dev/null || sleep 1
      if [ "$(count_reloads "$asked")" -gt "$before" ]; then
        echo ok
        exit 0
      fi
    done
    exit 1
    ;;
  unit)
    systemctl --user reset-failed "$2" >/dev/null 2>&1
    systemctl --user daemon-reload >/dev/null 2>&1
    systemctl --user "$1" "$2"
    ;;
  has)
    # Its manager runs while the account is logged in, or lingers (loginctl(1)).
    [ -S "$XDG_RUNTIME_DIR/systemd/private" ] || exit 0
    echo manager
    systemctl --user cat "$1" >/dev/null 2>&1 && echo unit
    ;;
  certs) ls -A "$HOME/.config/docker/certs.d/$1" 2>/dev/null ;;
  trusted) cd "$HOME/.config/docker/certs.d" 2>/dev/null && ls -- */*.crt 2>/dev/null ;;
  validate)
    temporary
    cat >"$made/daemon.json"
    said=$(dockerd --validate --config-file "$made/daemon.json" "$@" 2>&1) && said=ok
    case $said in *'unknown flag: --validate'*) said=ok ;; esac
    printf '%s\n' "$said" | tail -n 2
    ;;
  login)
    # With a login in it the client takes no credential helper that it finds (docker/cli,
    # cli/config/config.go, LoadDefaultConfigFile).
    temporary
    printf '{"auths": {"regfleet.invalid": {}}}' >"$made/config.json"
    if said=$(docker --config "$made" login --username "$2" --password-stdin "$1" 2>&1); then
      cat "$made/config.json"
    else
      printf '%s\n' "$said"
      exit 1
    fi
    ;;
esac
