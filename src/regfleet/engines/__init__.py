"""Client engines, one file each behind `Engine`: what a client's needs become on such a host.

To add one: write the file, add it to `ENGINES`, name it in the schema. Nothing else asks which
engine it is.
"""

from __future__ import annotations

from regfleet.engines.buildkit import Buildkit
from regfleet.engines.containerd import Containerd
from regfleet.engines.crio import Crio
from regfleet.engines.docker import Docker
from regfleet.engines.docker_sysconfig import DockerSysconfig
from regfleet.engines.interface import Engine
from regfleet.engines.podman import Podman
from regfleet.engines.rancher import Rancher
from regfleet.engines.rootless import Rootless

# Registries run as containers of this one, whatever engine a host's clients have.
REGISTRY_ENGINE = "docker"

ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Docker(),
        DockerSysconfig(),
        Rootless(),
        Podman(),
        Crio(),
        Containerd(),
        Rancher("k3s", "k3s"),
        Rancher("rke2", "RKE2"),
        Buildkit(),
    )
}
