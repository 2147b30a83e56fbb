# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Logins in accounts' configurations. The engine's own functions make them, with the file, the
# endpoint and the user; the password comes on standard input: ENGINE_login, ENGINE_logout.

login_file() { # ACCOUNT FILE
  home=$(home_of "$1")
  [ -n "$home" ] && echo "$home/$2"
}

# Directories on the way to a login are its account's, and noted as ours.
login_directory() { # ACCOUNT DIRECTORY
  [ ! -d "$2" ] || return 0
  login_directory "$1" "$(dirname "$2")" || return 1
  if ! mkdir -m 0700 "$2" || ! chown "$1:" "$2"; then
    fail "$2 cannot be made"
    return 1
  fi
  # The deepest first, as they have to go.
  printf '%s\n%s' "$2" "$(cat "$saved/made")" >"$saved/made.new" && mv -f "$saved/made.new" "$saved/made"
}

login() { # ENGINE FILE ACCOUNT ENDPOINT USER PASSWORD-IN-BASE64
  file=$(login_file "$3" "$2")
  engine=$1
  shift 2
  [ -n "$file" ] || { fail "there is no account $1"; return 1; }
  save "$file" || { fail "$file cannot be saved"; return 1; }
  login_directory "$1" "${file%/*}" || return 1
  changed=1
  tries=30
  while :; do
    # A registry that was started just now, perhaps on another host, is given a little time.
    if said=$(printf '%s' "$4" | base64 -d | "${engine}_login" "$file" "$2" "$3" 2>&1 9>&-); then
      break
    fi
    case $said in
      *refused* | *'no such host'* | *timeout* | *' EOF'*) tries=$((tries - 3)) ;;
      *) tries=0 ;;
    esac
    if [ "$tries" -le 0 ]; then
      fail "$engine login $2 as $3 is refused: $(printf '%s' "$said" | grep -v '^WARNING' | tail -n 2 | flat)" "$(login_hint "$said" "$engine")"
      return 1
    fi
    sleep 1
  done
  chown "$1:" "$file" && chmod 0600 "$file"
}

login_hint() { # OUTPUT ENGINE
  case $1 in
    *x509*authority* | *'unknown authority'*) echo 'the CA in certs.d does not sign what the registry serves: is another registry at that address?' ;;
    *x509*) echo 'the certificate does not fit: see `names` of the registry, and the clocks' ;;
    *'no such host'*) echo 'the host does not resolve that name: see its DNS or /etc/hosts' ;;
    *unauthorized* | *401*) echo 'the password is not the one the registry has: apply the registry first' ;;
    *refused* | *[Tt]imeout* | *'deadline exceeded'* | *'no route'*) echo 'nothing answers there: is the registry up, and the port open?' ;;
    *) echo 'try it by hand on the host: '"$2 login" ;;
  esac
}

logout() { # ENGINE FILE ACCOUNT ENDPOINT
  file=$(login_file "$3" "$2")
  [ -n "$file" ] && [ -f "$file" ] || return 0
  if ! command -v "$1" >/dev/null 2>&1; then
    say "note there is no $1 here to log $3 out of $4: see $file"
    return 0
  fi
  save "$file" || return 1
  changed=1
  try "$1 logout $4" "$1_logout" "$file" "$4"
  # A configuration that says nothing any more is one that was not there before.
  case $(tr -d ' \t\r\n' <"$file") in
    '{}' | '{"auths":{}}')
      rm -f "$file"
      directory=$(dirname "$file")
      home=$(home_of "$3")
      while [ "$directory" != "$home" ]; do
        leave "$directory" || break
        rmdir "$directory" 2>/dev/null || break
        directory=$(dirname "$directory")
      done
      ;;
    *) chown "$3:" "$file" ;;
  esac
  return 0
}
