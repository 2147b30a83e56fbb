# regfleet's smoke test on a client: tags, pushes, removes and pulls an image with the client's
# own engine and the login that it keeps. Leaves no image that was not there before.
# POSIX sh and coreutils (or busybox); fed by standard input, behind the functions of the client's
# engine (engines/ENGINE.smoke.sh), followed by calls of `registry` and `pull_only`. Those functions leave what
# the engine said in `said`, and digests in `pushed` and `pulled`:
#   ENGINE_has IMAGE           ENGINE_fetch IMAGE        ENGINE_tag IMAGE TARGET
#   ENGINE_push TARGET         ENGINE_pull TARGET        ENGINE_remove IMAGE
#   ENGINE_run TARGET WORD     ENGINE_save IMAGE FILE    ENGINE_load FILE
#   ENGINE_kept ACCOUNT        use the login that an account keeps from here on; without an account
#                              use no login, not even root's
# shellcheck shell=sh disable=SC2034,SC2154  # `pushed` and `pulled` are theirs; variables of common.sh

CHECKS='present push remove pull digest run'
engine=   # the engine's word
brought=  # the image that this test brought and removes again
aside=    # an archive of that image, while the engine does not have it
target=   # the image in the client's engine that is being tested
without=  # a text that says that no login is declared; empty if one is
said=

passed() { printf '@check %s %s passed %s\n' "$name" "$1" "${2:-}"; }
skipped() { printf '@check %s %s skipped %s\n' "$name" "$1" "${2:-}"; }

# The error is at the end of an engine's output, after a line for each layer and each second of waiting.
# This removes those lines, unless there is nothing else, and keeps the end of the rest.
last_words() {
  whole=$(cat)
  kept=$(printf '%s\n' "$whole" | tr '\r' '\n' | grep -v -E \
    -e '^[0-9a-f]{12}: (Preparing|Waiting|Push|Pull|Download|Verifying|Extracting|Already|Layer|Mounted|Retrying)' \
    -e '^(Using default tag|The push refers|Getting image|Copying|Trying to pull|Writing manifest|Storing sig)' \
    -e '[Rr]etrying in [0-9]+ *s')
  printf '%s' "${kept:-$whole}" | tr '\n\t' '  ' | tr -s ' ' | tail -c 600
}

failed() { # CHECK DETAIL; skips the checks after it
  printf '@check %s %s failed %s\n' "$name" "$1" "$(printf '%s\n' "$2" | last_words)"
  behind=
  for check in $CHECKS; do
    [ -n "$behind" ] && skipped "$check" "$1 failed"
    [ "$check" = "$1" ] && behind=1
  done
  return 1
}

bring() { # IMAGE: use the client's, or pull it
  if "${engine}_has" "$1"; then return 0; fi
  if "${engine}_fetch" "$1"; then brought=$1; return 0; fi
  return 1
}

give_up() { # after a cut-off test: remove its images from the engine
  if [ -n "$target" ]; then "${engine}_remove" "$target"; fi
  if [ -n "$brought" ]; then "${engine}_remove" "$brought"; fi
  target='' brought=''
}

begin() { # called first
  end_cleanly
  at_exit=give_up
  sweep
  find_engine
  private_directory # a failure is reported by the function that needs the directory
}

# Whether a registry's answer asks for a login. Without a declared login this is no failure: the client
# has reached the registry over TLS and has no login to send.
wants_login() { # OUTPUT
  case $1 in
    *'no basic auth credentials'* | *'uthentication required'* | *[Uu]nauthorized* | *' 401'*) ;;
    *'requested access to the resource is denied'* | *'authorization failed'* | *'access denied'*) ;;
    *) return 1 ;;
  esac
}

# If the registry wants a login and none is declared, skip this check and those after it.
turned_away() { # CHECK
  if [ -z "$without" ] || ! wants_login "$said"; then
    failed "$1" "$said"
    return
  fi
  behind=
  for check in $CHECKS; do
    if [ "$check" = "$1" ]; then behind=1; fi
    if [ -n "$behind" ]; then skipped "$check" "$without, and the registry wants one"; fi
  done
}

