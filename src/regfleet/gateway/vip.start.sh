#!/bin/sh
# Starts keepalived on the interface that has this host's address. Written by regfleet.
# start.sh ADDRESS DIRECTORY CONFIGURATION: the directory is in memory
set -eu

interface=$(ip -o addr show to "$1" | awk '{ sub(/@.*/, "", $2); print $2; exit }')
if [ -z "$interface" ]; then
  echo "no interface of this host has the address $1: it has to be the one in the fleet file" >&2
  exit 1
fi
# shellcheck disable=SC2016  # keepalived's variable
printf '$INTERFACE=%s\n' "$interface" >"$2/interface.conf"
printf '0\n' >"$2/drain" # 1: another gateway is to have the address (keepalived.conf)
exec /usr/sbin/keepalived --dont-fork --log-console --vrrp --use-file="$3" \
  --pid="$2/keepalived.pid" --vrrp_pid="$2/vrrp.pid"
