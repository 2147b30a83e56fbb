"""Pulls by CRI as the kubelet asks for them: by gRPC on containerd's socket.

No package has crictl.
"""

import subprocess
import time
from contextlib import contextmanager

import pytest


@pytest.fixture
def cri_pull(twin, tmp_path):
    """`cri_pull(host, reference)` gives the answer's gRPC headers."""

    def pull(name, reference):
        # PullImageRequest{image: ImageSpec{image: REFERENCE}} of runtime.v1, by its wire format.
        spec = b"\x0a" + bytes([len(reference)]) + reference.encode()
        message = b"\x0a" + bytes([len(spec)]) + spec
        body = tmp_path / "request"
        body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        with _forwarded(twin, name, tmp_path / "socket") as socket:
            done = subprocess.run(
                [
                    *("curl", "-sS", "--max-time", "60", "--http2-prior-knowledge"),
                    *("--unix-socket", socket, "--data-binary", f"@{body}", "-D", "-"),
                    *("-H", "content-type: application/grpc", "-H", "te: trailers"),
                    *("-o", "/dev/null", "http://cri/runtime.v1.ImageService/PullImage"),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        return done.stdout

    version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=False)
    if "HTTP2" not in version.stdout:
        pytest.skip("there is no curl that speaks HTTP/2 here")
    return pull


@contextmanager
def _forwarded(twin, name, socket):
    remote = "/run/containerd/containerd.sock"
    tunnel = subprocess.Popen(
        [
            *("ssh", "-F", "none", "-N", "-i", twin.key, "-o", "BatchMode=yes"),
            *("-o", f"UserKnownHostsFile={twin.known_hosts}", "-o", "IdentitiesOnly=yes"),
            *("-o", "StrictHostKeyChecking=yes", "-L", f"{socket}:{remote}"),
            f"root@{twin.hosts[name].address}",
        ],
        stdin=subprocess.DEVNULL,
    )
    try:
        while not socket.exists():
            assert tunnel.poll() is None, "ssh ended"
            time.sleep(0.02)
        yield str(socket)
    finally:
        tunnel.kill()
        tunnel.wait()
        socket.unlink(missing_ok=True)
