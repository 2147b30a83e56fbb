"""What a host should have: files, daemon settings, containers and logins, as frozen values.

Pure: no I/O, no pyinfra, no knowledge of what a host has now (that is `look` and `plan`).
"""
