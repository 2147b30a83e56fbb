"""Clients of all kinds push and pull while one instance of a registry after the other goes away.

At length alone: `make soak`. What CI proves of it is in tests/fleet/test_balanced.py.
"""

import hashlib
import io
import json
import os
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from regfleet.errors import RegfleetError
from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.soak

ENDPOINT = "registry.test:5000"
PORT = 22510
PUSHES, PULLS = 40, 5  # of each client: 200 and 1000 in all, and as many in orderly restarts
BODY = """
[registry.main]
hosts = [$reg1, $reg2]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
storage = { shared = "/mnt/registry" }
delete = DELETE
users.ci = { password = "generate" }
gateway = { image_archive = "$nginx_tar" }

[client.docker]
hosts = [DOCKERS]
registries = ["main"]
login = { main = "ci" }

[client.podman]
hosts = [$pod]
engine = "podman"
registries = ["main"]
login = { main = "ci" }

[client.containerd]
hosts = [$ctr]
engine = "containerd"
registries = ["main"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
VOLUME = (("images", "/mnt/registry"),)


def image(name):
    """An image of two layers of random bytes, as `docker save` writes it."""
    layers = []
    for _ in range(2):
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            entry = tarfile.TarInfo(f"part-{os.urandom(8).hex()}")
            entry.size = 300_000
            tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
        layers.append(layer.getvalue())
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers],
        },
    }
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": names}]
    files = {
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(manifest).encode(),
        **dict(zip(names, layers, strict=True)),
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


@dataclass
class Client:
    """A client on a host: shell words that load, push, forget and pull NAME from FILE."""

    host: object
    name: str
    retries: bool
    push: str
    pull: str
    load: str = ":"
    forget: str = ":"
    pushed: int = 0
    pulled: int = 0
    failed: dict = field(default_factory=lambda: {"push": [], "pull": []})

    def work(self, directory, phase):
        """All pushes of one phase, each followed by its pulls."""
        mine = f"{phase}/{self.host.name}{'-retries' if self.retries else ''}"
        folder = f"/root/{mine.replace('/', '-')}"
        tar = directory / f"{mine.replace('/', '-')}.tar"
        names = [f"{ENDPOINT}/{mine}:{number}" for number in range(PUSHES)]
        with tarfile.open(tar, "w") as out:
            for number, name in enumerate(names):
                content = image(name)
                entry = tarfile.TarInfo(f"{number}.tar")
                entry.size = len(content)
                out.addfile(entry, io.BytesIO(content))
        self.host.copy_in(tar, f"{folder}.tar")
        self.host.read(f"mkdir -p {folder}; tar -C {folder} -xf {folder}.tar; rm {folder}.tar")
        for number, name in enumerate(names):
            words = {"FILE": f"{folder}/{number}.tar", "NAME": name}
            self.run(self.load, words)
            self.pushed += 1
            pushed = self.run(self.push, words)
            if pushed.returncode:
                self.failed["push"].append(pushed.stdout[-500:])
                if self.run(self.push, words).returncode:  # as people do: once more
                    continue
            for _ in range(PULLS):
                self.run(self.forget, words)
                self.pulled += 1
                pulled = self.run(self.pull, words)
                if pulled.returncode:
                    self.failed["pull"].append(pulled.stdout[-500:])
            self.run(self.forget, words)

    def run(self, script, words):
        for word, value in words.items():
            script = script.replace(word, value)
        return self.host.run(f"{{ {script}; }} 2>&1", timeout=600)


@pytest.fixture(scope="module")
def sid(images):
    """Whether there are sid hosts."""
    try:
        images.host("sid", "docker")
    except RegfleetError:
        return False
    return True


@pytest.fixture(scope="module")
def twin(boot_for_module, sid):
    specs = [
        HostSpec("reg1", aliases=("registry.test",), volumes=VOLUME),
        HostSpec("reg2", volumes=VOLUME),
        HostSpec("old"),
        HostSpec("middle", "trixie"),
        HostSpec("pod", "trixie", "bare"),
        HostSpec("ctr", variant="bare"),
    ]
    return boot_for_module(*specs, *([HostSpec("new", "sid")] if sid else []))


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, regfleet, write_fleet, state):
    def of(command, *more, delete="true"):
        dockers = ", ".join(f"${name}" for name in ("old", "middle", "new") if name in twin.hosts)
        fleet = write_fleet(twin, BODY.replace("DELETE", delete).replace("DOCKERS", dockers))
        return regfleet(command, fleet, "--state-dir", state, *more)

    return of


@pytest.fixture
def clients(twin, run):
    """All of them, when the fleet is applied."""
    done = run("apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    pod = twin.hosts["pod"]
    if pod.run("command -v skopeo").returncode:
        pod.run("apt-get -qq update; apt-get -qq install --no-install-recommends skopeo")
    found = []
    for name in ("old", "middle", "new"):
        if name in twin.hosts:
            host = twin.hosts[name]
            version = host.read("docker version -f '{{.Server.Version}}'")
            found.append(
                Client(
                    host, f"docker {version}", True, "docker push NAME", "docker pull NAME",
                    "docker load -q -i FILE", "docker rmi -f NAME; docker builder prune -af",
                )
            )  # fmt: skip
    ctr = "--hosts-dir /etc/containerd/certs.d"
    found.append(
        Client(
            twin.hosts["ctr"], "ctr", False, f"ctr images push {ctr} NAME",
            f"ctr images pull {ctr} NAME", "ctr images import FILE", "ctr images rm --sync NAME",
        )
    )  # fmt: skip
    if pod.run("command -v skopeo").returncode == 0:
        for retries in (True, False):
            more = " --retry-times 3" if retries else ""
            found.append(
                Client(
                    pod, f"skopeo{more}", retries,
                    f"skopeo copy -q{more} docker-archive:FILE docker://NAME",
                    f"d=$(mktemp -d); skopeo copy -q{more} docker://NAME dir:$d; e=$?; rm -rf $d; "
                    "[ $e = 0 ]",
                )
            )  # fmt: skip
    return found


class Trouble:
    """One host after the other loses its instance, while `with` lasts."""

    def __init__(self, twin, first, then, seconds):
        self.hosts = [twin.hosts["reg1"], twin.hosts["reg2"]]
        self.first, self.then, self.seconds = first, then, seconds
        self.times, self._stop = 0, False

    def _work(self):
        while not self._stop:
            host = self.hosts[self.times % 2]
            host.read(self.first)
            time.sleep(self.seconds)
            host.read(self.then)
            host.read(ANSWERS)  # or both would be away where a start takes long
            self.times += 1
            time.sleep(1.5)

    def __enter__(self):
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop = True
        self._thread.join()


def worked(clients, directory, phase, proven):
    """What failed, by client, when all have done their work."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda each: each.work(directory, phase), clients))
    pushed, pulled = (sum(getattr(each, what) for each in clients) for what in ("pushed", "pulled"))
    for each in clients:
        bad, pulls = len(each.failed["push"]), len(each.failed["pull"])
        text = f"{phase}: {bad} of {each.pushed} pushes failed, {pulls} of {each.pulled} pulls"
        proven("several hosts", each.name, each.host.spec.suite, text)
    assert (pushed, pulled) >= (200, 900)
    return {
        "pulls": [said for each in clients for said in each.failed["pull"]],
        "with retries": [
            said for each in clients if each.retries for said in each.failed["push"]
        ],
        "without": [said for each in clients if not each.retries for said in each.failed["push"]],
    }  # fmt: skip


