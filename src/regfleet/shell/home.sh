# Everything that is done in the home of an account, done as that account: accounts.sh runs this as
# it, with HOME set. It reads regular files alone, up to a bound; links lead where the account may go.
# Arguments: the program entry.awk, what to do, the file, and what that takes:
#   look KEY, get KEY, helper KEY        what entry.awk says of the registry KEY; @proxies in its
#   value KEY                            place is what containers are told of proxies
#   put KEY, drop KEY                    the same of the edited document, which is put in place;
#                                        `put` takes the entry's value on standard input
#   stats                                of each path on standard input: "directory MODE OWNER",
#                                        "file MODE OWNER SHA-256", "other" or "absent"; the file is any
#   save                                 "present MODE" and the content, or "absent"
#   restore MODE                         puts standard input there
#   remove                               removes the file
#   missing                              the directories on the way that are not there
#   way, tidy                            those that are, as DIRECTORY MODE; removes the empty ones
#   make MODE, unmake                    makes or removes a directory
#   ask PROGRAM ACTION                   runs a credential helper with our standard input; the file is
#                                        any. Behind all actions but `get` comes "ok" where it was
# Answers are lines; where something is in the way the first is one of:
#   absent | not-a-file | unreadable | too-large | invalid REASON | refused REASON
# shellcheck shell=sh disable=SC2016  # backquotes are for people
set -u
umask 077
LC_ALL=C
export LC_ALL
entry=$1 verb=$2 file=$3
shift 3
bound=1048576 # bytes; Docker's own file has a hundred for each registry
tab='	'

flat() { tr '\n\r\t' '   ' | cut -c1-300; }

refuse() { # WHAT-WAS-SAID
  printf 'refused %s\n' "$(printf '%s' "$1" | flat)"
  exit 1
}

readable() { # whether there is a file to read; says so where there is none
  if [ ! -e "$file" ]; then
    echo absent
  elif [ ! -f "$file" ]; then
    echo not-a-file
  elif [ ! -r "$file" ]; then
    echo unreadable
  else
    return 0
  fi
  return 1
}

# In one line, so that nothing is lost at its ends: \002 stands for a newline. What is no text is
# \001, which JSON has nowhere.
read_text() { # sets `text`
  text=$(head -c $((bound + 1)) "$file" 2>/dev/null | tr '\000\002\n' '\001\001\002')
  if [ "${#text}" -gt "$bound" ]; then
    echo too-large
    return 1
  fi
}

entry_of() { # VERB KEY VALUE
  stores=no
  case $file in */config.json) stores=yes ;; esac # containers-auth.json(5) has helpers alone
  group=auths name=$2
  case $2 in @proxies) group=proxies name=default ;; esac
  printf '%s\n%s\n' "$3" "$text" |
    awk -v verb="$1" -v key="$name" -v group="$group" -v stores="$stores" "$entry"
}

leads_to() { # sets `target` to the file that is written: a link stays what it is
  target=$file
  if [ -L "$file" ]; then
    target=$(readlink -f "$file") && [ -n "$target" ] || refuse "$file is a link that leads nowhere"
  fi
}

place() { # MODE: standard input, written beside its target and renamed
  leads_to
  mkdir -p "${target%/*}" 2>/dev/null
  rm -f "${target%/*}"/.regfleet.??????????
  spare=$(mktemp "${target%/*}/.regfleet.XXXXXXXXXX" 2>&1) || refuse "$target cannot be written: $spare"
  said=$({ cat >"$spare" && chmod "$1" "$spare" && { sync "$spare" 2>/dev/null || sync; } &&
    mv -f "$spare" "$target"; } 2>&1) && return 0
  rm -f "$spare"
  refuse "$target cannot be written: $said"
}

ways() { # the directories from the file up to the home, the deepest first
  part=${file%/*}
  while [ "$part" != "$HOME" ] && [ "${part#"$HOME"/}" != "$part" ]; do
    printf '%s\n' "$part"
    part=${part%/*}
  done
}

edited() { # ANSWER of entry.awk
  case $1 in
    ok' '*) printf '%s' "${1#ok }" | tr '\002' '\n' | place 0600 && echo ok ;;
    empty' '*) # it was not there before; one that is a link is kept by something else
      leads_to
      if [ "$target" != "$file" ]; then
        printf '%s' "${1#empty }" | tr '\002' '\n' | place 0600 && echo ok
      elif said=$(rm -f "$file" 2>&1); then
        echo empty
      else
        refuse "$said"
      fi
      ;;
    *) printf '%s\n' "${1:-refused awk does not work here}" ;;
  esac
}

case $verb in
  look | get | helper | value)
    if readable && read_text; then entry_of "$verb" "$1" ''; fi
    ;;
  drop)
    if readable && read_text; then edited "$(entry_of drop "$1" '')"; fi
    ;;
  put)
    IFS= read -r value || :
    text=
    if [ ! -e "$file" ] || { readable && read_text; }; then edited "$(entry_of put "$1" "$value")"; fi
    ;;
  save)
    if readable && read_text; then
      printf 'present %s\n' "$(stat -L -c %a "$file")"
      head -c "$bound" "$file"
    fi
    ;;
  stats)
    while IFS= read -r file; do
      if [ -d "$file" ]; then
        stat -L -c 'directory %a %u:%g' "$file"
      elif [ -f "$file" ] && [ -r "$file" ]; then
        digest=$(head -c $((bound + 1)) "$file" | sha256sum)
        printf '%s %s\n' "$(stat -L -c 'file %a %u:%g' "$file")" "${digest%% *}"
      elif [ -e "$file" ]; then
        echo other
      else
        echo absent
      fi
    done
    ;;
  restore) place "$1" && echo ok ;;
  remove)
    leads_to
    if said=$(rm -f "$target" 2>&1); then echo ok; else refuse "$said"; fi
    ;;
  missing) ways | while IFS= read -r part; do [ -d "$part" ] || printf '%s\n' "$part"; done ;;
  way)
    ways | while IFS= read -r part; do
      [ ! -d "$part" ] || printf '%s%s%s\n' "$part" "$tab" "$(stat -L -c %a "$part")"
    done
    ;;
  tidy) ways | while IFS= read -r part; do rmdir "$part" 2>/dev/null || break; done ;;
  make) if said=$({ [ -d "$file" ] || mkdir -p "$file"; } 2>&1 && chmod "$1" "$file" 2>&1); then echo ok; else refuse "$said"; fi ;;
  unmake)
    rmdir "$file" 2>/dev/null # where it is empty
    echo ok
    ;;
  ask)
    command -v "$1" >/dev/null 2>&1 || refuse "there is no $1 in $PATH"
    "$1" "$2" && [ "$2" != get ] && echo ok
    ;;
esac