# ctr opens the pipe of a container's output late, and loses the output of a container that has ended by
# then (github.com/containerd/containerd, issue 770). So the shim writes the output to a file instead.
# --cpu-shares 0 sets no share of the processor: on hosts with read-only control groups that would fail.
ctr_run() { # IMAGE WORD CTR...
  private_directory || return 1
  output=$private/output
  said=$(: 2>&1 >"$output") || return 1
  reference=$1 word=$2
  shift 2
  said=$("$@" run --rm --cpu-shares 0 --log-uri "file://$output" "$reference" "regfleet-$word" \
    echo "$word" </dev/null 2>&1)
  code=$?
  said=$(printf '%s\n' "$said" && cat "$output")
  rm -f "$output"
  return "$code"
}

registry() { # NAME ENDPOINT REPOSITORY TAG IMAGE ACCOUNT WITHOUT
  name=$1 endpoint=$2 image=$5
  target=$2/$3:$4
  if ! bring "$image"; then
    failed present "$image is not on the client and cannot be pulled: $said"
    return
  fi
  passed present
  without=$7
  if ! "${engine}_kept" "$6"; then
    failed push "the login to $endpoint cannot be used: $said"
  else
    round_trip "$image" "$target" "$4"
  fi
  "${engine}_remove" "$target"
  target=
  if [ -n "$aside" ]; then
    "${engine}_has" "$image" || "${engine}_load" "$aside"
    rm -f "$aside"
    aside=
  fi
}

round_trip() { # IMAGE TARGET TOKEN
  pushed='' pulled=''
  "${engine}_tag" "$1" "$2" || { failed push "$engine tag: $said"; return; }
  "${engine}_push" "$2" || { turned_away push; return; }
  passed push "$pushed"
  "${engine}_remove" "$2" || { failed remove "$said"; return; }
  if [ -n "$brought" ]; then # remove it so that its layers are pulled too; keep an archive in case the pull fails
    roomy_directory && aside=$roomy/image && "${engine}_save" "$1" "$aside" && "${engine}_remove" "$1"
  fi
  passed remove
  "${engine}_pull" "$2" || { turned_away pull; return; }
  passed pull
  if [ -z "$pushed" ] || [ "$pushed" != "$pulled" ]; then
    failed digest "pushed ${pushed:-no digest}, pulled ${pulled:-no digest}"
    return
  fi
  passed digest "$pulled"
  "${engine}_run" "$2" "$3" || { failed run "$said"; return; }
  # The engine may have warned before it (of another platform, of a missing cgroup).
  if [ "$(printf '%s\n' "$said" | tail -n 1)" = "$3" ]; then passed run; else failed run "it printed: $said"; return; fi
  if [ -n "$brought" ]; then "${engine}_tag" "$2" "$1"; fi
}

# Where the login may pull and not push: pulls what regfleet has put there, which has no program to run.
pull_only() { # NAME ENDPOINT REPOSITORY TAG ACCOUNT DIGESTS WHY
  name=$1 endpoint=$2
  target=$2/$3:$4
  for check in present push remove; do skipped "$check" "$7"; done
  pulled=
  if ! "${engine}_kept" "$5"; then
    failed pull "the login to $endpoint cannot be used: $said"
  elif ! "${engine}_pull" "$target"; then
    failed pull "$said"
  else
    passed pull
    case " $6 " in
      *" ${pulled:-none} "*) passed digest "$pulled" && skipped run 'what was pulled has no program' ;;
      *) failed digest "pulled ${pulled:-no digest}, and there is $6" ;;
    esac
  fi
  "${engine}_remove" "$target"
  target=
}

clean() { # remove the image that this test brought
  if [ -n "$brought" ]; then "${engine}_remove" "$brought"; fi
  brought=
}
