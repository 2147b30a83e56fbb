"""The fleet that the variable REGFLEET_FLEET names, as a pyinfra inventory."""

from regfleet.inventory import from_environment, groups

globals().update(groups(from_environment()))
