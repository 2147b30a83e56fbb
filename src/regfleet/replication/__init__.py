"""Copies of images from one registry to another: the program, and what makes it run.

`engine/` is sent to hosts as one file (`bundle.py`), which needs the standard library of Python 3.6
and no regfleet.
"""
