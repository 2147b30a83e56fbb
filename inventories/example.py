"""example.toml as a pyinfra inventory; beside any fleet file, a copy of these lines does the same."""

from pathlib import Path

from regfleet.inventory import groups

globals().update(groups(Path(__file__).resolve().with_suffix(".toml")))
