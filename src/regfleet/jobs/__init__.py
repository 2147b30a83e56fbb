"""One-shot work on a host. Each job is a Python file with its shell; `running` runs it.

Bringing a host to its desired state is a touch, not a job; both use `touch.protocol`.
"""
