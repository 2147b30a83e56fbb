"""vagrant.toml, which `vagrant up` writes, as a pyinfra inventory."""

from pathlib import Path

from regfleet.inventory import groups

globals().update(groups(Path(__file__).resolve().with_suffix(".toml")))
