"""Reads and edits in place the configuration files that others write too. Pure.

Each format is a module with `parse(text) -> Document`; `merge` applies ownership for all of them.
The engines decide which settings go into which file.
"""
