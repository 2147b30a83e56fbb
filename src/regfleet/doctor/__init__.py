"""Find faults and explain them: checks from this machine and on each host, one table of causes.

`causes.toml` explains each failure, `examine` collects the facts, everything else is pure. Nothing
is changed, and a host that cannot be reached is a finding, not an error.
"""
