"""What a runtime has to give."""

from __future__ import annotations

from typing import Protocol

from regfleet.fleet.clients import EngineName
from regfleet.fleet.registries import Instance, Registry
from regfleet.materials import RegistryMaterial
from regfleet.model.service import Image, Service


class Runtime(Protocol):
    """Turns a declared registry into things on a host. Pure."""

    @property
    def engine(self) -> EngineName | None:
        """The engine that the host has to have; None where it needs none."""

    def services(
        self,
        fleet: str,
        registry: Registry,
        instance: Instance,
        material: RegistryMaterial,
        image: Image,
        *,
        gateway: Image | None = None,
    ) -> tuple[Service, ...]:
        """The services that make up an instance of the registry, those that others depend on first.

        Args:
            fleet: the fleet's name.
            image: the registry's, with the digest of its archive where it has one.
            gateway: that of its gateway; None for a registry without one.
        """
