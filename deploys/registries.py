"""Registry hosts: engine, certificates, users, configuration, container; then gateways' hosts.

A host that is a client too gets both here: a host is touched once. Those of one registry are
touched one after the other, and the rest stay as they are when one fails.
"""

from regfleet.deploy import part, touch

its = part()
# A line each: pyinfra begins with the next one when all hosts are done with the one before.
if its == "registry":
    touch(name="Registries")
if its == "gateway":
    touch(name="Gateways")
if its == "alone":
    touch(name="Gateways before other registries")
