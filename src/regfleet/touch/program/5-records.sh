# What a job leaves on the host of how it ended: the controller asks for it by the next look, whoever
# ran it. jobs/records.py reads it.
# shellcheck shell=sh disable=SC2034,SC2154  # shared variables

RECORDS=$BASE/records
recording= # the record that is open: KIND.SERVICE
said_before=0

keep_record() { # KIND.SERVICE: what is said from here on belongs to it; the one before ended well
  [ "$recording" != "$1" ] || return 0
  if [ -n "$recording" ]; then
    if [ -n "$changed" ]; then close_record changed; else close_record unchanged; fi
  fi
  recording=$1
  said_before=$(($(grep -c '' "$told" 2>/dev/null) + 0))
  recording_since=$(date +%s)
}

close_record() { # RESULT: replaces the last one whole
  [ -d "$BASE" ] || return 0 # nothing is owned here any more
  mkdir -p "$RECORDS" &&
    {
      printf '@run %s\n@who %s\n@began %s\n@ended %s\n' "${mark:--}" "$begun_by" "$recording_since" "$(date +%s)"
      tail -n "+$((said_before + 1))" "$told" 2>/dev/null | grep -v -e '^@outcome ' -e '^@run ' | head -c 60000
      printf '@outcome %s\n' "$1"
    } >"$RECORDS/$recording.new" && mv -f "$RECORDS/$recording.new" "$RECORDS/$recording"
  recording=
  return 0
}

end_record() { # RESULT: of the whole job
  if [ -n "$recording" ]; then close_record "$1"; fi
}
