"""A gateway's nginx configuration, whole: `nginx.conf` of this package, filled. Pure.

Directives are those of nginx 1.22 and later with njs 0.7.9 and later (nginx.org, "Alphabetical
index of directives").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from textwrap import dedent

from regfleet.gateway import behind, upstreams
from regfleet.gateway.places import Places
from regfleet.gateway.upstreams import Upstreams
from regfleet.model.service import at

MODULE = "/usr/lib/nginx/modules/ngx_http_js_module.so"
"""Where the official image, Debian, Ubuntu and Alpine have njs."""
STREAM_MODULE = "/etc/nginx/modules-enabled/*-mod-stream.conf"
"""What loads the module stream where a package brings it; the official image has it built in."""
STREAM_FILE = "/usr/lib/nginx/modules/ngx_stream_module.so"
"""The module itself, in Debian's and Ubuntu's package libnginx-mod-stream."""
SCRIPTS = ("gateway.js", "rights.js", "tokens.js")
POLICY = "policy.js"
CERTIFICATE = "registry.crt"
KEY = "registry.key"

_MANIFEST = "5m"  # distribution takes manifests of up to 4 MiB (registry/handlers/manifests.go)

# `proxy_set_header` is inherited only where a location sets none of its own: so all say them all.
# Registries make the places of uploads of what is forwarded, and log the first address in it
# (distribution, registry/api/v2/urls.go): neither is for a client to say.
_HEADERS = """\
proxy_set_header Connection "";
proxy_set_header Host $http_host;
proxy_set_header X-Real-IP $remote_addr;
proxy_set_header Forwarded "";
proxy_set_header X-Forwarded-Host "";
proxy_set_header X-Forwarded-For $came_from;
proxy_set_header X-Forwarded-Proto $spoken;"""
_AS_SENT = """\
proxy_set_header Authorization $http_authorization;"""
_AS_EXCHANGED = """\
proxy_set_header Authorization "Bearer $bearer";"""
_EXCHANGE = """\
set $cred $http_authorization;
auth_request /_mint;
auth_request_set $bearer $upstream_http_x_bearer;
auth_request_set $why $upstream_http_x_why;"""
# What a client speaks, and whence it comes: TLS ends here, or at a proxy in front that says so.
_SPOKEN = """\
map "" $spoken {
  default https;
}
map "" $came_from {
  default $remote_addr;
}"""
_SPOKEN_IN_FRONT = """\
map $http_x_forwarded_proto $spoken {
  default http;
  "~*^https *(,|$)" https;
}
map "" $came_from {
  default $proxy_add_x_forwarded_for;
}"""
_ANSWERS = """\
proxy_buffering off;
proxy_intercept_errors on;
error_page 401 = @denied;
error_page 405 = @reads_only;
error_page 413 = @too_large;"""
_REQUEST = f"""\
proxy_pass @SCHEME@://registry$forward;
client_max_body_size {_MANIFEST};
client_body_buffer_size 128k;
limit_conn large 64;
limit_conn large_from 16;
proxy_next_upstream error timeout http_502 http_503 http_504 non_idempotent;
proxy_next_upstream_tries 4;
proxy_next_upstream_timeout 30s;
error_page 500 502 503 504 = @gone;"""
_BEGIN = """\
proxy_pass @SCHEME@://registry$forward;
client_max_body_size 0;
proxy_request_buffering off;
proxy_next_upstream error timeout http_502 http_503 http_504 non_idempotent;
proxy_next_upstream_tries 4;
proxy_next_upstream_timeout 30s;
error_page 500 502 503 504 = @gone;"""
_UPLOAD = """\
proxy_pass @SCHEME@://uploads$forward;
client_max_body_size 0;
proxy_request_buffering off;
proxy_next_upstream error timeout;
error_page 404 = @unknown;
error_page 500 503 = @gone;
error_page 502 504 = @torn;"""
_CHECK = """\
proxy_pass http://@INNER@/check;
proxy_pass_request_body off;
proxy_set_header Content-Length "";
proxy_set_header Authorization $cred;
proxy_cache logins;
proxy_cache_key "check $check_key";
proxy_cache_valid 200 60s;
proxy_cache_valid 401 5s;
proxy_cache_lock on;
proxy_ignore_headers Cache-Control Expires;"""
# What a gateway alone has to decide itself: no registry behind it takes its tokens.
_ALLOWED = """\
auth_request /_allowed;
auth_request_set $refused $sent_http_x_refused;"""
# Or a form in the body could name a repository to mount from, which nobody has looked at.
_NO_FORM = "proxy_set_header Content-Type application/octet-stream;"
_ASKS_ITSELF = """\
location = /_allowed {
  internal;
  client_max_body_size 0;
  js_content gateway.allowed;
}"""
_QUESTION = """\
proxy_pass_request_body off;
proxy_set_header Content-Length "";"""

_PLACE = re.compile(r"^( *)?@([A-Z_]+)@$|@([A-Z_]+)@", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Front:
    """What a gateway's nginx is to be.

    Attributes:
        name: the registry's name.
        home: the directory of its configuration, as nginx sees it.
        temporary: a directory for what need not last, which nginx may write to: better in memory.
        user: the account of its workers.
        places: where it finds what is behind it on its own host.
        instances: where it finds the registry.
        port: at which it listens.
        names: where to pass clients on, by the name that they ask for, where several registries
            share the port and this gateway listens there; its own is among them.
        shared: whether several registries share the port.
        address: the one address that it listens at, without brackets; empty for all addresses.
        ipv6: whether all addresses are also those of IPv6.
        tls: whether it speaks TLS.
        module: the path of njs; empty where it is built in.
    """

    name: str
    home: str
    temporary: str
    user: str
    places: Places
    instances: Upstreams
    port: int
    names: tuple[tuple[str, str], ...] = ()
    shared: bool = False
    address: str = ""
    ipv6: bool = True
    tls: bool = True
    module: str = MODULE


def render(front: Front) -> str:
    """The whole `nginx.conf`."""
    inner, alone = front.places.inner, bool(front.instances.ways)
    fills = {
        "NAME": front.name,
        "LOAD_MODULE": f"load_module {front.module};" if front.module else "",
        "USER": front.user,
        "TEMPORARY": front.temporary,
        "HOME": front.home,
        "INSTANCES": "\n".join(upstreams.groups(front.instances)),
        "TRUST": "\n".join(upstreams.trust(front.instances, front.home)),
        "SCHEME": front.instances.scheme,
        "CONNECT": "3s" if len(front.instances.all) == 1 else "2s",
        "USERS": front.places.users,
        "INNER": inner,
        "LISTEN": "\n".join(_listens_by_name(front) if front.shared else _listens(front)),
        "STREAM": f"include {STREAM_MODULE};" if front.names else "",
        "NAMES": "\n".join(_passes_on(front)) if front.names else "",
        "SPOKEN": _SPOKEN if front.tls else _SPOKEN_IN_FRONT,
        "TLS": "\n".join(_tls(front)) if front.tls else "",
        "EXCHANGE": _EXCHANGE,
        "QUESTION": _QUESTION,
        "CHECK": _CHECK.replace("@INNER@", inner),
        "WAYS": f"include {front.home}/{behind.WAYS};" if alone else "",
        "WAY": f"include {front.home}/{behind.WAY};" if alone else "",
        "ALLOWED": _ASKS_ITSELF if alone else "",
    }
    marked = f"include {front.home}/{behind.WAY};" if alone else ""
    request, upload = upstreams.patience(front.instances)
    for where, headers in (("", _AS_SENT), ("_EXCHANGED", _AS_EXCHANGED)):
        for name, what, waits in (
            ("REQUEST", _REQUEST, request),
            ("BEGIN", _BEGIN, upload),
            ("UPLOAD", _UPLOAD, upload),
        ):
            there = what.replace("@SCHEME@", front.instances.scheme)
            if len(front.instances.ways) > 1:
                there = there.replace("://uploads", "://$uploads")
            decided = _ALLOWED if alone and not where else ""
            unread = _NO_FORM if alone and name == "BEGIN" else ""
            parts = (decided, there, waits, _ANSWERS, _HEADERS, headers, marked, unread)
            fills[f"{name}{where}"] = "\n".join(filter(None, parts))
    return fill(files(__package__).joinpath("nginx.conf").read_text("utf-8"), fills)


def fill(template: str, fills: Mapping[str, str]) -> str:
    """The template with each `@NAME@` replaced; one that has a line to itself may be many lines.

    Raises:
        KeyError: nothing is given for a name.
    """

    def filled(found: re.Match[str]) -> str:
        indent, line, within = found.groups()
        if within:
            return fills[within]
        return "\n".join(f"{indent}{each}" for each in dedent(fills[line]).splitlines())

    return _PLACE.sub(filled, template)


def script(name: str) -> str:
    """The text of one of `SCRIPTS`."""
    return files(__package__).joinpath("njs", name).read_text("utf-8")


def _listens(front: Front) -> Iterable[str]:
    how = " ssl" if front.tls else ""
    if front.address:
        return [f"listen {at(front.address, front.port)}{how};"]
    every = [f"listen {front.port}{how};"]
    return [*every, f"listen [::]:{front.port}{how};"] if front.ipv6 else every


def _listens_by_name(front: Front) -> Iterable[str]:
    """Where it gets clients from the gateway that listens at the port, and where it is probed.

    Whose address a client has is in the PROXY protocol.
    """
    return (
        f"listen {front.places.named} ssl proxy_protocol;",
        f"listen {front.places.direct} ssl;",
        "set_real_ip_from 127.0.0.0/8;",
        "real_ip_header proxy_protocol;",
    )


def _passes_on(front: Front) -> Iterable[str]:
    """Clients by the name in their TLS handshake (SNI, RFC 6066); to itself who gives none.

    TLS is not ended here: so each registry has its own certificate, and sees its own clients alone.
    """
    own = front.places.named
    return (
        "stream {",
        "  map_hash_bucket_size 512;",  # for long names
        "  map $ssl_preread_server_name $gateway {",
        f"    default {own};",
        *(f"    {name} {place};" for name, place in front.names if place != own),
        "  }",
        "  server {",
        *(f"    {each}" for each in _listens(replace(front, tls=False))),
        "    ssl_preread on;",
        "    proxy_protocol on;",
        "    proxy_connect_timeout 3s;",
        "    proxy_timeout 1h;",
        "    proxy_pass $gateway;",
        "  }",
        "}",
    )


def _tls(front: Front) -> Iterable[str]:
    return (
        "error_page 497 = @plain;",
        f"ssl_certificate {front.home}/{CERTIFICATE};",
        f"ssl_certificate_key {front.home}/{KEY};",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "ssl_session_cache shared:tls:10m;",
    )
