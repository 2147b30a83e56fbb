"""What a real registry holds: counted within bounds, and listed one by one."""

import hashlib
import json
import os
from types import SimpleNamespace

import pytest
import urllib3
from making import registry as declared

from regfleet.fleet.registries import Tls
from regfleet.registry_api.contents import count, images
from regfleet.registry_api.errors import RegistryError
from regfleet.report import images_json
from regfleet.run.images import of_registry

OCI = "application/vnd.oci.image"
CONFIG = f"{OCI}.config.v1+json"
ABSENT = f"sha256:{'0' * 64}"


class Pusher:
    """Uploads blobs and manifests as clients do."""

    def __init__(self, registry):
        self._base = f"{'https' if registry.ca else 'http'}://{registry.endpoint}/v2"
        self._pool = urllib3.PoolManager(ca_cert_data=registry.ca and registry.ca.decode())
        known = registry.client()._credentials
        self._headers = {"authorization": known.header()} if known else {}

    def blob(self, repository, content, media_type):
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        base = f"{self._base}/{repository}/blobs/uploads/"
        begun = self._pool.request("POST", base, headers=self._headers)
        where = begun.headers["location"]
        where += f"{'&' if '?' in where else '?'}digest={digest}"
        put = self._pool.request("PUT", where, body=content, headers=self._headers)
        assert put.status == 201, put.data
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def manifest(self, repository, reference, document):
        content = json.dumps(document).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        put = self._pool.request(
            "PUT",
            f"{self._base}/{repository}/manifests/{reference or digest}",
            body=content,
            headers={**self._headers, "content-type": document["mediaType"]},
        )
        assert put.status == 201, put.data
        return {"mediaType": document["mediaType"], "digest": digest, "size": len(content)}

    def image(self, repository, reference, layers, config, config_type=CONFIG):
        content = config if isinstance(config, bytes) else json.dumps(config).encode()
        document = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": self.blob(repository, content, config_type),
            "layers": [self.blob(repository, each, f"{OCI}.layer.v1.tar") for each in layers],
        }
        sizes = [len(content), *map(len, layers)]
        return self.manifest(repository, reference, document), sizes

    def index(self, repository, reference, members):
        document = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.index.v1+json",
            "manifests": members,
        }
        return self.manifest(repository, reference, document)


def config(architecture="amd64", **more):
    return {"os": "linux", "architecture": architecture, "rootfs": {"type": "layers"}, **more}


@pytest.fixture
def own(start_registry):
    """A registry of one's own, with pages of two, and a pusher to it."""
    registry = start_registry(tls=False, users=False, page=2)
    return registry, Pusher(registry)


def test_an_image(registry):
    layer = os.urandom(1000)
    made = config("arm64", variant="v8", created="2030-01-02T03:04:05.678Z")
    pushed, sizes = Pusher(registry).image("list/image", "v1", [layer], made)
    with registry.client() as client:
        (tag,) = images(client, "list/image")
    assert (tag.repository, tag.name, tag.digest) == ("list/image", "v1", pushed["digest"])
    assert (tag.size, tag.platforms) == (sum(sizes), ("linux/arm64/v8",))
    assert (tag.created, tag.missing) == ("2030-01-02T03:04:05.678Z", 0)


def test_an_index_is_its_platforms_and_the_newest_of_its_images(registry):
    push, shared = Pusher(registry), os.urandom(500)
    one, sizes = push.image("list/index", None, [shared], config(created="2030-01-01T00:00:00Z"))
    two, more = push.image(
        "list/index", None, [shared], config("arm64", created="2030-02-01T00:00:00Z")
    )
    note, little = push.image("list/index", None, [], {"os": "unknown", "architecture": "unknown"})
    members = [
        one | {"platform": {"os": "linux", "architecture": "amd64"}},
        two,  # its platform stands in its configuration alone
        note | {"platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    push.index("list/index", "multi", members)
    with registry.client() as client:
        (tag,) = images(client, "list/index")
    assert tag.platforms == ("linux/amd64", "linux/arm64")
    assert tag.created == "2030-02-01T00:00:00Z"
    assert tag.size == sum(sizes) + more[0] + little[0]  # the shared layer once


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"{}", CONFIG),
        (b"[1]", CONFIG),
        (b"no json", CONFIG),
        (json.dumps(config(created="2030-01-01T00:00:00Z")).encode(), "application/vnd.helm"),
        (json.dumps({"os": 5, "created": 7}).encode(), CONFIG),
        (json.dumps({"created": "0001-01-01T00:00:00Z"}).encode(), CONFIG),
    ],
)
def test_what_a_configuration_does_not_say_is_not_known(registry, content, media_type):
    name = f"list/odd-{hashlib.sha256(content + media_type.encode()).hexdigest()[:12]}"
    Pusher(registry).image(name, "v1", [], content, media_type)
    with registry.client() as client:
        (tag,) = images(client, name)
    assert (tag.platforms, tag.created, tag.size) == ((), None, len(content))


def test_tags_come_in_their_natural_order(registry):
    registry.push("list/order", "1.10", "latest", "1.9", "v2", "v10", "1", "edge")
    with registry.client() as client:
        names = [tag.name for tag in images(client, "list/order")]
    assert names == ["1", "1.9", "1.10", "edge", "latest", "v2", "v10"]


