"""How a registry runs on its host, one file each behind `interface.Runtime`.

To add one: write the file, add it to `RUNTIMES`, name it in the schema.
"""

from __future__ import annotations

from regfleet.runtimes import compose, container, package, podman
from regfleet.runtimes.interface import Runtime

RUNTIMES: dict[str, Runtime] = {
    "container": container.Container(),
    "compose": compose.Compose(),
    "package": package.Package(),
    "podman": podman.Podman(),
}
