"""Puts this directory on the path, for `making`; no test here asserts on elapsed time."""

from hypothesis import settings

settings.register_profile("unit", deadline=None, max_examples=60)
settings.load_profile("unit")