ANSWERS = f"until openssl s_client -connect 127.0.0.1:{PORT} </dev/null; do sleep 0.1; done"
DROP = f"iptables -I INPUT -p tcp --dport {PORT} -j DROP"
WAYS = {
    "killed": ("docker kill regfleet-main", "docker start regfleet-main", 1.5),
    "dropped": (DROP, DROP.replace("-I", "-D"), 3),
    "restarted": ("docker restart regfleet-main", ":", 1),
}


@pytest.mark.parametrize("way", WAYS)
def test_nobody_notices_that_an_instance_is_gone(twin, clients, tmp_path, proven, way):
    with Trouble(twin, *WAYS[way]) as trouble:
        failed = worked(clients, tmp_path, way, proven)
    assert trouble.times > 20
    assert failed["pulls"] == []
    assert failed["with retries"] == []
    without = sum(each.pushed for each in clients if not each.retries)
    allowed = 0 if way == "restarted" else max(1, without // 100)
    assert len(failed["without"]) <= allowed, failed["without"]


def test_nobody_notices_an_apply(twin, run, clients, tmp_path, proven):
    del twin
    told = []

    def change():
        told.extend(
            run("apply", "--yes", "--no-smoke", delete=delete)
            for delete in ("false", "true", "false")
        )

    changing = threading.Thread(target=change)
    changing.start()
    failed = worked(clients, tmp_path, "applied", proven)
    changing.join()
    assert [each.returncode for each in told] == [0, 0, 0], told[-1].stdout
    assert failed == {"pulls": [], "with retries": [], "without": []}
