"""Registry hosts: engine, certificates, users, configuration, container. Clients' things too,
where a registry host is a client as well: a host is touched once."""

from pyinfra import host

from regfleet.deploy import touch

if "registries" in host.groups:
    touch(name="Registries")
