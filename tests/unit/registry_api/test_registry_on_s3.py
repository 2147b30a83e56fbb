"""With the configuration that regfleet writes, a registry keeps its images in a bucket alone."""

import time

import pytest
from making import material, registry

from regfleet.errors import RegfleetError
from regfleet.fleet.registries import S3
from regfleet.runtimes import configuration
from regfleet.secret import Secret

KEYS = (Secret("AKIAKANARIE"), Secret("kanarienvogel-s3"))


@pytest.fixture
def start(start_registry, s3):
    def started(**how):
        bucket = S3(s3.bucket("images"), "eu-central-1", s3.url, **how)
        ours = registry(storage="", s3=bucket)
        made = material(pair=None, htpasswd=None, s3_keys=KEYS)

        def render(_storage, listen):
            return configuration.render(ours, made, "/nowhere", listen=listen)

        return start_registry(tls=False, users=False, render=render)

    return started


def test_images_are_in_the_bucket_and_clients_need_not_reach_it(start, s3):
    running = start(prefix="registries/main")
    _, blob = running.push("app", "1", content=b'{"a": 1}')
    keys = s3.keys("images")
    assert keys
    assert all(each.startswith("registries/main/docker/registry/v2/") for each in keys)
    assert not running.storage.exists()
    with running.client() as client:
        assert client.request("GET", f"/v2/app/blobs/{blob}").status == 200  # and no 307
        assert client.blob("app", blob) == b'{"a": 1}'


def test_clients_are_sent_to_the_bucket_where_that_is_declared(start):
    running = start(redirect=True)
    _, blob = running.push("app", "1", content=b'{"a": 1}')
    with running.client() as client:
        assert client.request("GET", f"/v2/app/blobs/{blob}").status == 307


def test_a_bucket_that_is_away_is_no_image_that_is_not_there(start, s3):
    """The registry says 503: clients that get 404 would push again, or delete."""
    running = start()
    running.push("app", "1")
    s3.process.kill()
    deadline = time.monotonic() + 60
    with running.client() as client:
        while client.request("GET", "/v2/").status != 503:
            assert time.monotonic() < deadline
            time.sleep(1)
        with pytest.raises(RegfleetError):
            client.blob("app", f"sha256:{'0' * 64}")


def test_the_keys_are_shown_to_nobody():
    ours = registry(storage="", s3=S3("images", "eu-central-1"))
    text = configuration.render(ours, material(pair=None, s3_keys=KEYS), "/nowhere")
    shown = configuration.shown(text)
    for key in KEYS:
        assert key.reveal() in text
        assert key.reveal() not in shown
