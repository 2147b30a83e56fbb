# containerd, as the touch changes it. A restart stops no container: their shims live on.
# shellcheck shell=sh disable=SC2154  # functions and variables of touch/program

cri_was= # what the CRI plugin was before the change: ok, error, or nothing

# A containerd whose CRI plugin does not take its part of the file runs on without it.
containerd_cri() {
  ctr plugins ls 2>/dev/null | awk '
    $2 == "cri" { state = $NF }
    $1 == "io.containerd.cri.v1" && $2 == "images" && $NF == "error" { broken = 1 }
    END { print broken ? "error" : state }'
}

containerd_answers() {
  ctr version >/dev/null 2>&1 || return 1
  [ "$cri_was" != ok ] || [ "$(containerd_cri)" = ok ]
}

containerd_installed() { installed containerd containerd; }

containerd_accepts() { # FILE PATH: by its own parser, before the file is in place
  cri_was=$(run containerd_cri)
  said=$(run containerd --config "$1" config dump 2>&1) && return 0
  fail "containerd refuses the new $2: $(printf '%s\n' "$said" | tail -n 2 | flat)" \
    "nothing was changed; see what $2 says, and what it imports"
}
