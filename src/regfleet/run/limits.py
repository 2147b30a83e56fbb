"""How long anything on a host may take, in seconds, and how many are kept connected."""

CONNECT_SECONDS = 10
LOOK_SECONDS = 90
SMOKE_SECONDS = 900
TOUCH_SECONDS = 1800
ARCHIVE_SECONDS = 3600
AGAIN_SECONDS = 60  # to reach a host again whose connection broke
KEEPALIVE_SECONDS = 10
UNACKNOWLEDGED_SECONDS = 20  # then the network counts as gone
KEPT_CONNECTIONS = 1000  # hosts with nothing to do at the moment; some 60 kB each
