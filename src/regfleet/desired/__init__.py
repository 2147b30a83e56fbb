"""Computes each host's desired state: files, daemon settings, services, logins.

Pure: no I/O, no pyinfra, nothing about what a host has now (that is `look` and `plan`).
"""
