# What lies in an account's home belongs to that account, and root does nothing there: whatever is
# read or written in it is done by home.sh as the account. The variables `home_program` and
# `entry_program` hold the texts of home.sh and entry.awk.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people

acting=    # how to become an account here: setpriv | runuser | su
limit=     # how to set a deadline here: timeout, in its form, or none
apart=     # how to leave our session: setsid, where it is there
ourselves= # the account that we are
met=       # the account that `uid` and `gid` are of

# Ended when they are over; what hangs in a home must not hang root. In a session of its own, without
# root's terminal: on the machine itself an account could type there (ioctl_tty(2), TIOCSTI).
within() { # SECONDS COMMAND...
  seconds=$1
  shift
  case $limit in
    plain) set -- timeout -s KILL "$seconds" "$@" ;;
    older) set -- timeout -t "$seconds" -s KILL "$@" ;;
  esac
  ${apart:+"$apart"} "$@"
}

is_self() { # ACCOUNT: whether we are it already
  # shellcheck disable=SC3067  # where a shell has no such test, id(1) tells
  if [ "$1" = root ] && [ -O /proc/1 ] 2>/dev/null; then return 0; fi
  [ -n "$ourselves" ] || ourselves=$(id -un 2>/dev/null)
  [ "$1" = "$ourselves" ]
}

find_account() { # ACCOUNT: sets `home`, and what it takes to become that account; 1 where there is none
  find_home "$1"
  [ -n "$home" ] || return 1
  if is_self "$1" || [ "$met" = "$1" ]; then return 0; fi
  uid=$(id -u "$1" 2>/dev/null) gid=$(id -g "$1" 2>/dev/null)
  [ -n "$uid" ] && [ -n "$gid" ] || return 1
  met=$1
  [ -z "$acting" ] || return 0
  acting=su # busybox has it, and a setpriv without the options
  if setpriv --reuid "$uid" --regid "$gid" --init-groups --no-new-privs true 2>/dev/null; then
    acting=setpriv
  elif runuser -u "$1" -- true 2>/dev/null; then
    acting=runuser
  fi
  if command -v setsid >/dev/null 2>&1; then apart=setsid; fi
  limit=none
  if timeout -s KILL 9 true 2>/dev/null; then
    limit=plain
  elif timeout -t 9 -s KILL true 2>/dev/null; then
    limit=older # busybox before 1.30
  fi
}

# Becomes an account and runs a shell program as it: no inherited lock (file descriptor 9), none of
# our environment, twenty seconds at most unless `account_seconds` says otherwise. What it says is the account's to tamper with: see `in_home`.
as_account() { # ACCOUNT PROGRAM ARGUMENT..., which sh takes as $0, $1...
  find_account "$1" || return 127
  account=$1 program=$2
  shift 2
  set -- env HOME="$home" /bin/sh -c "$program" "$@" # runuser and su set HOME by themselves
  case $acting in
    setpriv) set -- setpriv --reuid "$uid" --regid "$gid" --init-groups --no-new-privs "$@" ;;
    runuser) set -- runuser -u "$account" -- "$@" ;;
    *) set -- su -s /bin/sh -c 'exec "$@"' -- "$account" sh "$@" ;;
  esac
  within "${account_seconds:-20}" env -i USER="$account" LOGNAME="$account" PATH="$PATH" LC_ALL=C "$@" 9>&-
}

here() { # VERB FILE ARGUMENT...: home.sh as ourselves
  (
    HOME=$home
    set -- "$entry_program" "$@"
    eval "$home_program"
  ) 9>&-
}

# As the account, with an answer that is bounded in size and time. After `find_account`. Whatever else
# runs as that account may take our process over (ptrace(2)) and answer in its place, so of a word of
# home.sh nothing is believed, or stands in a line of ours, before `credible` has seen it.
in_home() { # ACCOUNT VERB FILE ARGUMENT...; see home.sh
  if is_self "$1"; then
    shift
    here "$@" 2>/dev/null
  else
    who=$1
    shift
    { as_account "$who" "$home_program" sh "$entry_program" "$@" | within 25 head -c 1100000; } 2>/dev/null
  fi
}

