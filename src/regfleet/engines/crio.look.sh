# CRI-O, as the look sees it.
# shellcheck shell=sh  # functions of look.sh

crio_look() {
  if ! command -v crio >/dev/null 2>&1; then
    say 'of crio state missing'
  else
    pid=$(systemctl show --property MainPID --value crio.service 2>/dev/null)
    if [ "${pid:-0}" != 0 ]; then say 'of crio state up'; else say 'of crio state down'; fi
    crio_settings
    say_boot crio crio
    say "of crio version $(crio --version 2>/dev/null | sed -n 's/^Version: *//p')"
  fi
  look_registries_conf
}

# Where it reads registries elsewhere (cri-o, internal/criocli: hidden flags, and their variables).
crio_settings() {
  {
    tr '\0' '\n' <"/proc/${pid:-0}/environ" | sed -n 's/^\(CONTAINER_REGISTRIES_CONF\(_DIR\)\{0,1\}=.*\)/\1/p'
    tr '\0' '\n' <"/proc/${pid:-0}/cmdline" |
      sed -n -e 's/^\(--registries-conf\(-dir\)\{0,1\}=.*\)/\1/p' -e '/^--registries-conf\(-dir\)\{0,1\}$/{N;s/\n/=/p;}'
  } 2>/dev/null | while IFS= read -r line; do
    case $line in
      *=/etc/containers/registries.conf | *=/etc/containers/registries.conf.d | *=/etc/containers/registries.conf.d/) ;;
      *=?*) say "of crio elsewhere $(printf '%s' "$line" | flat)" ;;
    esac
  done
}

crio_image() { return 1; } # the smoke test's image is of no use to it
