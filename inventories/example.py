"""example.toml as a pyinfra inventory; a copy beside any fleet file does the same for that one."""

from pathlib import Path

from regfleet.inventory import groups

globals().update(groups(Path(__file__).resolve().with_suffix(".toml")))
