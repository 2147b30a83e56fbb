"""The gateway before a registry: nginx with njs, which ends TLS, checks logins and gives tokens.

Pure: its configuration (`nginx.conf`, `njs/`), the policy that this decides by, and the addresses
of what runs behind it. What runs it on a host is `regfleet.runtimes`.
"""