def test_a_repository_that_is_not_there_has_no_images(registry):
    with registry.client() as client:
        assert list(images(client, "list/nothing")) == []


def test_everything_is_counted_and_each_blob_weighed_once(own):
    registry, push = own
    shared = os.urandom(2000)
    sizes = {}
    for name in ("a", "b", "c"):  # more than a page
        _, found = push.image(name, "v1", [shared, os.urandom(100)], config(extra=name))
        push.manifest(name, "v2", _manifest_of(registry, name))
        sizes[name] = found
    with registry.client() as client:
        found = count(client)
    assert (found.repositories, found.empty, found.tags, found.weighed) == (3, 0, 6, 6)
    assert (found.partial, found.broken) == (False, 0)
    assert found.size == 2000 + sum(each[0] + each[2] for each in sizes.values())


def _manifest_of(registry, name):
    url = f"http://{registry.endpoint}/v2/{name}/manifests/v1"
    answer = urllib3.request("GET", url, headers={"accept": f"{OCI}.manifest.v1+json"})
    return json.loads(answer.data)


def test_an_index_weighs_its_images(own):
    registry, push = own
    one, sizes = push.image("a", None, [os.urandom(300)], config())
    push.index("a", "multi", [one])
    with registry.client() as client:
        assert count(client).size == sum(sizes)


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (4, (3, 3, 3, False)),
        (3, (3, 3, 3, False)),
        (2, (3, 2, 2, True)),
        (1, (3, 1, 1, True)),
    ],
)
def test_the_work_is_bounded(own, most, expected):
    registry, _ = own
    for name in ("a", "b", "c"):
        registry.push(name, "v1", content=name.encode())
    with registry.client() as client:
        found = count(client, most=most)
    assert (found.repositories, found.tags, found.weighed, found.partial) == expected


def test_members_of_an_index_count_against_the_bound(own):
    registry, push = own
    members = [push.image("a", None, [], config(extra=n))[0] for n in range(3)]
    push.index("a", "multi", members)
    with registry.client() as client:
        assert count(client, most=4).partial is False
        assert count(client, most=3).partial is True


def test_the_time_is_bounded(own):
    registry, _ = own
    for name in ("a", "b", "c"):
        registry.push(name, "v1", content=name.encode())
    ticks = iter(range(100))
    with registry.client() as client:
        found = count(client, seconds=2, clock=lambda: next(ticks))
    # At 0 it begins; at 1 and 2 it asks for tags; at 3 it is over, and nothing is weighed.
    assert (found.repositories, found.tags, found.weighed, found.partial) == (3, 2, 0, True)


def test_what_an_index_lists_and_is_gone_is_said(own):
    registry, push = own
    one, _ = push.image("a", None, [], config(extra=1))
    two, _ = push.image("a", None, [], config("arm64"))
    push.index("a", "multi", [one, two])
    with registry.client() as client:
        client.delete("a", one["digest"])
        (tag,) = images(client, "a")
        found = count(client)
    assert (tag.missing, tag.platforms) == (1, ("linux/arm64",))
    assert found.broken == 1


def test_a_tag_that_the_registry_cannot_read_hides_no_other(own):
    """An empty link, as a crash leaves it."""
    registry, push = own
    good, _ = push.image("a", "good", [], config())
    push.image("a", "bad", [], config("arm64"))
    push.image("b", "good", [], config())
    tags = registry.storage / "docker/registry/v2/repositories/a/_manifests/tags"
    (tags / "bad/current/link").write_text("")
    main = declared(endpoint=registry.endpoint, tls=Tls("none"), hosts=())
    listed = of_registry(main, "", SimpleNamespace(registries={"main": Anybody()}), None)
    assert {
        f"{name}:{tag.name}": tag.digest for name, its in listed.repositories.items() for tag in its
    } == {"a:bad": "", "a:good": good["digest"], "b:good": good["digest"]}
    assert listed.error == "the registry cannot read main/a:bad"
    assert json.loads(images_json.document("test", [listed]))["ok"] is False
    with registry.client() as client:
        assert count(client).broken == 1


class Anybody:
    """What is known of a registry without users."""

    def credentials(self):
        return None

    def trusted(self):
        return None


def test_a_repository_whose_tags_are_deleted_is_empty(own):
    registry, _ = own
    digest, _ = registry.push("a", "v1")
    with registry.client() as client:
        client.delete("a", digest)
        found = count(client)
    assert (found.repositories, found.empty, found.tags) == (1, 1, 0)


class TestBlob:
    def test_its_content(self, registry):
        _, digest = registry.push("list/blob", "v1", content=b"content")
        with registry.client() as client:
            assert client.blob("list/blob", digest) == b"content"

    @pytest.mark.parametrize(("digest", "kind"), [(ABSENT, "not-found"), ("latest", "protocol")])
    def test_none(self, registry, digest, kind):
        registry.push("list/blob", "v1", content=b"content")
        with registry.client() as client, pytest.raises(RegistryError) as caught:
            client.blob("list/blob", digest)
        assert caught.value.kind == kind
