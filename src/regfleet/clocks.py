"""What a clock can say: the times of files on a host are only as good as its clock was."""

APART = 3600  # seconds that two clocks may differ: what is compared are hours and days
FIRST = 365 * 86400  # seconds since 1970: a clock that was not set yet says less
