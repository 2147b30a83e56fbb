"""regfleet provisions private Docker registries and their clients, declared in one file.

The data passes through load, desired, look, diff, touch, smoke and report: one package each.
Nothing is imported here, so that `regfleet --help` stays quick.
"""

__version__ = "0.1.0"
