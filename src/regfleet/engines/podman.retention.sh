# Podman, as retention asks it: root's images, and those of accounts with a login.
# shellcheck shell=sh disable=SC2016,SC2154  # functions and variables of others; programs in quotes

podman_holds() { # lines of REPOSITORY TAG DIGEST
  podman --remote=false image ls -a --digests --no-trunc --format '{{.Repository}} {{.Tag}} {{.Digest}}' </dev/null || return 1
  for who in $held_accounts; do
    find_account "$who" || continue # who is not there holds nothing
    account_holds "$who" || return 1
  done
}

# Podman of an account cannot be asked without its set-user-ID programs, which are not for a process of
# ours. Its images are in a file that containers/storage keeps (images.go, Image), in the usual place.
account_holds() { # ACCOUNT
  kept=$(as_account "$1" '
    for file in "$HOME"/.local/share/containers/storage/*-images/images.json; do
      if [ ! -e "$file" ]; then continue; fi
      { [ -f "$file" ] && cat "$file"; } || exit 1
    done
    echo
    echo @ended' sh </dev/null 2>/dev/null | within 25 head -c 4000000)
  case $kept in
    *@ended) ;;
    *)
      echo "the images of $1 cannot be read in ~$1/.local/share/containers"
      return 1
      ;;
  esac
  printf '%s\n' "$kept" | tr '{' '\n' | awk '
    {
      digest = match($0, /"digest":"sha256:[0-9a-f]+"/) ? substr($0, RSTART + 10, RLENGTH - 11) : "<none>"
    }
    !match($0, /"names":\[[^]]*\]/) { print "<none>", "<none>", digest; next }
    {
      names = substr($0, RSTART + 9, RLENGTH - 10)
      gsub(/"/, "", names)
      count = split(names, each, ",")
      for (i = 1; i <= count; i++) {
        name = each[i]
        sub(/@.*/, "", name)
        at = match(name, /:[^:\/]*$/)
        print at ? substr(name, 1, at - 1) : name, at ? substr(name, at + 1) : "<none>", digest
      }
    }'
}
