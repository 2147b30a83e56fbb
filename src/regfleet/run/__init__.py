"""Connections to hosts over pyinfra, and the runs that look, touch, smoke-test and report.

Other packages decide what to do (`plan`, `desired`); this one carries it out.
"""
