# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people
# Files in accounts' homes, beside logins: written as ~ACCOUNT/PATH. The account itself writes each one,
# at once, after it was saved into this generation; see 5-logins.sh and home.sh.

of_home() { # ~ACCOUNT/PATH: sets `account` and `file`, and `home`
  account=${1#\~}
  account=${account%%/*}
  find_account "$account" || { fail "there is no account $account"; return 1; }
  file=$home/${1#*/}
}

home_failed() { # DOING: after `answer`
  fail "$file cannot be $1: $(obstacle "$answer" "$file" "$account")" \
    "see what $account may do there, then run this again"
}

home_digest() { # ~ACCOUNT/PATH: as `digest`
  of_home "$1" || return 1
  answer=$(in_home "$account" save "$file" </dev/null | { IFS= read -r first; echo "$first"; sha256sum; })
  case $answer in
    absent*) echo absent ;;
    present' '*) printf '%s\n' "${answer##*"$NL"}" | cut -d' ' -f1 ;;
    *) echo unknown ;;
  esac
}

home_directory() { # PATH MODE
  of_home "$1" || return 1
  place=$file file=$file/.
  keep_ways "$account" "$file" || { fail "$BASE cannot be written" 'is the disk full? see `df -h` on the host'; return 1; }
  file=$place
  changed=1
  answer=$(in_home "$account" make "$file" "$2" </dev/null)
  [ "$answer" = ok ] || home_failed made
}

home_put() { # PATH MODE FOREIGN CONTENT-IN-BASE64
  of_home "$1" || return 1
  if ! keep_home "$account" "$file" || ! keep_ways "$account" "$file"; then
    fail "$file cannot be saved"
    return 1
  fi
  mode=$2
  if [ "$3" = 1 ] && [ -f "$saved/files$file" ]; then home_original "$1" || return 1; fi
  changed=1
  answer=$(printf '%s' "$4" | base64 -d | in_home "$account" restore "$file" "$mode")
  [ "$answer" = ok ] || home_failed written
}

home_original() { # PATH: what stands there now and is not ours; the way back takes the copy away again
  copy=$BASE/original/$1
  if ! printf '%s\n' "$copy" >>"$saved/absent" || ! mkdir -p "${copy%/*}" || ! cp -p "$saved/files$file" "$copy"; then
    fail "the original $file cannot be kept" 'is the disk full? see `df -h` on the host'
  fi
}

home_edit() { # PATH MODE FOREIGN CONTENT-IN-BASE64: MODE is for one that is new; 0600, for secrets, for any
  of_home "$1" || return 1
  keep_home "$account" "$file" || { fail "$file cannot be saved"; return 1; }
  if [ "$2" != 0600 ] && [ -f "$saved/files$file" ]; then
    set -- "$1" "$(stat -c %a "$saved/files$file")" "$3" "$4"
  fi
  home_put "$@"
}

home_drop() { # PATH; what stood there before us comes back
  of_home "$1" || return 1
  keep_home "$account" "$file" || { fail "$file cannot be saved"; return 1; }
  changed=1
  copy=$BASE/original/$1
  if [ -f "$copy" ]; then
    spent="$copy$NL$spent"
    mode=$(stat -c %a "$copy")
    answer=$(in_home "$account" restore "$file" "$mode" <"$copy")
  else
    answer=$(in_home "$account" remove "$file" </dev/null)
  fi
  [ "$answer" = ok ] || home_failed removed
}

home_drop_directory() { # PATH: only when nothing is left in it
  of_home "$1" || return 1
  place=$file file=$file/.
  each leave_way "$(in_home "$account" way "$file" </dev/null | head -n 1 | cut -c1-4000)"
  file=$place
  changed=1
  in_home "$account" unmake "$file" </dev/null >/dev/null
  return 0
}
