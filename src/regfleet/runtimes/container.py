"""A registry as a container: configuration in a directory of its own, data in the storage."""

from __future__ import annotations

from regfleet.desired.model import Container, Directory, File, Image
from regfleet.fleet.model import Registry
from regfleet.materials import RegistryMaterial
from regfleet.runtimes import configuration
from regfleet.runtimes.interface import RuntimeWants
from regfleet.touch.archive import digest

BASE = "/etc/regfleet"
INSIDE = "/etc/regfleet"  # where the container sees its configuration


def wants(fleet: str, registry: Registry, material: RegistryMaterial) -> RuntimeWants:
    """Directories, files and the container of one registry.

    The directory is mounted, not the files: a file that is renamed into place would stay unseen
    behind a file's mount. htpasswd is read again when it changes; the certificate and the
    configuration are read at start, so they are part of the container's specification.
    """
    reason = f"registry.{registry.name}"
    home = f"{BASE}/{registry.name}"
    text = configuration.render(registry, material, INSIDE).encode()
    files = [File(f"{home}/config.yml", text, 0o600, reason, secret=True)]
    read_at_start = list(files)
    if material.pair:
        key = material.pair.key_pem.reveal().encode()
        why = f"{reason}.tls"
        if material.pair.reason:
            why += f": {material.pair.reason}"
        pair = [
            File(f"{home}/registry.crt", material.pair.certificate_pem, 0o444, why),
            File(f"{home}/registry.key", key, 0o600, why, secret=True),
        ]
        files += pair
        read_at_start += pair
    if material.htpasswd is not None:
        users = material.htpasswd.encode()
        files.append(File(f"{home}/htpasswd", users, 0o600, f"{reason}.users", secret=True))
    return RuntimeWants(
        directories=(
            Directory(BASE, 0o755, reason, own=True),
            Directory(home, 0o700, reason, own=True),
            Directory(registry.storage, 0o700, f"{reason}.storage"),
        ),
        files=tuple(files),
        containers=(_container(fleet, registry, reason, home, read_at_start),),
    )


def _container(
    fleet: str, registry: Registry, reason: str, home: str, read_at_start: list[File]
) -> Container:
    archive = registry.image_archive
    return Container(
        name=f"regfleet-{registry.name}",
        image=Image(registry.image, archive, digest(archive) if archive else ""),
        arguments=(
            f"--publish={registry.port}:{configuration.LISTEN}",
            f"--volume={home}:{INSIDE}:ro",
            f"--volume={registry.storage}:/var/lib/registry",
            # v3.0.0 sends traces to localhost unless told otherwise (distribution#4596).
            "--env=OTEL_TRACES_EXPORTER=none",
            # Both official images have the program on their PATH; their entrypoints differ.
            "--entrypoint=registry",
        ),
        command=("serve", f"{INSIDE}/config.yml"),
        storage=registry.storage,
        inputs=tuple(file.digest for file in read_at_start),
        port=registry.port,
        tls=registry.tls.source != "none",
        registry=registry.name,
        fleet=fleet,
        reason=reason,
    )
