"""Limits: how long work on a host may take, how much it may print, how many stay connected.

Times are seconds for a whole operation, from its first byte to its last. Environment variables
change some of them, for slow connections and for tests of endless operations.
"""

import os


def _seconds(name: str, usual: float) -> float:
    """The number in `REGFLEET_NAME_SECONDS`; `usual` if it is unset or not above 0."""
    try:
        given = float(os.environ.get(f"REGFLEET_{name}_SECONDS", usual))
    except ValueError:
        return usual
    return given if given > 0 else usual


CONFIGURATION_SECONDS = 20  # for `ssh -G`, with the programs of a configuration's `Match exec`
CONNECT_SECONDS = 10  # until TCP is connected
# From the first packet until logged in: also for a host under load, a slow name service behind
# its sshd, or a person who touches a security key.
LOGIN_SECONDS = _seconds("LOGIN", 60)
LOOK_SECONDS = _seconds("LOOK", 90)
SMOKE_SECONDS = 900
TOUCH_SECONDS = _seconds("TOUCH", 1800)
ARCHIVE_SECONDS = 3600
AGAIN_SECONDS = _seconds("AGAIN", 60)  # to reach a host again whose connection broke
KEEPALIVE_SECONDS = 10
UNACKNOWLEDGED_SECONDS = 20  # then the network counts as gone
PER_CORE = 20  # hosts at the same time, as pyinfra has it (api/state.py)
KEPT_CONNECTIONS = 1000  # hosts with nothing to do at the moment; some 60 kB each

# What one command may say. The largest look that is meant: daemon.json and its original of 1 MB
# each as base64, 500 containers of 3 kB in the engine's list: 4 MB. JSON of this size takes some
# 200 MB when it is read into Python (`[],[],…`), which a controller has.
ANSWER_BYTES = 8 << 20
# What a host may send that nobody has asked for or taken yet: SSH's window is 2 MB a channel, and
# a connection carries a command and a few tunnels.
UNTAKEN_BYTES = 8 << 20
LOGIN_BYTES = 256 << 10  # keys of every kind are some kilobytes, a banner a page
