# CRI-O, as the look sees it.
# shellcheck shell=sh  # functions of look.sh

crio_look() {
  if ! command -v crio >/dev/null 2>&1; then
    say 'of crio state missing'
  else
    pid=$(systemctl show --property MainPID --value crio.service 2>/dev/null)
    if [ "${pid:-0}" != 0 ]; then say 'of crio state up'; else say 'of crio state down'; fi
    say "of crio version $(crio --version 2>/dev/null | sed -n 's/^Version: *//p')"
  fi
  look_registries_conf
}

crio_image() { return 1; } # the smoke test's image is of no use to it
