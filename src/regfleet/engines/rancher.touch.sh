# k3s and RKE2, as the touch changes them: a restart, through which their containers run on.
# shellcheck shell=sh

rancher_answers() { # `systemctl restart` returns when they say that they are ready
  for each in k3s k3s-agent rke2-server rke2-agent; do
    if systemctl is-active --quiet "$each" 2>/dev/null; then return 0; fi
  done
  return 1
}
