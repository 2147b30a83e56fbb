# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Logins in accounts' homes. Root proves one with the engine's client, in a directory of its own;
# the account itself puts it into its file (home.sh). The engine's function is given a file of logins
# in that directory, the endpoint and the user, and the password on standard input: ENGINE_login.

called= # the command of the engine that logs in, for people

keep_home() { # ACCOUNT FILE: its present state into this generation, once
  grep -q -x -F "$2" "$saved/present" "$saved/absent" 2>/dev/null && return 0
  copy=$saved/files$2
  note_home "$1" "$2" && mkdir -p "${copy%/*}" && in_home "$1" save "$2" </dev/null >"$copy.new" || return 1
  answer=$(head -n 1 "$copy.new" | cut -c1-300)
  case $answer in
    present' '*)
      mode=${answer#present }
      case $mode in [0-7][0-7][0-7]) ;; *) mode=600 ;; esac
      tail -n +2 "$copy.new" >"$copy" && chmod "$mode" "$copy" &&
        printf '%s\n' "$2" >>"$saved/present" || return 1
      ;;
    absent) printf '%s\n' "$2" >>"$saved/absent" || return 1 ;;
    *) fail "$(obstacle "$answer" "$2" "$1")" "mend that file as $1, then run this again" ;;
  esac
  rm -f "$copy.new"
  [ -z "$failed" ]
}

note_home() { # ACCOUNT PATH: whoever puts it back does so as that account
  printf '%s\t%s\n' "$2" "$1" >>"$saved/homes"
}

# Directories on the way to a login are noted before they are there, the deepest first.
keep_ways() { # ACCOUNT FILE
  ways=
  each note_way "$(in_home "$1" missing "$2" </dev/null | head -n 20 | cut -c1-4000)" || return 1
  [ -n "$ways" ] || return 0
  printf '%s%s' "$ways" "$(cat "$saved/made")" >"$saved/made.new" &&
    mv -f "$saved/made.new" "$saved/made"
}

note_way() { # DIRECTORY
  on_the_way "$1" || return 0
  ways="$ways$1$NL"
  note_home "$account" "$1"
}

# Whoever is noted for a path is given what was saved of it: an account may name none but its own.
on_the_way() { # DIRECTORY: whether it is one between `home` and `file`
  case $1 in "$home"/?*) ;; *) return 1 ;; esac
  case $file in "$1"/?*) ;; *) return 1 ;; esac
}

# With @proxies for an endpoint: what the account's containers are told of proxies, in base64.
login() { # ENGINE FILE ACCOUNT ENDPOINT USER PASSWORD-IN-BASE64
  engine=$1 account=$3 endpoint=$4 user=$5
  eval "called=\${$1_called:-$1}"
  find_account "$account" || { fail "there is no account $account"; return 1; }
  file=$home/$2
  login_key "$2" "$endpoint"
  if ! keep_home "$account" "$file" || ! keep_ways "$account" "$file"; then
    fail "$file cannot be saved"
    return 1
  fi
  case $endpoint in
    @proxies)
      changed=1
      answer=$(printf '%s' "$6" | base64 -d | in_home "$account" put "$file" "$key")
      [ "$answer" = ok ] || fail "the proxies of $account's containers cannot be kept: $(obstacle "$answer" "$file" "$account")" \
        "see what $account may do there, then run this again"
      [ -z "$failed" ]
      return
      ;;
  esac
  if ! private_directory || ! mkdir -p "$private/login"; then
    fail "no directory of our own can be made: $said"
    return 1
  fi
  proof=$private/login/${2##*/}
  changed=1
  if prove "$6" && keep "$6"; then rm -rf "$private/login"; else rm -rf "$private/login"; return 1; fi
}

