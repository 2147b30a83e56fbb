"""Finds names that the fleet's CA must sign but, by `ca.permitted`, may not."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import suppress

from regfleet.fleet import defaults
from regfleet.fleet.check import tables
from regfleet.fleet.check.hosts import Claim
from regfleet.fleet.findings import Finding, RefusedError, Table
from regfleet.fleet.machines import LOCAL
from regfleet.fleet.toml_text import shown


def check(document: Table, claims: list[Claim]) -> Iterator[Finding]:
    """Registries whose certificates clients would refuse because `ca.permitted` lacks a name."""
    permitted = [text for _, text in tables.items(document.get("ca") or {}, "permitted")]
    if not permitted:
        return
    for name, registry in tables.named(document, "registry"):
        place = ("registry", name)
        if registry.get("external") or defaults.tls(registry)["source"] != "fleet-ca":
            continue
        hosts = [claim for claim in claims if claim.group[:2] == place and claim.name != LOCAL]
        wanted = [*(claim.name for claim in hosts), *(claim.address for claim in hosts)]
        wanted += [text for _, text in tables.items(registry.get("tls") or {}, "names")]
        if not tables.is_broken(registry, "endpoint"):
            with suppress(RefusedError):  # reported by check/registries
                wanted.append(_endpoint_host(defaults.endpoint(registry)))
        outside = [text for text in dict.fromkeys(wanted) if not is_permitted(text, permitted)]
        if outside:
            names = ", ".join(map(shown, outside))
            message = f"the fleet's CA may not sign for {names}: ca.permitted does not allow it"
            hint = "add them there; a certificate always names the endpoint and its hosts"
            yield Finding(place, message, hint)


def is_permitted(name: str, permitted: Iterable[str]) -> bool:
    """Whether a name or address is in one of these domains and networks (RFC 5280, 4.2.1.10)."""
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        dns = name.lower().removeprefix("*.")
        return any(
            dns == domain.lower() or dns.endswith(f".{domain.lower()}")
            for domain in permitted
            if "/" not in domain
        )
    return any(address in ipaddress.ip_network(text) for text in permitted if "/" in text)


def _endpoint_host(endpoint: str) -> str:
    if endpoint.startswith("["):
        return endpoint[1:].partition("]")[0]
    return endpoint.partition(":")[0]
