# An account's own Docker, as the smoke test uses it: as that account, with the login that it keeps.
# shellcheck shell=sh disable=SC2034,SC2154  # variables of smoke.sh and rootless.sh

own_config= # where its client keeps logins; empty for its usual place

rootless_do() { # ARGUMENT...
  [ -n "$own_socket" ] || find_own "$engine_account" || { said="there is no account $engine_account"; return 1; }
  ask_own 600 docker ${own_config:+--config "$own_config"} "$@" </dev/null
}

rootless_has() { rootless_do image inspect "$1"; }
rootless_fetch() { rootless_do pull -q "$1"; }
rootless_tag() { rootless_do tag "$1" "$2"; }
rootless_remove() { rootless_do rmi "$1"; }
rootless_run() { rootless_do run --rm --network none "$1" echo "$2"; }

# Files of root's own: opened by root, and written and read by the account's client.
rootless_save() { # IMAGE FILE
  account_seconds=600
  as_account "$engine_account" "$rootless_program" sh "$own_socket" "$own_programs" docker save "$1" </dev/null 2>/dev/null |
    within 600 head -c 2000000000 >"$2"
  account_seconds=20
  [ -s "$2" ]
}

rootless_load() { ask_own 600 docker load -q <"$1"; } # FILE

rootless_push() {
  rootless_do push "$1" || return 1
  pushed=$(printf '%s\n' "$said" | sed -n 's/.*digest: \(sha256:[0-9a-f]*\).*/\1/p' | tail -n 1)
}

rootless_pull() {
  rootless_do pull "$1" || return 1
  pulled=$(printf '%s\n' "$said" | sed -n 's/^Digest: \(sha256:[0-9a-f]*\).*/\1/p' | tail -n 1)
}

rootless_kept() { # ACCOUNT, its own; or nobody: then no login of its is read
  own_config=
  [ -n "$1" ] || own_config=/nonexistent
}
