"""Talks to a registry from this machine: the distribution HTTP API, direct or through SSH.

`client` sends requests; `checks` tests what a registry must refuse. Nothing here knows plans or
pyinfra.
"""
