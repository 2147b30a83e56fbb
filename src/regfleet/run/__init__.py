"""Talking to hosts: sessions over pyinfra, and the runs that look, touch, smoke and report.

Everything that is decided is decided elsewhere (`plan`, `desired`); here it is carried out.
"""
