"""The registry's whole configuration file, for distribution 2 and 3 alike. Pure."""

from __future__ import annotations

import json
import re

from regfleet.documents.yaml_text import printable
from regfleet.fleet.registries import S3, Registry
from regfleet.fleet.values import Json
from regfleet.gateway import files as gateway
from regfleet.materials import RegistryMaterial

LISTEN = 5000  # inside the container; the endpoint's port is published to it
STORAGE = "/var/lib/registry"  # inside the container
TOKENS = "tokens.crt"  # the certificates of tokens that it takes, beside its configuration
INSTANCE = ("instance.crt", "instance.key")  # for gateways on other hosts, beside it, too
USERS = "users.yml"  # the configuration of the process that checks passwords, beside that
DRAIN = "8s"  # Docker kills after 10 s what it stops

# No pushes: uploads and deletions are answered with 405 (distribution, "Configuration": readonly).
# Nor does it purge uploads, which are those of the registry that takes pushes.
_READ_ONLY: Json = {"readonly": {"enabled": True}, "uploadpurging": {"enabled": False}}

# How distribution calls the values that nobody may see: http.secret, proxy.password, S3's keys.
_SECRET = re.compile(r'^(\s*"(?:secret|password|accesskey|secretkey)": )".*?"(,?)$', re.MULTILINE)


def shown(text: str) -> str:
    """A rendered configuration as people may see it: without its secrets."""
    return _SECRET.sub(r'\1"***"\2', text)


def render(
    registry: Registry,
    material: RegistryMaterial,
    directory: str,
    *,
    storage: str = STORAGE,
    listen: str = f":{LISTEN}",
    cached: bool = False,
) -> str:
    """config.yml, written as JSON, which is YAML too (YAML 1.2, section 1.3): nothing to escape.

    Shipped whole, because images bring defaults of their own (v3's turns on `delete` and a debug
    port). Keys as in distribution's "Configuring a registry".

    There is no cache of blobs: the one in memory keeps entries of blobs that a collection or
    another instance has deleted, also in version 3. HEAD then answers 200 for them, so that clients
    do not upload them again, and what they push cannot be pulled.

    Args:
        registry: whose.
        material: its secrets; `http.secret` and the upstream's password go into the text, so the
            file is 0600.
        directory: where the file's neighbours (certificate, htpasswd) are seen by the registry.
        storage: where the registry sees the directory of its data.
        listen: address and port at which it listens; without an address at all of them.
        cached: as earlier versions wrote it, with the cache in memory.
    """
    s3 = registry.s3
    http: dict[str, Json] = {
        "addr": listen,
        "secret": material.http_secret.reveal(),
        "headers": {"X-Content-Type-Options": ["nosniff"]},
    }
    if registry.gateway or len(registry.hosts) > 1:
        # What is under way is finished: who comes anew is served by another one, or waits.
        http["draintimeout"] = DRAIN
    pair = ("registry.crt", "registry.key") if material.pair else None
    if registry.gateway:  # that ends the clients' TLS
        pair = INSTANCE if registry.spread else None
    if pair:
        certificate, key = pair
        http["tls"] = {
            "certificate": f"{directory}/{certificate}",
            "key": f"{directory}/{key}",
            "minimumtls": "tls1.2",
        }
    document: dict[str, Json] = {
        "version": "0.1",
        "log": {"level": "info", "fields": {"registry": registry.name}},
        "storage": {
            **({"filesystem": {"rootdirectory": storage}} if s3 is None else _bucket(s3, material)),
            "delete": {"enabled": registry.delete},
            **({"cache": {"blobdescriptor": "inmemory"}} if cached else {}),
            **({"maintenance": _READ_ONLY} if registry.read_only_of else {}),
        },
        "http": http,
    }
    if s3:
        # A registry whose bucket does not answer says 503 to everything, and no 404 that clients
        # would take for an image that is not there (distribution, "Configuration": health).
        document["health"] = {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}}
    if registry.proxy:
        document["proxy"] = _proxy(registry, material)
    if registry.gateway:
        scheme = "http" if registry.tls.source == "none" else "https"
        document["auth"] = {
            "token": {
                "realm": f"{scheme}://{registry.endpoint}/auth/token",
                "service": registry.endpoint,
                "issuer": gateway.ISSUER,
                "rootcertbundle": f"{directory}/{TOKENS}",
            }
        }
    elif material.htpasswd is not None:
        document["auth"] = _htpasswd(registry, directory)
    return _text(document)


def render_users(
    registry: Registry, material: RegistryMaterial, directory: str, listen: str
) -> str:
    """The configuration of the process that checks passwords behind a gateway.

    It is a registry without images, which nobody can push to: whom it lets in at `/v2/` has given
    the right password.
    """
    return _text(
        {
            "version": "0.1",
            "log": {
                "level": "error",
                "accesslog": {"disabled": True},
                "fields": {"registry": f"{registry.name}.users"},
            },
            "storage": {
                "inmemory": {},
                "maintenance": _READ_ONLY,
            },
            "http": {"addr": listen, "secret": material.http_secret.reveal()},
            "auth": _htpasswd(registry, directory),
        }
    )


def _htpasswd(registry: Registry, directory: str) -> dict[str, Json]:
    return {"htpasswd": {"realm": registry.endpoint, "path": f"{directory}/htpasswd"}}


def _text(document: dict[str, Json]) -> str:
    return printable(json.dumps(document, indent=2, ensure_ascii=False)) + "\n"


def _bucket(s3: S3, material: RegistryMaterial) -> dict[str, Json]:
    """The storage driver `s3` (distribution, "S3 storage driver"), and whether it redirects."""
    driver: dict[str, Json] = {"bucket": s3.bucket, "region": s3.region}
    if s3.prefix:
        driver["rootdirectory"] = f"/{s3.prefix}"
    if s3.endpoint:
        # Services of one's own mostly have no name in the DNS for each bucket.
        driver |= {"regionendpoint": s3.endpoint, "forcepathstyle": True}
        driver["secure"] = s3.endpoint.startswith("https://")
    if material.s3_keys:
        access, secret = material.s3_keys
        driver |= {"accesskey": access.reveal(), "secretkey": secret.reveal()}
    return {"s3": driver, "redirect": {"disable": not s3.redirect}}


def _proxy(registry: Registry, material: RegistryMaterial) -> dict[str, Json]:
    """The upstream, its login, and how long what it gave is kept."""
    proxy: dict[str, Json] = {"remoteurl": registry.proxy}
    if registry.proxy_user and material.upstream_password:
        proxy["username"] = registry.proxy_user.name
        proxy["password"] = material.upstream_password.reveal()
    if registry.proxy_ttl:
        proxy["ttl"] = registry.proxy_ttl
    return proxy
