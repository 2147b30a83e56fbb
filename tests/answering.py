"""Shell for hosts that waits for a state, where a while would be too short on a busy machine.

Each gives up after a few minutes at most, and leaves it to the test to say what is missing.
"""

_WAIT = "end=$(($(date +%%s) + 120)); until %s || [ $(date +%%s) -ge $end ]; do sleep 0.2; done"


def answers(*ports):
    """Registries answer at these ports, not only Docker's proxy for them: with TLS or without.

    A server of TLS answers a request in plain HTTP, too, with an error in plain HTTP.
    """
    ask = (
        "timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d && "
        'printf "GET /v2/ HTTP/1.0\\r\\n\\r\\n" >&3 && read -r _ <&3\' 2>/dev/null'
    )
    return "; ".join(_WAIT % (ask % port) for port in ports)


def listens(port):
    """Some program takes connections at this port."""
    return _WAIT % f"ss -Hltn 'sport = :{port}' | grep -q ."


def rests(unit):
    """A unit that runs once and ends is not at work; its timer may start it again."""
    return _WAIT % f"[ $(systemctl is-active {unit}) != activating ]"


def runs(unit):
    """Such a unit has run once more: to start one at work waits for what began before."""
    return f"{rests(unit)}; systemctl start {unit}"


# dockerd has taken up its configuration anew, which it says as an event (`docker events`, reload).
RELOADED = "; ".join(
    (
        "since=$(date +%s.%N)",
        "kill -HUP $(cat /var/run/docker.pid)",
        _WAIT
        % (
            "docker events --since $since --until $(date +%s.%N)"
            " --filter type=daemon --filter event=reload | grep -q ."
        ),
    )
)
