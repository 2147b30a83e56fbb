# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Logins in accounts' Docker configurations.

configuration_of() { # ACCOUNT: the directory of its Docker configuration
  home=$(home_of "$1")
  [ -n "$home" ] && echo "$home/.docker"
}

login() { # ACCOUNT ENDPOINT USER PASSWORD-IN-BASE64
  directory=$(configuration_of "$1")
  [ -n "$directory" ] || { fail "there is no account $1"; return 1; }
  save "$directory/config.json" || { fail 'the Docker configuration cannot be saved'; return 1; }
  if [ ! -d "$directory" ]; then
    if ! mkdir -m 0700 "$directory" || ! chown "$1:" "$directory"; then
      fail "$directory cannot be made"
      return 1
    fi
    printf '%s\n' "$directory" >>"$saved/made"
  fi
  changed=1
  tries=30
  while :; do
    # A registry that was started just now, perhaps on another host, is given a little time.
    if said=$(printf '%s' "$4" | base64 -d | docker --config "$directory" login --username "$3" --password-stdin "$2" 2>&1 9>&-); then
      break
    fi
    case $said in
      *refused* | *'no such host'* | *timeout* | *' EOF'*) tries=$((tries - 3)) ;;
      *) tries=0 ;;
    esac
    if [ "$tries" -le 0 ]; then
      fail "docker login $2 as $3 is refused: $(printf '%s' "$said" | grep -v '^WARNING' | tail -n 2 | flat)" "$(login_hint "$said")"
      return 1
    fi
    sleep 1
  done
  chown "$1:" "$directory/config.json" && chmod 0600 "$directory/config.json"
}

login_hint() { # OUTPUT
  case $1 in
    *x509*authority* | *'unknown authority'*) echo 'the CA in certs.d does not sign what the registry serves: is another registry at that address?' ;;
    *x509*) echo 'the certificate does not fit: see `names` of the registry, and the clocks' ;;
    *'no such host'*) echo 'the host does not resolve that name: see its DNS or /etc/hosts' ;;
    *unauthorized* | *401*) echo 'the password is not the one the registry has: apply the registry first' ;;
    *refused* | *timeout*) echo 'nothing answers there: is the registry up, and the port open?' ;;
    *) echo 'try it by hand on the host: docker login' ;;
  esac
}

logout() { # ACCOUNT ENDPOINT
  directory=$(configuration_of "$1")
  [ -n "$directory" ] && [ -f "$directory/config.json" ] || return 0
  if ! command -v docker >/dev/null 2>&1; then
    say "note there is no docker here to log $1 out of $2: see $directory/config.json"
    return 0
  fi
  save "$directory/config.json" || return 1
  changed=1
  try "docker logout $2" docker --config "$directory" logout "$2"
  # A configuration that says nothing any more is one that was not there before.
  case $(tr -d ' \t\r\n' <"$directory/config.json") in
    '{}' | '{"auths":{}}')
      rm -f "$directory/config.json"
      leave "$directory" && rmdir "$directory" 2>/dev/null
      ;;
    *) chown "$1:" "$directory/config.json" ;;
  esac
  return 0
}
