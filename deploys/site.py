"""The whole fleet: registries, then clients, then the proof.

    pyinfra inventories/NAME.py deploys/site.py -y

The same look, plan and touch as `regfleet apply`.
"""

from pathlib import Path

from pyinfra import local

here = Path(__file__).resolve().parent
# One line each: pyinfra orders operations of different hosts by the lines that call them.
local.include(str(here / "registries.py"))
local.include(str(here / "clients.py"))
local.include(str(here / "smoke.py"))
