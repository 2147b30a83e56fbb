"""What a user sees of a run: for people, for programs (JSON, JUnit) and for later (HTML).

Pure renderings of `model`; nothing here decides or contacts anything.
"""
