"""Client engines, one file each behind `Engine`: what a client's needs become on such a host.

To add one: write the file, add it to `ENGINES`, name it in the schema. Nothing else asks which
engine it is.
"""

from __future__ import annotations

from regfleet.engines.containerd import Containerd
from regfleet.engines.crio import Crio
from regfleet.engines.docker import Docker
from regfleet.engines.interface import Engine
from regfleet.engines.podman import Podman

ENGINES: dict[str, Engine] = {
    engine.name: engine for engine in (Docker(), Podman(), Crio(), Containerd())
}
