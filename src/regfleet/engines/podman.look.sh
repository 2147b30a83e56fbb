# Podman, as the look sees it.
# shellcheck shell=sh disable=SC2154  # functions of look.sh

podman_look() {
  if command -v podman >/dev/null 2>&1; then
    say 'of podman state up' # it has no daemon: where its command is, it is
    say "of podman version $(podman --version 2>/dev/null | sed 's/.* //')"
  else
    say 'of podman state missing'
  fi
  look_registries_conf
  # Where root has a file of its own, /etc/containers is not read (containers-registries.conf(5), FILES).
  file=/root/.config/containers/registries.conf # HOME is none here: see common.sh
  if [ -e "$file" ]; then say "of podman own $file"; fi
  for file in /root/.config/containers/registries.conf.d/*.conf; do # read last, so they win
    if grep -q '^[[:space:]]*\[\{1,2\}registr' "$file" 2>/dev/null; then look_text "$file"; fi
  done
  hidden=
  for who in $login_accounts; do # for them as well; all in a home is asked for as its account
    case $silent_accounts in *" $who "*) continue ;; esac
    if [ "$who" = root ] || ! find_account "$who"; then continue; fi
    said=$(printf '%s\n' "$home/.config/containers/registries.conf" | in_home "$who" stats - | head -n 1)
    case $said in 'file '* | other) hidden="$hidden $who" ;; esac
  done
  [ -z "$hidden" ] || say "of podman hidden$hidden"
  for file in /usr/share/containers/containers.conf /etc/containers/containers.conf \
    /etc/containers/containers.conf.d/*.conf; do
    if grep -q '^[[:space:]]*env[[:space:]]*=' "$file" 2>/dev/null; then look_text "$file"; fi
  done
  # What depends on the host in how a container of a service of ours is run.
  if read -r enforcing 2>/dev/null </sys/fs/selinux/enforce && [ "$enforcing" = 1 ]; then
    say 'of podman selinux enforcing'
  fi
  if podman_without_groups; then say 'of podman cgroups disabled'; fi
}

podman_without_groups() { # whether the host's settings say so (containers.conf(5), `cgroups`)
  said=enabled
  for file in /usr/share/containers/containers.conf /etc/containers/containers.conf \
    /etc/containers/containers.conf.d/*.conf; do
    [ -r "$file" ] || continue
    while read -r key equals value _; do
      if [ "$key $equals" = 'cgroups =' ]; then said=$value; fi
    done <"$file"
  done
  [ "$said" = '"disabled"' ]
}

podman_image() { # REFERENCE: its identifier
  podman --remote=false image inspect --format '{{.Id}}' "$1"
}
