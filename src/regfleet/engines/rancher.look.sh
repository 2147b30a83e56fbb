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
  IFS=$NL
  for file in $(recorded_files '[^"/]*[.]yaml'); do # where it was another one when ours was written
    case $file in /etc/rancher/k3s/registries.yaml | /etc/rancher/rke2/registries.yaml) continue ;; esac
    look_text "$file"
    look_paths "$file"
  done
  unset IFS
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
      say_boot rancher "$each"
    fi
  done
  say "of rancher state $state"
  for each in k3s k3s-agent rke2-server rke2-agent; do
    case $each in "$product" | "$product"-*) rancher_settings "$each" ;; esac
  done
}

# What decides whether registries.yaml is read, and which (k3s docs, "Configuration Options"; flags win
# over files). Nothing else of these files is said: they hold the cluster's token.
rancher_settings() { # UNIT
  told=$({
    for file in "/etc/rancher/$product/config.yaml" "/etc/rancher/$product/config.yaml.d"/*.yaml; do
      sed -n 's/^\(private-registry\|data-dir\|docker\|container-runtime-endpoint\): *"\{0,1\}\([^"# ]*\).*/\1=\2/p' \
        "$file" 2>/dev/null
    done
    systemctl show --property ExecStart --value "$1" 2>/dev/null | tr ' ' '\n' |
      sed -n -e 's/^--docker$/docker=true/p' \
        -e 's/^--\(private-registry\|data-dir\|docker\|container-runtime-endpoint\)=\(.*\)$/\1=\2/p' \
        -e '/^--\(private-registry\|data-dir\|container-runtime-endpoint\)$/{N;s/^--\(.*\)\n/\1=/p;}'
  })
  agent=/var/lib/rancher/$product/agent
  IFS=$NL
  for line in $told; do
    case $line in
      *[!A-Za-z0-9_=./:@-]*) ;;
      data-dir=/*) agent=${line#*=}/agent ;;
      private-registry=/*)
        say "of rancher registries ${line#*=}"
        look_text "${line#*=}"
        look_paths "${line#*=}"
        ;;
      docker=true) say 'of rancher docker true' ;;
      container-runtime-endpoint=?*) say "of rancher endpoint ${line#*=}" ;;
    esac
  done
  unset IFS
  # One of an administrator's own, which has nothing of what registries.yaml says (k3s docs, "Base
  # template"; pkg/agent/templates). Of the two the one for containerd 2 is read where that runs.
  for file in "$agent/etc/containerd/config.toml.tmpl" "$agent/etc/containerd/config-v3.toml.tmpl"; do
    if [ -f "$file" ] && ! grep -q -e 'template *"base"' -e PrivateRegistry -e Registry.Config -e RegistryConfig "$file"; then
      say "of rancher template $file"
    fi
  done
}

rancher_image() { # REFERENCE: none is kept for the smoke test, which has a namespace of its own
  return 1
}
