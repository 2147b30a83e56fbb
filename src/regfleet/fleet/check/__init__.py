"""The third stage: finds mistakes that only show when several values are compared.

It runs on a document in which None stands for each value that the schema refused. It contacts
nothing, and asks the disk only whether the files that the document names exist.
"""
