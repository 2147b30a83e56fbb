"""What a registry needs on its host, and its service, whatever runs it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from regfleet import http_proxy, roles
from regfleet.fleet.registries import Instance, Registry
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
VARIABLES = "proxy.env"  # with a password that its process gets as a variable
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
        variables: path, as the process sees it, of a file with more variables, which only root
            reads; empty for none.
    """

    home: str
    files: tuple[File, ...]
    directories: tuple[Directory, ...]
    read_at_start: tuple[str, ...]
    formerly_read: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    variables: str = ""


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
    files = [config, *_identity(material, home, reason)]
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
    environment: tuple[tuple[str, str], ...] = ()
    if len(trusted) > 1:
        environment = ((_TRUST, ":".join(trusted)),)
    variables = ""
    if proxy := material.http_proxy:
        told = tuple(http_proxy.variables(proxy).items())
        if proxy.secret:
            files.append(_variables_file(told, f"{home}/{VARIABLES}", f"{reason}.http_proxy"))
            variables = f"{places.seen_at or home}/{VARIABLES}"
        else:
            environment += told
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
    return Needs(home, tuple(files), made, read_at_start, formerly_read, environment, variables)


def _identity(material: RegistryMaterial, home: str, reason: str) -> Iterator[File]:
    """How it shows who it is: to clients, or behind a gateway to that."""
    if material.tokens:
        bundle = material.tokens.bundle_pem
        why = f"{reason}.gateway"
        yield File(f"{home}/{configuration.TOKENS}", bundle, 0o444, why)
        if material.instances:
            certificate, key_file = configuration.INSTANCE
            key = material.instances.key_pem.reveal().encode()
            yield File(f"{home}/{certificate}", material.instances.certificate_pem, 0o444, why)
            yield File(f"{home}/{key_file}", key, 0o600, why, secret=True)
    elif material.pair:
        key = material.pair.key_pem.reveal().encode()
        why = f"{reason}.tls"
        if material.pair.reason:
            why += f": {material.pair.reason}"
        yield File(f"{home}/registry.crt", material.pair.certificate_pem, 0o444, why)
        yield File(f"{home}/registry.key", key, 0o600, why, secret=True)


def _variables_file(given: Iterable[tuple[str, str]], path: str, reason: str) -> File:
    """A file of variables, for a shell and for systemd alike (systemd.exec(5), `EnvironmentFile=`).

    Args:
        given: the variables; URLs in them may have passwords.
    """
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in given)
    shown = http_proxy.without_login(text)
    return File(path, text.encode(), 0o600, reason, secret=True, shown=shown)


def with_variables(needs: Needs, *command: str) -> tuple[str, ...]:
    """What a container runs: the registry's program, with its file of variables if it has one.

    The engine would show variables that it gives a container to whoever may ask it (`inspect`).
    The image's shell reads them from the file that root alone reads, and becomes the registry.

    Args:
        command: the program's arguments.

    Returns:
        The entry point and the arguments behind it.
    """
    if not needs.variables:
        return ("registry", *command)
    return ("/bin/sh", "-c", f'set -a; . {needs.variables}; exec registry "$@"', "sh", *command)


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
