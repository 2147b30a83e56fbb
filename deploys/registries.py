"""Registry hosts: engine, certificates, users, configuration, container.

A registry host that is a client too gets both here: a host is touched once.
"""

from pyinfra import host

from regfleet.deploy import touch

if "registries" in host.groups:
    touch(name="Registries")
