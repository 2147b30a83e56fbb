"""With the configuration that regfleet writes, a registry does not know blobs that are gone."""

import shutil

from making import material, registry

from regfleet.runtimes import configuration


def test_a_blob_that_is_gone_is_not_there_and_can_be_pushed_again(start_registry):
    """The cache in memory answered 200, and clients did not upload what was missing."""
    ours = registry()
    made = material(pair=None, htpasswd=None)

    def render(storage, listen):
        return configuration.render(ours, made, "/nowhere", storage=storage, listen=listen)

    running = start_registry(tls=False, users=False, render=render)
    _, blob = running.push("app", "1", content=b'{"a": 1}')
    hexadecimal = blob.partition(":")[2]
    path = f"/v2/app/blobs/{blob}"
    with running.client() as client:
        assert client.request("HEAD", path).status == 200
        blobs = running.storage / "docker/registry/v2/blobs/sha256"
        shutil.rmtree(blobs / hexadecimal[:2] / hexadecimal)  # as a collection does
        assert client.request("HEAD", path).status == 404
        running.push("app", "1", content=b'{"a": 1}')
        assert client.blob("app", blob) == b'{"a": 1}'
