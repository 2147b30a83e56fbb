"""What is wrong, and what to do: checks from here and from each host, explained by one table.

`causes.toml` says in words what each failure means, `examine` collects, everything between is
pure. Nothing is changed anywhere, and what cannot be reached is a finding, not an error.
"""
