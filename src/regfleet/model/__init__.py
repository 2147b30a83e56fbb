"""The types that several stages share: desired and observed hosts, plans, reports, statuses.

Frozen values and pure functions over them. Nothing here reads a file or talks to a host.
"""
