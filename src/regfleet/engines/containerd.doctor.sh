# containerd, as the doctor sees it: by ctr, in a namespace that is made for it and goes again.
# shellcheck shell=sh disable=SC2154  # with functions and variables of doctor.sh, look.sh and common.sh

containerd_first() { :; }
containerd_trouble() { :; }
containerd_certs() { :; } # what lies there is named in hosts.toml, or not read

# A pull of what is not there: see docker.doctor.sh. The look has set `hosts`.
containerd_try() { # ENDPOINT ACCOUNT
  command -v ctr >/dev/null 2>&1 && pidof containerd >/dev/null 2>&1 || return 0
  said=$(patient ctr -n regfleet-doctor images pull --hosts-dir "$hosts" "$1/regfleet/doctor:none" 2>&1 </dev/null)
  status=$?
  ctr namespaces rm regfleet-doctor >/dev/null 2>&1
  say "try $1 $2 $status $(printf '%s\n' "$said" | grep '^ctr:' | scrub | flat)"
}
