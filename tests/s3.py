"""An S3 service for tests: `s3.bucket("images")` makes a bucket in it.

It is moto's server on this machine's loopback address. It keeps what is put into it in memory, and
takes any keys.
"""

import subprocess
import sys
import time

import pytest
import urllib3

_POOL = urllib3.PoolManager(retries=False, timeout=10)


class Service:
    """A running service. `port` is where it listens on 127.0.0.1, `process` is its own."""

    def __init__(self, process, port):
        self.process, self.port = process, port
        self.url = f"http://127.0.0.1:{port}"

    def bucket(self, name):
        assert _POOL.request("PUT", f"{self.url}/{name}").status == 200
        return name

    def keys(self, bucket):
        """The names of all objects in a bucket, as XML has them."""
        found = _POOL.request("GET", f"{self.url}/{bucket}?list-type=2").data.decode()
        return [each.partition("</Key>")[0] for each in found.split("<Key>")[1:]]


@pytest.fixture
def s3(tmp_path):
    log = tmp_path / "s3.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=output,
            stderr=output,
        )
    try:
        yield Service(process, _port_in(log, process))
    finally:
        process.kill()
        process.wait()


def _port_in(log, process):
    """The port that it chose, which it logs."""
    for _ in range(600):
        _, found, rest = log.read_text().partition("Running on http://127.0.0.1:")
        if found and "\n" in rest:
            return int(rest.split()[0])
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    pytest.fail(f"it does not start: {log.read_text()}")
