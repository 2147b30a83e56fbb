# What is done on a host of a twin before a rehearsal, and what it looks like before and after.
# Runs as root on Debian, out of band; behind it come calls of the functions below.
# shellcheck shell=sh
set -eu

account() { # NAME: with a home of its own
  id -u "$1" >/dev/null 2>&1 || useradd --badname --create-home --shell /bin/bash "$1"
}

login() { # NAME SUDO: lets the twin's key in, which root has already
  account "$1"
  home=$(getent passwd "$1" | cut -d: -f6)
  group=$(id -g "$1")
  if [ "$home" != /root ]; then
    install -d -m 0700 -o "$1" -g "$group" "$home/.ssh"
    install -m 0600 -o "$1" -g "$group" /root/.ssh/authorized_keys "$home/.ssh/authorized_keys"
  fi
  [ "$2" = yes ] || return 0
  # sudoers(5): special characters in names are escaped.
  name=$(printf '%s' "$1" | sed 's/[^A-Za-z0-9_.-]/\\&/g')
  echo "$name ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/rehearsal
  chmod 0440 /etc/sudoers.d/rehearsal
}

address() { # ADDRESS: it is this host's, too
  case $1 in
    *:*) sixth && ip address add "$1/128" dev eth0 nodad ;;
    *) ip address add "$1/32" dev eth0 ;;
  esac
}

route() { # ADDRESS: it is a neighbour's
  case $1 in *:*) sixth ;; esac
  ip route replace "$1" dev eth0
}

sixth() { # IPv6, which container engines turn off
  for interface in all eth0; do
    echo 0 >"/proc/sys/net/ipv6/conf/$interface/disable_ipv6"
  done
}

away() { # NAME-OR-ADDRESS: nothing here reaches it, and nobody waits for it
  case $1 in
    *:*) sixth && ip route replace unreachable "$1" ;;
    *[!0-9.]*)
      ip route replace unreachable 192.0.2.255 # TEST-NET-1 (RFC 5737)
      echo "192.0.2.255 $1" >>/etc/hosts
      ;;
    *) ip route replace unreachable "$1" ;;
  esac
}

engine() { # ENGINE: where it is more than a package
  case $1 in
    docker-sysconfig) sysconfig ;;
  esac
}

sysconfig() { # Docker's options in a file, as the packages of CentOS and Fedora have them
  mkdir -p /etc/sysconfig /etc/systemd/system/docker.service.d
  cat >/etc/sysconfig/docker <<'FILE'
# /etc/sysconfig/docker

# Modify these options if you want to change the way the docker daemon runs
OPTIONS='--log-driver=json-file'
FILE
  cat >/etc/systemd/system/docker.service.d/sysconfig.conf <<'UNIT'
[Service]
EnvironmentFile=-/etc/sysconfig/docker
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $OPTIONS
UNIT
  systemctl daemon-reload
  systemctl restart docker.service
}

upstream() { # PORT: an empty registry, for pull-through caches to ask
  cat >/run/rehearsal-upstream <<'PERL'
use IO::Socket::INET;
my $listener = IO::Socket::INET->new(LocalPort => shift, Listen => 64, ReuseAddr => 1) or die $@;
while (my $client = $listener->accept) {
    my $request = <$client> // '';
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
    my $status = $request =~ m{^(?:GET|HEAD) /v2/ } ? '200 OK' : '404 Not Found';
    my $body = $request =~ /^HEAD/ ? '' : '{}';
    print $client "HTTP/1.1 $status\r\nContent-Type: application/json\r\n",
        "Docker-Distribution-Api-Version: registry/2.0\r\nContent-Length: 2\r\n",
        "Connection: close\r\n\r\n$body";
    close $client;
}
PERL
  setsid perl /run/rehearsal-upstream "$1" </dev/null >/dev/null 2>&1 &
}

# --- traces: a line for each thing, KIND NAME TAB WHAT-IT-IS ---------------------------------

traces() { # DIRECTORY...: those, all of /etc and the engine
  for place in /etc "$@"; do
    [ -e "$place" ] || continue
    # The first three are the outer engine's.
    find "$place" -xdev ! -path /etc/hosts ! -path /etc/hostname ! -path /etc/resolv.conf \
      -printf 'mode %p\t%y %m %U:%G %l\n'
    find "$place" -xdev -type f ! -path /etc/hosts ! -path /etc/hostname ! -path /etc/resolv.conf \
      -exec sha256sum -z {} + | tr '\0\n' '\n?' | sed 's/^\([^ ]*\) .\(.*\)/file \2\t\1/'
  done
  if docker version >/dev/null 2>&1; then
    docker ps --all --no-trunc --format 'container {{.Names}}\t{{.Image}}'
    docker images --all --no-trunc --format 'image {{.Repository}}:{{.Tag}}\t{{.ID}}'
    docker volume ls --format 'volume {{.Name}}\t{{.Driver}}'
    docker network ls --format 'network {{.Name}}\t{{.Driver}}'
    docker info --format '{{range .RegistryConfig.IndexConfigs}}{{if not .Secure}}insecure {{.Name}}
{{end}}{{end}}{{range .RegistryConfig.InsecureRegistryCIDRs}}insecure {{.}}
{{end}}{{range .RegistryConfig.Mirrors}}mirror {{.}}
{{end}}setting live-restore	{{.LiveRestoreEnabled}}
setting debug	{{.Debug}}'
  fi
  if command -v podman >/dev/null 2>&1; then
    podman ps --all --format 'container {{.Names}}\t{{.Image}}'
    podman images --no-trunc --format 'image {{.Repository}}:{{.Tag}}\t{{.ID}}'
  fi
}
