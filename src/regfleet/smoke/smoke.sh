# regfleet's smoke test on a client: tags, pushes, removes and pulls an image with the client's
# own engine and the login that it keeps. Leaves no image that was not there before.
# POSIX sh and coreutils (or busybox); fed by standard input, behind the functions of the client's
# engine (engines/ENGINE.smoke.sh), followed by calls of `registry`. Those functions leave what
# the engine said in `said`, and digests in `pushed` and `pulled`:
#   ENGINE_has IMAGE           ENGINE_fetch IMAGE        ENGINE_tag IMAGE TARGET
#   ENGINE_push TARGET         ENGINE_pull TARGET        ENGINE_remove IMAGE
#   ENGINE_run TARGET WORD     ENGINE_save IMAGE FILE    ENGINE_load FILE
#   ENGINE_kept ACCOUNT        the login that an account keeps is used from here on
#   ENGINE_sign_in USER        one of this test alone: the password comes on standard input
# shellcheck shell=sh disable=SC2034  # `pushed` and `pulled` are theirs

CHECKS='present push remove pull digest run'
engine=   # its word
brought=  # the image came with this test and goes with it
aside=    # that image as an archive, while it is away
scratch=  # a configuration of our own, where the client keeps no login
said=

passed() { printf '@check %s %s passed %s\n' "$name" "$1" "${2:-}"; }
skipped() { printf '@check %s %s skipped %s\n' "$name" "$1" "${2:-}"; }
failed() { # CHECK DETAIL; the checks behind it are skipped
  printf '@check %s %s failed %s\n' "$name" "$1" "$(printf '%s' "$2" | flat)"
  behind=
  for check in $CHECKS; do
    [ -n "$behind" ] && skipped "$check" "$1 failed"
    [ "$check" = "$1" ] && behind=1
  done
  return 1
}

bring() { # IMAGE: on the client, or pulled
  if "${engine}_has" "$1"; then return 0; fi
  if "${engine}_fetch" "$1"; then brought=$1; return 0; fi
  return 1
}

credentials() { # ACCOUNT USER PASSWORD-IN-BASE64
  if [ -n "$1" ]; then
    "${engine}_kept" "$1"
  elif [ -n "$2" ]; then
    scratch=$(mktemp -d) || return 1
    secret=$3
    "${engine}_sign_in" "$2"
  else
    "${engine}_kept" ''
  fi
}

password() { printf '%s' "$secret" | base64 -d; }

# ctr opens the pipe of a container's output when it gets to it. A container that has ended by then
# has said nothing (github.com/containerd/containerd, issue 770), so its shim writes a file instead.
# No share of the processor is asked for: where control groups are not ours to set, it would fail.
ctr_run() { # IMAGE WORD CTR...
  output=$(mktemp 2>&1) || { said=$output; return 1; }
  reference=$1 word=$2
  shift 2
  said=$("$@" run --rm --cpu-shares 0 --log-uri "file://$output" "$reference" "regfleet-$word" \
    echo "$word" </dev/null 2>&1)
  code=$?
  said=$(printf '%s\n' "$said" && cat "$output")
  rm -f "$output"
  return "$code"
}

registry() { # NAME ENDPOINT REPOSITORY TAG IMAGE ACCOUNT USER PASSWORD
  name=$1 endpoint=$2 image=$5
  target=$2/$3:$4
  if ! bring "$image"; then
    failed present "$image is not on the client and cannot be pulled: $said"
    return
  fi
  passed present
  if ! credentials "$6" "$7" "$8"; then
    failed push "$engine login $endpoint: $said"
  else
    round_trip "$image" "$target" "$4"
  fi
  "${engine}_remove" "$target"
  if [ -n "$aside" ]; then
    "${engine}_has" "$image" || "${engine}_load" "$aside"
    rm -f "$aside"
    aside=
  fi
  if [ -n "$scratch" ]; then rm -rf "$scratch"; fi
  scratch=
  secret=
}

round_trip() { # IMAGE TARGET TOKEN
  pushed='' pulled=''
  "${engine}_tag" "$1" "$2" || { failed push "$engine tag: $said"; return; }
  "${engine}_push" "$2" || { failed push "$said"; return; }
  passed push "$pushed"
  "${engine}_remove" "$2" || { failed remove "$said"; return; }
  if [ -n "$brought" ]; then # its layers are to travel, too; kept aside in case they do not
    aside=$(mktemp) && "${engine}_save" "$1" "$aside" && "${engine}_remove" "$1"
  fi
  passed remove
  "${engine}_pull" "$2" || { failed pull "$said"; return; }
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

clean() { # the image that came with this test goes again; what is said here is the last word
  if [ -n "$brought" ]; then "${engine}_remove" "$brought"; fi
  echo @end
}
