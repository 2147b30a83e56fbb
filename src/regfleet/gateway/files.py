"""The files of a gateway on its host, and the configurations of what runs behind it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from regfleet import roles
from regfleet.fleet.registries import Registry
from regfleet.gateway import behind, nginx, policy, upstreams
from regfleet.gateway.nginx import Front
from regfleet.gateway.policy import Policy
from regfleet.materials import RegistryMaterial
from regfleet.model.files import Directory, File

ISSUER = "regfleet"
READY = "/auth/ready/"


def home(base: str, registry: str) -> str:
    """The directory of a gateway's configuration: no registry's, whose names have no dot."""
    return f"{base}/{registry}.gateway"


@dataclass(frozen=True, slots=True)
class GatewayNeeds:
    """What a gateway needs on its host.

    Attributes:
        files: read by nginx at its start and at each reload.
        version: of all of them together; the gateway answers at `READY` and this when it uses them.
    """

    home: str
    files: tuple[File, ...]
    directories: tuple[Directory, ...]
    version: str

    @property
    def ready(self) -> str:
        """The path at which a gateway that uses these files, and works, answers 200."""
        return READY + self.version


def needs(registry: Registry, material: RegistryMaterial, front: Front, where: str) -> GatewayNeeds:
    """The files of a registry's gateway.

    Args:
        material: with keys for tokens.
        front: what nginx is to be.
        where: the directory of its configuration on the host.

    Raises:
        TypeError: there are no keys for tokens: the registry has no gateway.
    """
    if material.tokens is None:
        raise TypeError(f"{registry.name} has no gateway")
    reason = f"registry.{registry.name}.gateway"
    plain = [
        File(f"{where}/{name}", text.encode(), 0o644, reason)
        for name, text in (
            ("nginx.conf", nginx.render(front)),
            *((name, nginx.script(name)) for name in nginx.SCRIPTS),
        )
    ]
    if material.pair:
        why = f"registry.{registry.name}.tls"
        if material.pair.reason:
            why += f": {material.pair.reason}"
        key = material.pair.key_pem.reveal().encode()
        plain += [
            File(f"{where}/{nginx.CERTIFICATE}", material.pair.certificate_pem, 0o444, why),
            File(f"{where}/{nginx.KEY}", key, 0o600, why, secret=True),
        ]
    plain += _ways(material, front, where)
    if material.instances:
        shown = material.instances.certificate_pem
        plain.append(File(f"{where}/{upstreams.TRUST}", shown, 0o444, reason))
    beside = hashlib.sha256()
    for file in plain:
        beside.update(file.digest.encode())
    beside.update((material.htpasswd or "").encode())
    decided = Policy(
        issuer=ISSUER,
        service=registry.endpoint,
        keys=material.tokens,
        decided=roles.document(registry),
        beside=beside.hexdigest(),
        deletes=registry.delete,
        enforces=bool(material.behind),
    )
    made = File(
        f"{where}/{nginx.POLICY}",
        policy.render(decided).encode(),
        0o600,
        f"registry.{registry.name}.projects",
        secret=True,
        shown=policy.shown(decided),
    )
    return GatewayNeeds(
        where,
        (*plain, made),
        (Directory(where, 0o700, reason, own=True),),
        decided.version,
    )


def _ways(material: RegistryMaterial, front: Front, where: str) -> Iterator[File]:
    """The ways to other registries, where it is a gateway alone; they hold its logins."""
    reason = f"registry.{front.name}.gateway.before"
    if not material.behind:
        return
    # One that stays: workers of before a reload meet those of after it on these ways.
    key = material.http_secret
    for name, text in (
        (behind.WAYS, behind.ways(material.behind, front.places, front.home, key)),
        (behind.WAY, behind.way(key)),
    ):
        shown = behind.shown(text)
        yield File(f"{where}/{name}", text.encode(), 0o600, reason, secret=True, shown=shown)
    for name, ca in behind.authorities(material.behind).items():
        yield File(f"{where}/{name}", ca, 0o444, reason)
