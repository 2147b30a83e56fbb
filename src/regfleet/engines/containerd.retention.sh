# containerd, as retention asks it: the images of every namespace.
# shellcheck shell=sh

containerd_holds() { # lines of REPOSITORY TAG DIGEST
  spaces=$(ctr namespaces ls -q </dev/null) || return 1
  for space in $spaces; do
    held=$(ctr -n "$space" images ls </dev/null) || return 1
    # Columns REF, TYPE, DIGEST; of REF the name and what stands behind its last colon.
    printf '%s\n' "$held" | awk 'NR > 1 {
      name = $1
      sub(/@.*/, "", name)
      at = match(name, /:[^:\/]*$/)
      print at ? substr(name, 1, at - 1) : name, at ? substr(name, at + 1) : "<none>", $3
    }'
  done
}
