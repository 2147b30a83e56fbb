"""A registry that means harm, or is broken beyond words: one behaviour a name.

`HostileRegistry("drips-a-body")` listens on a free port of 127.0.0.1 until it is closed. Behaviours
that lists have are well at `/v2/`, so that whoever asks gets as far as the list.
"""

import contextlib
import hashlib
import itertools
import json
import socket
import threading
import time
import zlib

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"
PAUSE = 0.05  # seconds between two bytes of one that drips: each wait by itself is short
DIGITS = "9" * 5000
DEEP = "[" * 200_000


class HostileRegistry:
    """One behaviour on one port.

    Attributes:
        port: where it listens.
        asked: head of each request that came, in order.
        elsewhere: `HOST:PORT` that it sends others to.
    """

    def __init__(self, behaviour, elsewhere="127.0.0.1:1"):
        self.behave = BEHAVIOURS[behaviour]
        self.elsewhere = elsewhere
        self.asked = []
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        """Listen no more; those at work end with their connections."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self):
        while not self._closed:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection):
        with connection, contextlib.suppress(OSError):
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    more = connection.recv(65536)
                    if not more:
                        return
                    head += more
                self.asked.append(head.decode("latin-1"))
                self.behave(_Turn(self, connection, head.split()[1].decode("latin-1")))


class _Turn:
    """One request, and ways to answer it."""

    def __init__(self, registry, connection, path):
        self.registry, self.path = registry, path
        self.send = connection.sendall

    @property
    def is_ping(self):
        return self.path == "/v2/"

    def answer(self, body=b"{}", *headers, status="200 OK"):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status}", "Docker-Distribution-Api-Version: registry/2.0", *headers]
        lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def drip(self, content):
        for byte in content:
            self.send(bytes([byte]))
            time.sleep(PAUSE)

    def close(self):
        raise OSError("closed on purpose")

    def flood(self, content):
        while True:
            self.send(content)


def _well(turn):
    """A registry of one repository with one tag, with nothing wrong."""
    config = b'{"os": "linux", "architecture": "amd64"}'
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    kind = "application/vnd.docker.container.image.v1+json"
    if turn.path.startswith("/v2/_catalog"):
        turn.answer({"repositories": ["team/app"]})
    elif turn.path.endswith("/tags/list"):
        turn.answer({"name": "team/app", "tags": ["1"]})
    elif "/manifests/" in turn.path:
        part = {"mediaType": kind, "size": len(config), "digest": digest}
        turn.answer({"config": part, "layers": []}, f"Content-Type: {MANIFEST}")
    else:
        turn.answer(config if "/blobs/" in turn.path else b"{}")


def _always(act):
    """Whatever is asked."""
    return act


def _of_lists(act):
    """Where repositories are listed; all else is well."""

    def behave(turn):
        (act if turn.path.startswith("/v2/_catalog") else _well)(turn)

    return behave


def _of_tags(act):
    def behave(turn):
        (act if "/tags/list" in turn.path else _well)(turn)

    return behave


def _of_manifests(act):
    def behave(turn):
        (act if "/manifests/" in turn.path else _well)(turn)

    return behave


def _of_blobs(act):
    def behave(turn):
        (act if "/blobs/" in turn.path else _well)(turn)

    return behave


def _endless_pages(turn):
    for number in itertools.count():
        if f"last={number}x" not in turn.path:
            link = f'Link: </v2/_catalog?last={number}x>; rel="next"'
            turn.answer({"repositories": []}, link)
            return


_numbers = itertools.count()


def _new_page(turn):
    number = next(_numbers)
    link = f'Link: </v2/_catalog?last={number}>; rel="next"'
    turn.answer({"repositories": [f"team/app{number}"]}, link)


def _new_page_of_tags(turn):
    number = next(_numbers)
    link = f'Link: <{turn.path.partition("?")[0]}?last={number}>; rel="next"'
    turn.answer({"tags": [f"t{number}"]}, link)


def _page_elsewhere(turn):
    if "last=" in turn.path:
        turn.answer({"repositories": []})
        return
    link = f'Link: <http://{turn.registry.elsewhere}/v2/_catalog?last=1>; rel="next"'
    turn.answer({"repositories": ["team/app"]}, link)


def _redirect(turn):
    to = f"Location: http://{turn.registry.elsewhere}{turn.path}"
    turn.answer(b"", to, status="307 Temporary Redirect")


def _redirect_to_itself(turn):
    turn.answer(b"", f"Location: {turn.path}", status="302 Found")


def _token_elsewhere(turn):
    realm = f'http://{turn.registry.elsewhere}/token"; x="' + "y" * 20_000
    challenge = f'WWW-Authenticate: Bearer realm="{realm}",service="registry"'
    turn.answer(b"", challenge, status="401 Unauthorized")


def _gzip_bomb(turn):
    turn.answer(_BOMB, "Content-Encoding: gzip")


def _gzipped_zeros(mib):
    """A JSON list of one name of so many MiB, in some kB."""
    packer, megabyte = zlib.compressobj(wbits=31), b"0" * (1 << 20)
    begun = packer.compress(b'{"repositories": ["')
    return begun + b"".join(packer.compress(megabyte) for _ in range(mib)) + packer.flush()


_BOMB = _gzipped_zeros(600)


def _chunks(turn):
    turn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    turn.flood(b"1000\r\n" + b"x" * 4096 + b"\r\n")


def _chunk_of_no_size(turn):
    turn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 9999 + b"\r\nx")
    turn.close()


def _half(turn):
    turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    turn.close()


def _endless_body(turn):
    turn.send(b"HTTP/1.1 200 OK\r\n\r\n")
    turn.flood(b"[" * 65536)


def _trailers(turn):
    turn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    turn.flood(b"X: y\r\n" * 1000)


def _many_layers(turn):
    layer = {"mediaType": "x" * 50, "size": 1, "digest": f"sha256:{'0' * 64}"}
    turn.answer({"layers": [layer] * 50_000}, f"Content-Type: {MANIFEST}")


def _huge_size(turn):
    size = int("9" * 4000)
    layer = {"mediaType": "x", "size": size, "digest": f"sha256:{'0' * 64}"}
    turn.answer({"layers": [layer]}, f"Content-Type: {MANIFEST}")


def _index_of_itself(turn):
    """Every manifest is an index of two others, for ever."""
    members = [
        {"mediaType": INDEX, "size": 1, "digest": f"sha256:{next(_numbers):064x}"} for _ in range(2)
    ]
    turn.answer({"manifests": members}, f"Content-Type: {INDEX}")


BEHAVIOURS = {
    "well": _well,
    "never-answers": _always(lambda _turn: time.sleep(3600)),
    "drips-the-status": _always(lambda turn: turn.drip(b"HTTP/1.1 200 " + b"O" * 9999)),
    "drips-headers": _always(lambda turn: turn.drip(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9999)),
    "drips-a-body": _always(lambda turn: turn.drip(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 9999)),
    "drips-continue": _always(lambda turn: turn.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 999)),
    "continues-for-ever": _always(lambda turn: turn.flood(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "endless-header": _always(lambda turn: turn.flood(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 99999)),
    "endless-headers": _always(lambda turn: turn.flood(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 99)),
    "endless-body": _of_lists(_endless_body),
    "endless-chunks": _of_lists(_chunks),
    "endless-trailers": _of_lists(_trailers),
    "chunk-of-no-size": _of_lists(_chunk_of_no_size),
    "not-http": _always(lambda turn: turn.send(b"SSH-2.0-\x1b]0;x\x07" + b"z" * 3000 + b"\r\n")),
    "closes": _always(_half),
    "status-of-digits": _always(lambda turn: turn.answer(status=DIGITS)),
    "length-of-digits": _always(
        lambda turn: turn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {DIGITS}\r\n\r\n{{}}".encode())
    ),
    "deep-json": _of_lists(lambda turn: turn.answer(DEEP.encode())),
    "deep-json-at-once": _always(lambda turn: turn.answer(DEEP.encode(), status="500 No")),
    "number-of-digits": _of_lists(
        lambda turn: turn.answer(f'{{"repositories": {DIGITS}}}'.encode())
    ),
    "no-unicode": _of_lists(lambda turn: turn.answer(b'{"repositories": ["\xff\xfe\xc3\x28"]}')),
    "half-characters": _of_lists(lambda turn: turn.answer(b'{"repositories": ["\\ud800"]}')),
    "impossible-names": _of_lists(lambda turn: turn.answer({"repositories": ["../" * 99_999]})),
    "many-names": _of_lists(
        lambda turn: turn.answer({"repositories": [f"r{each}" for each in range(200_000)]})
    ),
    "compressed-bomb": _of_lists(_gzip_bomb),
    "page-after-page": _of_lists(_new_page),
    "page-after-itself": _of_lists(_endless_pages),
    "page-nowhere": _of_lists(
        lambda turn: turn.answer({"repositories": []}, 'Link: <http://[::1/x>; rel="next"')
    ),
    "page-of-brackets": _of_lists(
        lambda turn: turn.answer({"repositories": []}, *["Link: " + "<" * 60_000] * 90)
    ),
    "page-of-letters": _of_lists(
        lambda turn: turn.answer({"repositories": []}, 'Link: </v2/_c\xe4talog?\xff>; rel="next"')
    ),
    "tags-after-tags": _of_tags(_new_page_of_tags),
    "redirects-to-itself": _of_lists(_redirect_to_itself),
    "redirects-elsewhere": _of_lists(_redirect),
    "many-layers": _of_manifests(_many_layers),
    "index-without-end": _of_manifests(_index_of_itself),
    "page-elsewhere": _of_lists(_page_elsewhere),
    "huge-size": _of_manifests(_huge_size),
    "token-elsewhere": _always(_token_elsewhere),
    "deep-configuration": _of_blobs(lambda turn: turn.answer(DEEP.encode())),
}
