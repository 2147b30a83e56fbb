"""A registry that keeps its images in a bucket: applied, used, moved, destroyed."""

import subprocess
import time
from contextlib import contextmanager

import pytest

KEY, SECRET = "AKIACANARY", "canary-s3-61d0"
BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
runtime = "RUNTIME"
IMAGE
users.ci = { password = "generate" }

[registry.main.storage.s3]
endpoint = "http://ADDRESS:9000"
bucket = "images"
access_key = { env = "S3_KEY" }
secret_key = { env = "S3_SECRET" }

[client.all]
hosts = [$reg1]
registries = ["main"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
CONFIG = "/etc/regfleet/main/config.yml"
APP = "registry.test:5000/team/app:1"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module("reg1=registry.test")
    twin.hosts["reg1"].read("echo GatewayPorts yes >>/etc/ssh/sshd_config; systemctl restart ssh")
    return twin


@pytest.fixture
def host(twin):
    return twin.hosts["reg1"]


@contextmanager
def reachable(twin, host, port):
    """The service of this machine's loopback address at port 9000 of the host, through SSH."""
    options = (
        f"UserKnownHostsFile={twin.known_hosts}",
        "ExitOnForwardFailure=yes",
        "BatchMode=yes",
    )
    tunnel = subprocess.Popen(
        ["ssh", "-F", "none", "-N", "-i", twin.key, "-R", f"*:9000:127.0.0.1:{port}"]
        + [word for each in options for word in ("-o", each)]
        + [f"root@{host.address}"]
    )
    try:
        for _ in range(100):
            if host.run("ss -ltn | grep -q :9000").returncode == 0:
                break
            assert tunnel.poll() is None
            time.sleep(0.1)
        yield
    finally:
        tunnel.terminate()
        tunnel.wait()


@pytest.fixture
def run(twin, host, regfleet, write_fleet, tmp_path):
    def of(command, runtime="container", *more):
        image = "" if runtime == "package" else 'image_archive = "$registry_tar"'
        body = BODY.replace("RUNTIME", runtime).replace("IMAGE", image)
        fleet = write_fleet(twin, body.replace("ADDRESS", host.address))
        options = ("--state-dir", tmp_path / "state", *more)
        done = regfleet(command, fleet, *options, S3_KEY=KEY, S3_SECRET=SECRET)
        assert SECRET not in done.stdout + done.stderr
        return done

    return of


def test_images_are_in_the_bucket_whatever_runs_the_registry(twin, host, s3, run, seeds):
    s3.bucket("images")
    with reachable(twin, host, s3.port):
        for runtime in ("container", "package"):
            done = run("apply", runtime, "--yes")
            assert done.returncode == 0, done.stdout + done.stderr
            assert "nothing to do on 1 host" in run("apply", runtime, "--yes").stdout
            if runtime == "container":
                host.copy_in(seeds.busybox, "/root/busybox.tar")
                host.read("docker load -q -i /root/busybox.tar")
                host.read(f"docker tag busybox {APP}; docker push -q {APP}; docker rmi {APP}")
                assert any("team/app" in each for each in s3.keys("images"))
            assert APP in host.read(f"docker pull -q {APP}; docker rmi {APP} >/dev/null"), runtime
            # The keys are in the registry's configuration alone.
            assert SECRET not in host.read("ps axe; docker ps -aq | xargs -r docker inspect")
            found = host.read(
                "grep -rl canary-s3[-]61d0 /etc /var/lib/regfleet /run 2>/dev/null || :"
            )
            kept = "/var/lib/regfleet/generations/"
            assert all(each == CONFIG or each.startswith(kept) for each in found.split())
            assert host.read(f"stat -c %a {CONFIG}; stat -c %a {kept}").split() == ["600", "700"]
            assert host.run("ls -d /var/lib/registry/docker").returncode != 0
        done = run("destroy", "package", "--yes", "--delete-data")
        assert done.returncode == 0, done.stdout + done.stderr
        assert any("team/app" in each for each in s3.keys("images"))


def test_a_bucket_that_cannot_be_used_is_said(twin, host, s3, run):
    with reachable(twin, host, s3.port):  # and there is no bucket
        done = run("apply", "container", "--yes")
        assert done.returncode == 1
        assert "push" in done.stdout
        assert "cannot use the bucket" in run("doctor").stdout
