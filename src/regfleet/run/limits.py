"""How long anything on a host may take, in seconds."""

CONNECT_SECONDS = 10
LOOK_SECONDS = 90
SMOKE_SECONDS = 900
TOUCH_SECONDS = 1800
ARCHIVE_SECONDS = 3600
