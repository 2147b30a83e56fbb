# regfleet's smoke test on a client: tags, pushes, removes and pulls an image with the client's
# own engine and the login that it keeps. Leaves no image that was not there before.
# POSIX sh and coreutils (or busybox); fed by standard input, followed by calls of `registry`.
# shellcheck shell=sh

CHECKS='present push remove pull digest run'
brought=  # the image came with this test and goes with it
aside=    # that image as an archive, while it is away
scratch=  # a Docker configuration of our own, where the client keeps no login

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

engine() { docker ${config:+--config "$config"} "$@" </dev/null 2>&1; }

bring() { # IMAGE: on the client, or pulled
  if engine image inspect "$1" >/dev/null; then return 0; fi
  if said=$(engine pull -q "$1"); then brought=$1; return 0; fi
  return 1
}

credentials() { # ACCOUNT USER PASSWORD-IN-BASE64: sets `config`
  config=
  if [ -n "$1" ]; then
    config=$(home_of "$1")/.docker
  elif [ -n "$2" ]; then
    scratch=$(mktemp -d) || return 1
    config=$scratch
    said=$(printf '%s' "$3" | base64 -d |
      docker --config "$scratch" login --username "$2" --password-stdin "$endpoint" 2>&1)
  fi
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
    failed push "docker login $endpoint: $said"
  else
    round_trip "$image" "$target" "$4"
  fi
  engine rmi "$target" >/dev/null
  if [ -n "$aside" ]; then
    engine image inspect "$image" >/dev/null || docker load -q -i "$aside" >/dev/null 2>&1
    rm -f "$aside"
    aside=
  fi
  if [ -n "$scratch" ]; then rm -rf "$scratch"; fi
  scratch=
}

round_trip() { # IMAGE TARGET TOKEN
  said=$(engine tag "$1" "$2") || { failed push "docker tag: $said"; return; }
  said=$(engine push "$2") || { failed push "$said"; return; }
  pushed=$(printf '%s\n' "$said" | sed -n 's/.*digest: \(sha256:[0-9a-f]*\).*/\1/p' | tail -n 1)
  passed push "$pushed"
  said=$(engine rmi "$2") || { failed remove "$said"; return; }
  if [ -n "$brought" ]; then # its layers are to travel, too; kept aside in case they do not
    aside=$(mktemp) && docker save -o "$aside" "$1" >/dev/null 2>&1 && engine rmi "$1" >/dev/null
  fi
  passed remove
  said=$(engine pull "$2") || { failed pull "$said"; return; }
  passed pull
  pulled=$(printf '%s\n' "$said" | sed -n 's/^Digest: \(sha256:[0-9a-f]*\).*/\1/p' | tail -n 1)
  if [ -z "$pushed" ] || [ "$pushed" != "$pulled" ]; then
    failed digest "pushed ${pushed:-no digest}, pulled ${pulled:-no digest}"
    return
  fi
  passed digest "$pulled"
  said=$(engine run --rm --network none "$2" echo "$3") || { failed run "$said"; return; }
  # The engine may have warned before it (of another platform, of a missing cgroup).
  if [ "$(printf '%s\n' "$said" | tail -n 1)" = "$3" ]; then passed run; else failed run "it printed: $said"; return; fi
  if [ -n "$brought" ]; then engine tag "$2" "$1" >/dev/null; fi
}

clean() { # the image that came with this test goes again; what is said here is the last word
  config=
  if [ -n "$brought" ]; then engine rmi "$brought" >/dev/null; fi
  echo @end
}
