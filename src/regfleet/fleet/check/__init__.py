"""The third stage: what no single value shows to be wrong, found by looking across the document.

Runs on what the schema let pass: None stands for the rest. Nothing is contacted; the disk is
only asked whether the files that are named exist.
"""
