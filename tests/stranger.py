"""A registry on a test host that no fleet has made, with a certificate of a CA of its own."""

import subprocess


def serve(host, seeds, directory, name, port):
    """Start it as `name` on `port`, by the host's Docker, with busybox at hand to be pushed.

    Gives the file of its CA. The container is called by the first part of the name.
    """

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "90",
            "-subj", "/CN=theirs")  # fmt: skip
    openssl("req", "-x509", *key, "-keyout", "own.key", "-out", "own.crt", "-days", "30",
            "-subj", "/CN=registry", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-addext", "basicConstraints=CA:FALSE",
            "-addext", f"subjectAltName=DNS:{name}")  # fmt: skip
    host.read(f"echo 127.0.0.1 {name} >>/etc/hosts; mkdir -p /root/c")
    for file in ("own.crt", "own.key"):
        host.copy_in(directory / file, f"/root/c/{file}")
    for archive in (seeds.registry, seeds.busybox):
        host.copy_in(archive, "/root/image.tar")
        host.read("docker load -q -i /root/image.tar; rm /root/image.tar")
    tls = "-e REGISTRY_HTTP_TLS_CERTIFICATE=/c/own.crt -e REGISTRY_HTTP_TLS_KEY=/c/own.key"
    container = name.partition(".")[0]
    host.read(f"docker run -d --name {container} -p {port}:5000 {tls} -v /root/c:/c registry:2")
    return directory / "ca.crt"


def push(host, image):
    """Push busybox under this name."""
    host.read(f"docker tag busybox {image}; docker push -q {image}; docker rmi {image}")