credible() { # ANSWER: sets `answer` to it, or to nothing where home.sh does not answer so
  answer=$1
  case $1 in
    *"$NL"* | *"$TAB"*) answer= ;;
    'auth '*[!A-Za-z0-9._~+/=:\ -]*) answer= ;;
    'helper '*[!A-Za-z0-9._-]* | 'helper -'*) answer= ;;
  esac
}

# The name that a registry has in a file of logins: the Docker client has its own for Docker Hub
# (docker/cli, registry.IndexServer), containers-auth.json(5) none.
login_key() { # FILE ENDPOINT: sets `key`
  key=$2
  case $1:$2 in
    */config.json:docker.io | */config.json:index.docker.io) key=https://index.docker.io/v1/ ;;
  esac
}

# What a file of logins cannot be read for, in words.
obstacle() { # ANSWER FILE ACCOUNT
  case $1 in
    not-a-file) echo "$2 is no regular file" ;;
    unreadable) echo "$2 cannot be read by $3" ;;
    too-large) echo "$2 has more than a megabyte" ;;
    invalid' '*) echo "$2 is not valid JSON: ${1#invalid }" ;;
    refused' '*) echo "${1#refused }" ;;
    *) echo "$2: $3 cannot be acted as here, did not answer in time, or wrote into the answer" ;;
  esac
}

# The entry of a file of logins, of words that an account may have made up.
login_value() { # AUTH [IDENTITY-TOKEN]: sets `value`, of nothing but what such an entry consists of
  value=
  case $1 in '' | *[!A-Za-z0-9+/=]*) return 1 ;; esac
  case ${2:-} in
    '') value="{\"auth\": \"$1\"}" ;;
    *[!A-Za-z0-9._~+/=:-]*) return 1 ;;
    *) value="{\"auth\": \"$1\", \"identitytoken\": \"$2\"}" ;;
  esac
}

# The login that an account keeps for a registry, and nothing else of its configuration, in a file of
# root's own: plugins, credential helpers and contexts of an account are nothing for root to run.
copy_login() { # ACCOUNT FILE ENDPOINT TARGET: 1 and `said` where it cannot be read
  # With an entry in it the Docker client looks for no credential helper of root's (docker/cli,
  # cli/config/config.go, LoadDefaultConfigFile).
  printf '{"auths": {"regfleet.invalid": {}}}\n' >"$4" || return 1
  find_account "$1" || return 0
  file=$home/$2
  login_key "$2" "$3"
  credible "$(in_home "$1" get "$file" "$key" </dev/null)"
  case $answer in helper' '*) answer=$(helper_get "$1" "${answer#helper }" "$key") ;; esac
  case $answer in
    auth' '*' '*) answer=${answer#auth } && login_value "${answer%% *}" "${answer#* }" ;;
    auth' '*) login_value "${answer#auth }" ;;
    absent | none) return 0 ;;
    *)
      said=$(obstacle "$answer" "$file" "$1")
      return 1
      ;;
  esac || { said="what $1 keeps for $3 in $file is no login"; return 1; }
  printf '{"auths": {"%s": %s}}\n' "$key" "$value" >"$4"
}

# The entry that a credential helper keeps: it is asked as the account (docker-credential-helpers).
helper_get() { # ACCOUNT NAME KEY
  answer=$(printf '%s' "$3" | in_home "$1" ask / "docker-credential-$2" get | tr '\000\002\n' '\001\001\002')
  answer=$(printf '\n%s\n' "$answer" | awk -v verb=kept "$entry_program")
  case $answer in
    login' '*) printf 'auth %s\n' "$(printf '%s' "${answer#login }" | base64 | tr -d '\n')" ;;
    token' '*) printf 'auth %s %s\n' "$(printf '<token>:' | base64)" "${answer#token }" ;;
    *) echo none ;;
  esac
}
