"""The way to a host over SSH: configuration as OpenSSH reads it, keys, login, jumps, one exchange.

It says nothing about what is done on a host: `run` does that over a `session.Session`.
"""
