"""What a gateway decides by: who is in which project, and the key that signs tokens. Pure.

It is a module of njs, and holds the key: 0600, root's alone. nginx reads it as root at its start
and at each reload.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from regfleet.pki.tokens import TokenKeys

TTL = 240
"""Seconds that a token says it is good for. Registries take it for 60 more (distribution,
registry/auth/token: Leeway): so for five minutes may pull who was taken out of a project."""

_HEAD = "// Written by regfleet. It holds the key that signs tokens.\n"


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole policy of one registry.

    Attributes:
        issuer, service: as the registry's `auth.token` has them.
        keys: what tokens are signed with.
        decided: who may do what, as `roles.document` gives it.
        beside: a digest over all else that nginx reads with it, and over the registry's users, so
            that a changed password counts at once.
        deletes: whether the registry deletes at all.
        enforces: whether the gateway decides alone: then no registry behind it takes its tokens.
    """

    issuer: str
    service: str
    keys: TokenKeys = field(repr=False)
    decided: Mapping[str, Any]
    beside: str = ""
    deletes: bool = True
    enforces: bool = False

    @property
    def version(self) -> str:
        """Another one for each other policy; tells nothing of the key."""
        return hashlib.sha256(f"policy {_text(self, '')}".encode()).hexdigest()[:16]


def render(policy: Policy) -> str:
    """The module `policy.js`, with the key."""
    return f"{_HEAD}export default {_text(policy, policy.version)};\n"


def shown(policy: Policy) -> str:
    """The policy as people may see it, without the key."""
    return json.dumps(policy.decided, indent=1, ensure_ascii=False) + "\n"


def _text(policy: Policy, version: str) -> str:
    """JSON in ASCII, which is JavaScript, too (ECMAScript 2019).

    njs makes the object anew for every request: so a project is one text, lines of `USER:ROLE`
    behind `+` where it is public, and the admins are another, lines of `USER`. No user's name has a
    colon or a control character (htpasswd). As the keys of an object one would be lost: `__proto__`
    names no property in JavaScript's literals (ECMAScript, annex B).
    """
    header = {
        "typ": "JWT",
        "alg": "ES256",
        "x5c": [base64.b64encode(policy.keys.certificate_der).decode()],
    }
    document = {
        "version": version,
        "issuer": policy.issuer,
        "service": policy.service,
        "ttl": TTL,
        "header": _url(json.dumps(header, separators=(",", ":")).encode()),
        "key": _der(policy.keys.key_pem.reveal()),
        "beside": policy.beside,
        "deletes": policy.deletes,
        "enforces": policy.enforces,
        "verify": _public_keys(policy.keys.bundle_pem) if policy.enforces else [],
        "admins": "".join(f"\n{user}" for user in policy.decided["admins"]) + "\n",
        "projects": {name: _project(each) for name, each in policy.decided["projects"].items()},
    }
    return json.dumps(document, separators=(",", ":"))


def _project(project: Mapping[str, Any]) -> str:
    members = "".join(f"\n{user}:{role}" for user, role in project["members"].items())
    return f"{'+' if project['public'] else '-'}{members}\n"


def _url(data: bytes) -> str:
    """base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _public_keys(bundle: bytes) -> list[str]:
    """The keys whose tokens are taken: SubjectPublicKeyInfo (RFC 5280, 4.1), in base64.

    None of a text that is no bundle, as of a plan without the state directory.
    """
    try:
        certificates = x509.load_pem_x509_certificates(bundle)
    except ValueError:
        return []
    keys = (each.public_key() for each in certificates)
    encoded = (each.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for each in keys)
    return [base64.b64encode(each).decode() for each in encoded]


def _der(pem: str) -> str:
    """The base64 text of a PEM block (RFC 7468)."""
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))
