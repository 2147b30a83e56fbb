"""A registry on a host that regfleet did not make: what it is, and where it keeps its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Behind the name of a container that stands aside.
ASIDE = "-before-regfleet"


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount of a container.

    Attributes:
        inside: where the container sees it.
        source: the host's directory.
        volume: the volume's name; empty for a directory that was named by its path.
    """

    inside: str
    source: str
    volume: str = ""


@dataclass(frozen=True, slots=True)
class Foreign:
    """What serves a port and is a registry that regfleet did not make.

    Attributes:
        kind: a container of Docker's, or a service of the service manager's.
        key: the container's identifier, or the unit's name.
        name: for people.
        restart: a container's restart policy, as `docker update` takes it; `enabled` or
            `disabled` for a unit.
        image: a container's image.
        project: the Compose project that it belongs to.
        driver: the storage driver (`filesystem`, `s3`); empty when the configuration could not
            be read.
        root: the directory of its images where the registry sees it.
        source: the host's directory of its images; empty when they are inside the container.
        volume: the volume that holds them, when one does.
        unused: mounts on which its images do not lie, and which are no file of its configuration.
        obstacle: why it cannot be adopted; empty when it can.
        advice: what to do about the obstacle.
        in_place: whether the declared storage is that directory.
        linkable: whether the declared storage is on the same file system.
        certificate: its certificate's file where the registry sees it; empty without TLS.
        htpasswd: its file of users, likewise.
        upstream: the URL that it is a pull-through cache of.
        deletes: whether images may be deleted.
        port: the port of the host that it serves; 0 when that is unknown.
        users: the names in its file of users, when that was asked for.
    """

    kind: Literal["container", "unit"]
    key: str
    name: str
    restart: str = ""
    image: str = ""
    project: str = ""
    driver: str = ""
    root: str = ""
    source: str = ""
    volume: str = ""
    unused: tuple[Mount, ...] = ()
    obstacle: str = ""
    advice: str = ""
    in_place: bool = False
    linkable: bool = False
    certificate: str = ""
    htpasswd: str = ""
    upstream: str = ""
    deletes: bool = False
    port: int = 0
    users: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Where its images are, for a message."""
        if self.driver not in ("", "filesystem"):
            return f"it is a registry that keeps its images by the driver {self.driver}"
        if not self.root:
            return "it is a registry whose configuration cannot be read"
        if not self.source:
            where = f"in {self.root} inside the container, on no mount"
        elif self.volume:
            where = f"in {self.source} (the volume {self.volume[:12]})"
        else:
            where = f"in {self.source}"
        text = f"it is a registry that keeps its images {where}"
        for mount in self.unused:
            text += f"; {mount.source} is mounted at {mount.inside}, which it does not use"
        return text
