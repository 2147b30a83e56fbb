# doas with a password, which it reads from a terminal alone (doas(1)). script(1) makes one; the
# command's own input and output go past it. For hosts without sudo, by an account that is not root.
# shellcheck shell=sh disable=SC2016,SC2094,SC2154
# $1: the command for `sh -c`. $p: the password. Input: the command's.
by_doas() (
    w=$1
    command -v script >/dev/null 2>&1 || {
        echo 'doas: asks at a terminal, and there is no script(1) to make one'
        exit 127
    }
    umask 077
    d=$(mktemp -d) || exit
    trap 'rm -rf "$d"' EXIT
    trap 'exit 1' HUP INT PIPE TERM
    mkfifo "$d/in" || exit
    echo 127 >"$d/status"
    exec 3<&0 4>&1
    # script asks SHELL to run its command; an account's may be none of POSIX's.
    by='doas sh -c "$w" <&3 >&4 2>&4 3<&- 4>&-; echo $? >"$d/status"'
    w=$w d=$d SHELL=/bin/sh LC_ALL=C script -q -c "$by" /dev/null <"$d/in" 2>&1 | {
        exec 3<&- 5>"$d/in"
        answer=$p
        # What doas prints on the terminal are questions. It throws away what was typed before one
        # (readpassphrase(3)), so the answer waits for it. Further ones get an empty answer, so that
        # a wrong password is tried once.
        while asked=$(dd bs=512 count=1 2>/dev/null && echo .) && [ "$asked" != . ]; do
            case $asked in
            *:*)
                printf '%s\n' "$answer" >&5
                answer=
                ;;
            esac
        done
    }
    exit "$(cat "$d/status")"
)
