"""Which tags of a registry are deleted in the course of time, and what is asked for that.

`decide` is pure; `pushed` and `deployed` render programs for hosts and parse their answers.
"""
