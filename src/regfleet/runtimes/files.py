"""What a registry needs on its host, and its service, whatever runs it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from regfleet import roles
from regfleet.fleet.model import Instance, Registry
from regfleet.materials import RegistryMaterial
from regfleet.model.files import Directory, File
from regfleet.model.service import Image, Run, Service, registry_probe
from regfleet.runtimes import configuration

BASE = "/etc/regfleet"
# The registry trusts an upstream and an S3 service as Go's programs trust servers: by the system's
# bundle, and by each file in the directories of this variable (crypto/x509, root_unix.go,
# loadSystemRoots).
_TRUST = "SSL_CERT_DIR"
_SYSTEM_TRUST = "/etc/ssl/certs"
UNCACHED_NOW = "this version runs it without the cache in memory, which knows blobs that are gone"


def roles_path(registry: str) -> str:
    """Where a host keeps who has which role in a registry; only the next plan reads it."""
    return f"{BASE}/{registry}/roles.json"


@dataclass(frozen=True, slots=True)
class Places:
    """Where the running registry sees what it needs; by default as in its container.

    Attributes:
        seen_at: its directory of configuration; empty for where that is on the host.
        storage: its data; empty for where that is on the host.
        listen: address and port, as the configuration's `http.addr`.
    """

    seen_at: str = ""
    storage: str = configuration.STORAGE
    listen: str = f":{configuration.LISTEN}"


@dataclass(frozen=True, slots=True)
class Needs:
    """Files and directories of one registry.

    Attributes:
        home: its directory of configuration on the host.
        read_at_start: digests of the files that it reads at start alone: new ones mean a restart.
        formerly_read: the same for the configuration that an earlier version wrote.
        environment: variables of its process.
    """

    home: str
    files: tuple[File, ...]
    directories: tuple[Directory, ...]
    read_at_start: tuple[str, ...]
    formerly_read: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


def needs(registry: Registry, material: RegistryMaterial, places: Places) -> Needs:
    """What a registry needs on its host.

    htpasswd is read again when it changes; the certificate and the configuration are read at start.
    """
    reason = f"registry.{registry.name}"
    home = f"{BASE}/{registry.name}"
    text, former = (
        configuration.render(
            registry,
            material,
            places.seen_at or home,
            storage=places.storage or registry.storage,
            listen=places.listen,
            cached=cached,
        )
        for cached in (False, True)
    )
    shown = configuration.shown(text)
    config = File(f"{home}/config.yml", text.encode(), 0o600, reason, secret=True, shown=shown)
    files = [config]
    if material.tokens:
        bundle = material.tokens.bundle_pem
        why = f"{reason}.gateway"
        files.append(File(f"{home}/{configuration.TOKENS}", bundle, 0o444, why))
        if material.instances:
            certificate, key_file = configuration.INSTANCE
            key = material.instances.key_pem.reveal().encode()
            shown_pem = material.instances.certificate_pem
            files += [
                File(f"{home}/{certificate}", shown_pem, 0o444, why),
                File(f"{home}/{key_file}", key, 0o600, why, secret=True),
            ]
    elif material.pair:
        key = material.pair.key_pem.reveal().encode()
        why = f"{reason}.tls"
        if material.pair.reason:
            why += f": {material.pair.reason}"
        files += [
            File(f"{home}/registry.crt", material.pair.certificate_pem, 0o444, why),
            File(f"{home}/registry.key", key, 0o600, why, secret=True),
        ]
    environment: tuple[tuple[str, str], ...] = ()
    directories = [
        Directory(BASE, 0o755, reason, own=True),
        Directory(home, 0o700, reason, own=True),
    ]
    trusted = [_SYSTEM_TRUST]
    for below, why, ca in (
        ("upstream", f"{reason}.proxy", material.upstream_ca),
        ("s3", f"{reason}.storage.s3.ca", material.s3_ca),
    ):
        if ca:
            directories.append(Directory(f"{home}/{below}", 0o700, why, own=True))
            files.append(File(f"{home}/{below}/ca.crt", ca, 0o444, why))
            trusted.append(f"{places.seen_at or home}/{below}")
    if len(trusted) > 1:
        environment = ((_TRUST, ":".join(trusted)),)
    directories += _storage(registry)
    read_at_start = tuple(file.digest for file in files)
    formerly_read = (replace(config, content=former.encode()).digest, *read_at_start[1:])
    if material.htpasswd is not None:
        users = material.htpasswd.encode()
        why = f"{reason}.users"
        files.append(File(f"{home}/htpasswd", users, 0o600, why, secret=True, users=True))
    if registry.projects:
        kept = roles.record(registry).encode()
        why = f"{reason}.projects"
        files.append(File(roles_path(registry.name), kept, 0o600, why, roles=True))
    made = tuple(directories)
    return Needs(home, tuple(files), made, read_at_start, formerly_read, environment)


def _storage(registry: Registry) -> list[Directory]:
    """The directory that is mounted; none where a bucket keeps the images."""
    if not registry.storage:
        return []
    reason = f"registry.{registry.name}.storage"
    if registry.shared:
        return [Directory(below(registry.storage), 0o700, reason, mounted=registry.storage)]
    return [Directory(registry.storage, 0o700, reason)]


def below(storage: str) -> str:
    """The directory in a storage that has all that a registry keeps (filesystem driver)."""
    return f"{storage}/docker"


def service(
    fleet: str,
    registry: Registry,
    instance: Instance,
    needs: Needs,
    run: Run,
    *,
    image: Image | None = None,
) -> Service:
    """The service of one instance of a registry that has no gateway.

    Args:
        run: how it is run; all else follows from the declaration.
        image: what it runs, where that is an image.
    """
    return Service(
        name=f"regfleet-{registry.name}",
        run=run,
        probe=registry_probe(tls=registry.tls.source != "none"),
        image=image,
        storage=registry.storage,
        shared=registry.shared,
        inputs=needs.read_at_start,
        address=instance.address,
        port=instance.port,
        everywhere=registry.listen is None,
        registry=registry.name,
        fleet=fleet,
        reason=f"registry.{registry.name}",
        files=needs.files,
        directories=needs.directories,
        adopt=registry.adopt,
        inputs_before={needs.formerly_read: UNCACHED_NOW},
    )
