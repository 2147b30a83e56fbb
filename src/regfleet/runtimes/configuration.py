"""The registry's whole configuration file, for distribution 2 and 3 alike. Pure."""

from __future__ import annotations

import json

from regfleet.fleet.model import Json, Registry
from regfleet.materials import RegistryMaterial

LISTEN = 5000  # inside the container; the endpoint's port is published to it


def render(registry: Registry, material: RegistryMaterial, directory: str) -> str:
    """config.yml, written as JSON, which is YAML too (YAML 1.2, section 1.3): nothing to escape.

    Shipped whole, because images bring defaults of their own (v3's turns on `delete` and a debug
    port). Keys as in distribution's "Configuring a registry".

    Args:
        registry: whose.
        material: its secrets; `http.secret` goes into the text, so the file is 0600.
        directory: where the file's neighbours (certificate, htpasswd) are seen by the registry.
    """
    http: dict[str, Json] = {
        "addr": f":{LISTEN}",
        "secret": material.http_secret.reveal(),
        "headers": {"X-Content-Type-Options": ["nosniff"]},
    }
    if material.pair:
        http["tls"] = {
            "certificate": f"{directory}/registry.crt",
            "key": f"{directory}/registry.key",
            "minimumtls": "tls1.2",
        }
    document: dict[str, Json] = {
        "version": "0.1",
        "log": {"level": "info", "fields": {"registry": registry.name}},
        "storage": {
            "filesystem": {"rootdirectory": "/var/lib/registry"},
            "delete": {"enabled": registry.delete},
            "cache": {"blobdescriptor": "inmemory"},
        },
        "http": http,
    }
    if registry.proxy:
        document["proxy"] = {"remoteurl": registry.proxy}
    if material.htpasswd is not None:
        document["auth"] = {
            "htpasswd": {"realm": registry.endpoint, "path": f"{directory}/htpasswd"}
        }
    return json.dumps(document, indent=2) + "\n"
