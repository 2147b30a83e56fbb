"""The runs that look, touch, smoke-test and report, over the connections of `ssh`.

Other packages decide what to do (`plan`, `desired`); this one carries it out.
"""
