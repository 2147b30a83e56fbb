"""Certificates: the fleet's CA, registries' certificates, and checks of certificates from users.

Callers use `certificates.FleetCertificates`. Nothing here talks to a host or a registry.
"""
