"""Prints everything that regfleet writes to standard output and standard error.

Text from hosts, registries, images and files may hold terminal controls, so it is cleaned here
before it is printed. No other module writes to either stream; a test checks that.
"""
