"""One touch of a host: a whole plan as one transaction, in one command.

`touch.sh` runs there, `render` writes a plan as calls of its functions, `outcome` reads what it
said, `archive` sends images ahead. What to do is decided in `plan`, never here.
"""
