# The log of a service of the service manager's, for what counts in it.
# shellcheck shell=sh disable=SC2154  # variables of unit.sh

unit_has_log() { find_unit "$1"; } # NAME

unit_last_day() { # NAME, after unit_has_log
  case $unit_file in
    /etc/systemd/*) journalctl -u "$unit.service" --since -24h -n 100000 -o cat --no-pager 2>/dev/null ;;
    *)
      # nginx begins its lines with the local time.
      since=$(date -d "@$(($(date +%s) - 86400))" '+%Y/%m/%d %H:%M:%S')
      tail -n 100000 "/var/log/$1.log" 2>/dev/null | awk -v since="$since" '
        match($0, /[0-9][0-9][0-9][0-9]\/[0-9][0-9]\/[0-9][0-9] [0-9:]+ \[/) && substr($0, RSTART, 19) >= since'
      ;;
  esac
}
