"""Copies of images from one registry to another: the program, and what makes it run.

`engine.py` is sent to hosts as it is: one file, the standard library of Python 3.6, no regfleet.
"""
