"""`python -m regfleet`."""

from regfleet.cli import main

main()
