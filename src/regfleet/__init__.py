"""regfleet: private Docker registries and every client of theirs, declared in one file.

The data's way is load, desired, look, diff, touch, smoke, report: one package each.
Nothing is imported here, so that `regfleet --help` stays quick.
"""

__version__ = "0.1.0"
