"""Talking to a registry from this machine: the distribution HTTP API, direct or through SSH.

`client` asks, `checks` tries what must be refused. Nothing here knows of hosts, plans or pyinfra.
"""
