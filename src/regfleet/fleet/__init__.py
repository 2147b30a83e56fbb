"""From a fleet file to a checked `Fleet`: read, schema, cross-references, dataclasses.

Pure apart from reading the file. Nothing here knows of hosts' state, pyinfra or Docker.
"""
