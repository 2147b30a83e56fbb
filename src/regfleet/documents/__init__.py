"""Configuration files that others write too: read, edited in place, merged into by ownership. Pure.

A format a module, each with `parse(text) -> Document`; `merge` is the same for all of them.
What goes into which file is the engines' business.
"""
