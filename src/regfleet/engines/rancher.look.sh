# k3s and RKE2, as the look sees them. No host has both.
# shellcheck shell=sh disable=SC2154  # functions of look.sh

rancher_look() {
  PATH=$PATH:/usr/local/bin:/opt/rke2/bin
  product=
  for each in k3s rke2; do
    if command -v "$each" >/dev/null 2>&1; then product=$each; fi
    look_text "/etc/rancher/$each/registries.yaml"
    look_paths "/etc/rancher/$each/registries.yaml"
  done
  if [ -z "$product" ]; then
    say 'of rancher state missing'
    return 0
  fi
  say "of rancher product $product"
  version=$("$product" --version 2>/dev/null | sed -n 's/^.* version v\([^ ]*\).*/\1/p' | head -n 1)
  say "of rancher version $version"
  state=down
  for each in k3s k3s-agent rke2-server rke2-agent; do
    case $each in "$product" | "$product"-*) ;; *) continue ;; esac
    if systemctl is-active --quiet "$each" 2>/dev/null; then
      state=up
      say "of rancher unit $each"
    fi
  done
  say "of rancher state $state"
}

rancher_image() { # REFERENCE: none is kept for the smoke test, which has a namespace of its own
  return 1
}
