# k3s and RKE2, as the smoke test uses them: by the ctr and the crictl that they bring. It is
# pushed with the registry's own files, and pulled as kubelet pulls: by CRI.
# shellcheck shell=sh disable=SC2034,SC2154  # variables of smoke.sh

product= # k3s or rke2
hosts=   # a directory of our own with the hosts.toml file for what is pushed
basic=   # the login in it

rancher_product() {
  [ -z "$product" ] || return 0
  PATH=$PATH:/usr/local/bin:/var/lib/rancher/rke2/bin
  product=rke2
  if command -v k3s >/dev/null 2>&1; then product=k3s; fi
}

rancher_ctr() { # NAMESPACE ARGUMENT...
  space=$1
  shift
  if [ "$product" = k3s ]; then
    k3s ctr -n "$space" "$@" </dev/null
  else
    ctr --address /run/k3s/containerd/containerd.sock -n "$space" "$@" </dev/null
  fi
}

rancher_crictl() {
  if [ "$product" = k3s ]; then
    k3s crictl "$@" </dev/null
  else
    CRI_CONFIG_FILE=/var/lib/rancher/rke2/agent/etc/crictl.yaml crictl "$@" </dev/null
  fi
}

rancher_do() {
  rancher_product
  said=$(rancher_ctr regfleet-smoke "$@" 2>&1)
}

# busybox:latest is docker.io/library/busybox:latest, which ctr does not know by itself.
rancher_full() { # REFERENCE
  case ${1%%/*} in
    "$1") printf 'docker.io/library/%s\n' "$1" ;;
    *.* | *:* | localhost) printf '%s\n' "$1" ;;
    *) printf 'docker.io/%s\n' "$1" ;;
  esac
}

rancher_digest() { # NAMESPACE REFERENCE
  rancher_product
  rancher_ctr "$1" images ls 2>/dev/null | awk -v name="$(rancher_full "$2")" '$1 == name { print $3 }'
}

rancher_has() { [ -n "$(rancher_digest regfleet-smoke "$1")" ]; }
rancher_fetch() { rancher_do images pull "$(rancher_full "$1")"; }
rancher_tag() { rancher_do images tag --force "$(rancher_full "$1")" "$(rancher_full "$2")"; }
rancher_save() { rancher_do images export "$2" "$(rancher_full "$1")"; }
rancher_load() { rancher_do images import "$1"; }

rancher_remove() { # here and where CRI has put it; the last one takes the namespace with it
  rancher_product
  [ -z "$(rancher_digest k8s.io "$1")" ] || rancher_crictl rmi "$1" >/dev/null 2>&1
  rancher_has "$1" || return 0
  rancher_do images rm --sync "$(rancher_full "$1")" || return 1
  left=$(rancher_ctr regfleet-smoke images ls -q 2>/dev/null) && [ -z "$left" ] || return 0
  rancher_ctr default namespaces rm regfleet-smoke >/dev/null 2>&1
  return 0
}

rancher_push() {
  rancher_do images push --hosts-dir "$hosts" "$1" || return 1
  pushed=$(rancher_digest regfleet-smoke "$1")
}

rancher_pull() {
  said=$(rancher_crictl pull "$1" 2>&1) || return 1
  pulled=$(rancher_digest k8s.io "$1")
}

rancher_run() { ctr_run "$@" rancher_ctr k8s.io; } # IMAGE WORD

rancher_hosts() { # writes hosts.toml into a directory that nobody else can enter
  private_directory || return 1
  hosts=$private/hosts
  rm -rf "$hosts"
  mkdir -p "$hosts/$endpoint"
  url=https://$endpoint
  if grep -q "http://$endpoint" "/etc/rancher/$product/registries.yaml" 2>/dev/null; then
    url=http://$endpoint
  fi
  {
    printf '[host."%s"]\ncapabilities = ["pull", "resolve", "push"]\n' "$url"
    ca=/etc/rancher/$product/certs.d/$endpoint/ca.crt
    if [ -f "$ca" ]; then printf 'ca = "%s"\n' "$ca"; fi
    if [ -n "$basic" ]; then
      printf '[host."%s".header]\nAuthorization = "Basic %s"\n' "$url" "$basic"
    fi
  } >"$hosts/$endpoint/hosts.toml"
}

# A kept login is taken from what k3s has made of registries.yaml.
rancher_kept() { # ACCOUNT
  rancher_product
  basic=
  if [ -n "$1" ]; then
    basic=$(awk -v section="registry.configs.\"$endpoint\".auth]" '
      function value() { sub(/^[^=]*= *"/, ""); sub(/"[ \t]*$/, ""); gsub(/\\"/, "\""); gsub(/\\\\/, "\\"); return $0 }
      /^[ \t]*\[/ { ours = index($0, section) }
      ours && /^[ \t]*username *=/ { user = value() }
      ours && /^[ \t]*password *=/ { word = value() }
      END { if (user != "") printf "%s:%s", user, word }
    ' "/var/lib/rancher/$product/agent/etc/containerd/config.toml" 2>/dev/null | base64 | tr -d '\n')
  fi
  rancher_hosts
}
