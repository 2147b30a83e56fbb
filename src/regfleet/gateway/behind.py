"""The ways from a gateway alone to the registries that it stands before. Pure.

Each way is a server of nginx's on the host itself, which asks one registry: by its own name, scheme
and CA, and with the gateway's login. So the gateway balances over ways that are all alike, whatever
is at their ends. It marks its requests with a secret: without one, everybody on the host could go
such a way and be nobody's guest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

from regfleet.gateway.places import Places
from regfleet.materials import Behind
from regfleet.secret import Secret

WAYS = "ways.conf"
WAY = "way.conf"
"""The file with the header that marks requests."""
MARK = "X-Regfleet-Way"
SESSION = "regfleet_way"
"""The field of the places of uploads that says which way they go."""
SYSTEM_CAS = "/etc/ssl/certs/ca-certificates.crt"
"""The CAs that every machine trusts, on Debian, Ubuntu and Alpine, and in the official image."""
_SECRET = re.compile(r'(Authorization|X-Regfleet-Way|way !=) "[^"]+"')

_WAY = """\
# {name}
upstream behind_{number} {{
  zone behind_{number} 1m;
{servers}
}}
server {{
  listen {listen};
  client_max_body_size 0;
  if ($http_x_regfleet_way != "{mark}") {{
    return 403;
  }}
{trust}  add_header X-Regfleet-Registry "{name}" always;
  location / {{
    proxy_pass {scheme}://behind_{number};
    proxy_request_buffering off;
    proxy_buffering off;
{session}    proxy_redirect "~^https?://{escaped}(?<rest>/.*)$" $http_x_forwarded_proto://$http_host$rest;
    proxy_set_header Connection "";
    proxy_set_header Host "{endpoint}";
    proxy_set_header Authorization "{login}";
    proxy_set_header X-Regfleet-Way "";
    proxy_set_header X-Forwarded-Host "";
    proxy_set_header X-Forwarded-Proto {scheme};
    proxy_intercept_errors on;
    error_page 401 = @unwelcome;
  }}
  location @unwelcome {{
    add_header X-Regfleet-Why $regfleet_unwelcome always;
    return 503;
  }}
}}
"""
# Why a registry behind answers 401: it takes passwords, and not this one, or only tokens of a
# service of its own (distribution, docs/spec/auth/token.md), as Harbor and Docker Hub do.
_UNWELCOME = """\
map $upstream_http_www_authenticate $regfleet_unwelcome {
  default login;
  "~*\\bbasic " login;
  "~*\\bbearer " tokens;
}
"""
# An upload goes on where it began, for no other registry knows of it.
_SESSION = """\
    proxy_redirect "~^(?:https?://{escaped})?(?<rest>/v2/.+/blobs/uploads/[^?]*\\?.*)$" \
$http_x_forwarded_proto://$http_host$rest&{field}={number};
    proxy_redirect "~^(?:https?://{escaped})?(?<rest>/v2/.+/blobs/uploads/[^?]+)$" \
$http_x_forwarded_proto://$http_host$rest?{field}={number};
"""
_TRUST = """\
  proxy_ssl_trusted_certificate {ca};
  proxy_ssl_verify on;
  proxy_ssl_verify_depth 5;
  proxy_ssl_name {name};
  proxy_ssl_server_name on;
  proxy_ssl_protocols TLSv1.2 TLSv1.3;
"""


def ways(behind: Sequence[Behind], places: Places, home: str, key: Secret) -> str:
    """The servers of all ways; secret.

    Args:
        home: the directory of nginx's configuration, as nginx sees it.
        key: a secret that the mark is made from, and that does not change.
    """
    found = (
        _WAY.format(
            name=each.name,
            number=number,
            servers="\n".join(f"  server {server};" for server in each.servers),
            listen=places.behind[number],
            mark=_mark(key),
            trust=_trust(each, number, home),
            scheme="https" if each.tls else "http",
            endpoint=each.endpoint,
            escaped=re.escape(each.endpoint),
            login=each.login.reveal() if each.login else "",
            session=_session(each, number) if len(behind) > 1 else "",
        )
        for number, each in enumerate(behind)
    )
    return "\n".join((_UNWELCOME, *found))


def sessions(listens: Sequence[str]) -> Iterator[str]:
    """The way that each request of an upload goes: `$uploads`, the name of an upstream.

    Args:
        listens: where the ways listen.
    """
    yield f"map $arg_{SESSION} $uploads {{"
    yield "  default uploads;"
    yield from (f"  {number} way_{number};" for number in range(len(listens)))
    yield "}"
    for number, listen in enumerate(listens):
        yield f"upstream way_{number} {{"
        yield f"  server {listen} max_fails=0;"
        yield "}"


def way(key: Secret) -> str:
    """The directive that marks a request; secret."""
    return f'proxy_set_header {MARK} "{_mark(key)}";\n'


def shown(text: str) -> str:
    """One of these texts without its secrets."""
    return _SECRET.sub(r'\1 "***"', text)


def authorities(behind: Iterable[Behind]) -> dict[str, bytes]:
    """The files of the CAs by which nginx knows these registries."""
    return {_ca(number): each.ca for number, each in enumerate(behind) if each.ca and each.tls}


def _trust(each: Behind, number: int, home: str) -> str:
    if not each.tls:
        return ""
    ca = f"{home}/{_ca(number)}" if each.ca else SYSTEM_CAS
    return _TRUST.format(ca=ca, name=each.named)


def _session(each: Behind, number: int) -> str:
    return _SESSION.format(escaped=re.escape(each.endpoint), field=SESSION, number=number)


def _ca(number: int) -> str:
    return f"behind-{number}.crt"


def _mark(key: Secret) -> str:
    return hashlib.sha256(f"way {key.reveal()}".encode()).hexdigest()[:32]