prove() { # PASSWORD-IN-BASE64: that the registry takes it; sets `value` to what is to be kept of it
  tries=30
  while :; do
    # A registry that was started just now, perhaps on another host, is given a little time.
    if said=$(printf '%s' "$1" | base64 -d | "${engine}_login" "$proof" "$endpoint" "$user" 2>&1 9>&-); then
      break
    fi
    case $said in
      *refused* | *'no such host'* | *timeout* | *' EOF'*) tries=$((tries - 3)) ;;
      *) tries=0 ;;
    esac
    if [ "$tries" -le 0 ]; then
      fail "$called login $endpoint as $user is refused: $(printf '%s' "$said" | grep -v '^WARNING' | tail -n 2 | flat)" "$(login_hint "$said" "$called")"
      return 1
    fi
    sleep 1
  done
  # A registry may have answered with a token to keep in the place of the password.
  answer=$(here get "$proof" "$key" </dev/null)
  case $answer in
    auth' '*' '*) answer=${answer#auth } && login_value "${answer%% *}" "${answer#* }" && return 0 ;;
  esac
  login_value "$({ printf '%s:' "$user"; printf '%s' "$1" | base64 -d; } | base64 | tr -d '\n')"
}

keep() { # PASSWORD-IN-BASE64: by the account's credential helper where its file names one
  credible "$(in_home "$account" helper "$file" "$key" </dev/null)"
  case $answer in
    helper' '*)
      name=docker-credential-${answer#helper }
      said=$({
        printf '{"ServerURL":"%s","Username":"%s","Secret":"' "$key" "$(printf '%s' "$user" | json_text)"
        printf '%s' "$1" | base64 -d | json_text
        printf '"}'
      } | in_home "$account" ask / "$name" store)
      case $said in
        *'ok') ;;
        *)
          fail "$name, which $file names, does not keep the login: $(printf '%s' "$said" | flat)" \
            "try it as $account: $called login $endpoint"
          return 1
          ;;
      esac
      value='{}' # as the Docker client marks what a helper keeps
      ;;
  esac
  answer=$(printf '%s\n' "$value" | in_home "$account" put "$file" "$key")
  [ "$answer" = ok ] || fail "the login of $account at $endpoint cannot be kept: $(obstacle "$answer" "$file" "$account")" \
    "see what $account may do there, then run this again"
}

json_text() { sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e "s/$TAB/\\\\t/g"; } # what is a line long

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
  account=$3
  find_account "$account" || return 0
  file=$home/$2
  login_key "$2" "$4"
  verb=look what="the login of $account at $4"
  case $4 in @proxies) verb=value what="the proxies of $account's containers" ;; esac
  credible "$(in_home "$account" "$verb" "$file" "$key" </dev/null)"
  there=$answer
  case $there in
    absent | none | 'auth '* | 'helper '* | 'value '*) ;;
    *)
      fail "$what cannot be taken out: $(obstacle "$there" "$file" "$account")" \
        "mend that file as $account, or move it away, then run this again"
      return 1
      ;;
  esac
  [ "$there" != absent ] || return 0
  keep_home "$account" "$file" || { fail "$file cannot be saved"; return 1; }
  changed=1
  case $there in
    helper' '*)
      name=docker-credential-${there#helper }
      said=$(printf '%s' "$key" | in_home "$account" ask / "$name" erase)
      case $said in *'ok') ;; *) say "note $name did not forget the login of $account at $4: $(printf '%s' "$said" | flat)" ;; esac
      ;;
  esac
  each leave_way "$(in_home "$account" way "$file" </dev/null | head -n 20 | cut -c1-4000)"
  answer=$(in_home "$account" drop "$file" "$key" </dev/null)
  case $answer in
    # A configuration that says nothing any more is one that was not there before.
    empty) in_home "$account" tidy "$file" </dev/null ;;
    ok | same | absent) ;;
    *) fail "$what cannot be taken out: $(obstacle "$answer" "$file" "$account")" ;;
  esac
}

leave_way() { # DIRECTORY MODE: that it was there, for it may go with what was in it
  on_the_way "$1" || return 0
  note_home "$account" "$1" && printf '%s\t%s\t%s\n' "$1" "$2" "$account" >>"$saved/left"
}
