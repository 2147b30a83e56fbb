"""What a runtime has to give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from regfleet.desired.model import Container, Directory, File
from regfleet.fleet.model import Registry
from regfleet.materials import RegistryMaterial


@dataclass(frozen=True, slots=True)
class RuntimeWants:
    """What a registry needs on its host."""

    directories: tuple[Directory, ...]
    files: tuple[File, ...]
    containers: tuple[Container, ...]


class Runtime(Protocol):
    """Turns a declared registry into things on a host. Pure."""

    def __call__(self, fleet: str, registry: Registry, material: RegistryMaterial) -> RuntimeWants:
        """What the host of the registry should have for it."""
