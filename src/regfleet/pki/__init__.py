"""Certificates: the fleet's own CA, registries' certificates, and checks of those users bring.

`certificates.FleetCertificates` is the door. Nothing here talks to a host or a registry.
"""
