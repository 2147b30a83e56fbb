"""The difference between what a host should have and what it has, as a list of typed changes.

Pure: given a `DesiredHost` and an `ObservedHost`, nothing else. Rendering for the host is `touch`.
"""
