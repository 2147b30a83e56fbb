"""Full hosts for measurements: systemd, sshd, a Docker engine, and Python for Ansible's modules.

They are one of two fleets: clients of one registry, which runs on the first of them, or sites, each
with a registry of its own whose client it is. What a tool has to bring about is written down here
once, as regfleet resolves it: the rivals get the very files, modes, container arguments and login,
ready made.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, TypedDict

from regfleet.desired.resolve import resolve
from regfleet.fleet.load import load
from regfleet.materials import gather
from regfleet.model.desired import DesiredHost
from regfleet.model.service import Service
from regfleet.rehearse.images import Images
from regfleet.rehearse.twin import HostSpec, Twin
from regfleet.state import StateDirectory

ENDPOINT = "registry.bench:5000"
REGISTRY = "reg1"
WORKERS = 8  # hosts that are prepared at the same time

HEAD = """\
version = 1
name = "{name}"

[ssh]
user = "root"
key = "{key}"
known_hosts = "{known_hosts}"
sudo = false

"""

BODY = """\
[registry.main]
hosts = [{{ name = "reg1", address = "{registry}" }}]
endpoint = "registry.bench:5000"
image_archive = "{registry_tar}"

[registry.main.users]
ci = {{ password = "generate" }}

[client.build]
hosts = $hosts
registries = ["main"]
mirrors = [{mirrors}]
login = {{ main = "ci" }}
daemon = {{ "live-restore" = true }}

"""

SMOKE = """\
[smoke]
image_archive = "{busybox_tar}"
"""

SITE = """\
[registry.{host}]
hosts = [{{ name = "{host}", address = "{address}" }}]
image_archive = "{registry_tar}"

[registry.{host}.users]
ci = {{ password = "generate" }}

[client.{host}]
hosts = [{{ name = "{host}", address = "{address}" }}]
registries = ["{host}"]
mirrors = ["https://mirror.example.com"]
login = {{ {host} = "ci" }}
daemon = {{ "live-restore" = true }}

"""

# Out of band, between two first applies: as if nobody had ever been there.
RESET = """
exec 2>&1
containers=$(docker ps --all --quiet)
[ -z "$containers" ] || docker rm --force --volumes $containers
images=$(docker images --quiet)
[ -z "$images" ] || docker rmi --force $images
systemctl stop docker.service docker.socket
rm -rf /etc/docker /etc/regfleet /run/regfleet /var/lib/regfleet /var/lib/registry /root/.docker
systemctl reset-failed
systemctl start docker.service && docker version
"""


class WithPython(Images):
    """Host images that have Python as well: Ansible's modules are programs in it."""

    def host(self, suite: str, variant: str) -> str:
        """As `Images.host`; the packages come from the host's own distribution."""
        plain = super().host(suite, variant)
        tag = f"{plain}-python"
        if self.docker.try_run("image", "inspect", tag).returncode == 0:
            return tag
        self.progress(f"adding python3 to the {suite} host image")
        name = f"bench-python-{suite}-{variant}"
        self.docker.try_run("rm", "--force", name)
        self.docker.run(
            *("run", "--name", name, "--network=host", plain, "sh", "-c"),
            "apt-get -q -o Acquire::Check-Valid-Until=false update &&"
            " apt-get -q -y --no-install-recommends install python3 && apt-get clean",
            timeout=600,
        )
        self.docker.run("commit", "--change", 'CMD ["/sbin/regfleet-boot"]', name, tag)
        self.docker.run("rm", name)
        return tag


class Wanted(TypedDict):
    """What rivals bring about on a host.

    Attributes:
        files: `source` is a copy of the content that belongs at `path`; daemon.json is the last.
        container: its `name`, `image`, `archive`, `command` and the `arguments` that `docker run`
            gets before the image; empty where none is to run.
    """

    endpoint: str
    user: str
    auth: str
    password: str
    directories: list[dict[str, str]]
    files: list[dict[str, str]]
    container: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hosts:
    """Hosts that are up, and the fleet file that makes them a fleet.

    Attributes:
        directory: gets the fleet file and its state directory.
        sites: whether each has a registry of its own.
    """

    twin: Twin
    directory: Path
    sites: bool = False

    @property
    def names(self) -> list[str]:
        """The hosts, the registry's first."""
        return list(self.twin.hosts)

    @property
    def fleet_file(self) -> Path:
        """As `write` left it."""
        return self.directory / "fleet.toml"

    def body(self, mirrors: str = "https://mirror.example.com") -> str:
        """The fleet file of one registry behind `[ssh]`, with `$hosts` for the clients."""
        seeds = self.twin.images.seeds()
        body = BODY + SMOKE
        return body.format(
            registry=self.twin.hosts[REGISTRY].address,
            registry_tar=seeds.registry,
            busybox_tar=seeds.busybox,
            mirrors=", ".join(f'"{url}"' for url in mirrors.split()),
        )

    def write(self, mirrors: str = "https://mirror.example.com") -> Path:
        """Write the fleet file; `mirrors`, of the clients of one registry, are words."""
        declared = ", ".join(
            f'{{ name = "{host.name}", address = "{host.address}" }}'
            for host in self.twin.hosts.values()
        )
        head = HEAD.format(
            name="sites" if self.sites else "bench",
            key=self.twin.key,
            known_hosts=self.twin.known_hosts,
        )
        seeds = self.twin.images.seeds()
        sites = "".join(
            SITE.format(host=host.name, address=host.address, registry_tar=seeds.registry)
            for host in self.twin.hosts.values()
        )
        sites += SMOKE.format(busybox_tar=seeds.busybox)
        one = Template(self.body(mirrors)).substitute(hosts=f"[{declared}]")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.fleet_file.write_text(head + (sites if self.sites else one))
        return self.fleet_file

    def everywhere(self, script: str | Callable[[str], str]) -> dict[str, str]:
        """Run a shell script on each host, out of band; what it said, by host.

        Args:
            script: the same for all, or by a host's name.

        Raises:
            HostError: it failed somewhere.
        """

        def on(name: str) -> str:
            return self.twin.hosts[name].read(script if isinstance(script, str) else script(name))

        with ThreadPoolExecutor(WORKERS) as pool:
            return dict(zip(self.names, pool.map(on, self.names), strict=True))

    def reset(self) -> None:
        """Back to hosts on which nobody has ever been."""
        self.everywhere(RESET)

    def wanted(self) -> dict[str, DesiredHost]:
        """What regfleet wants of each host. Needs the state directory of an apply."""
        fleet = load(self.fleet_file)
        state = StateDirectory.beside(fleet.path, fleet.name)
        return resolve(fleet, gather(fleet, state, save=False))

    def export(self) -> Path:
        """Write for rivals what they have to bring about; the path of a JSON document by host.

        daemon.json is taken as it stands on a host after an apply, so that the others' whole
        file and regfleet's merged one are the same to the byte.
        """
        document = self.directory / "wanted.json"
        document.touch(mode=0o600)
        wanted = {name: self._export(name, want) for name, want in self.wanted().items()}
        document.write_text(json.dumps(wanted, indent=2) + "\n")
        return document

    def _export(self, name: str, want: DesiredHost) -> Wanted:
        place = self.directory / "wanted" / name
        host, login = self.twin.hosts[name], want.logins[0]
        daemon = host.run("cat /etc/docker/daemon.json").stdout
        auths = json.loads(host.read("cat /root/.docker/config.json"))["auths"]
        return {
            "endpoint": login.endpoint,
            "user": login.user,
            "password": login.password.reveal(),
            "auth": auths[login.endpoint]["auth"],
            "directories": [
                {"path": item.path, "mode": f"{item.mode:04o}"} for item in want.directories
            ],
            "files": [
                *(_file(place, item.path, item.content, item.mode) for item in want.files),
                _file(place, "/etc/docker/daemon.json", daemon.encode(), 0o644),
            ],
            "container": next(map(_container, want.services), {}),
        }


def boot(count: int, images: Images, directory: Path, name: str = "bench") -> Hosts:
    """Boot `count` hosts: reg1, c02, c03, ..."""
    twin = Twin(name, images, directory / "twin")
    specs = [HostSpec(REGISTRY, aliases=(ENDPOINT.partition(":")[0],))]
    specs += [HostSpec(f"c{number:02}") for number in range(2, count + 1)]
    twin.boot(specs)
    hosts = Hosts(twin, directory)
    hosts.write()
    return hosts


def _container(service: Service) -> dict[str, Any]:
    image, run = service.image, service.run
    if image is None:
        raise TypeError(f"{service.name} runs no image")
    return {
        "name": service.name,
        "image": image.reference,
        "archive": str(image.archive or ""),
        # These hosts' engines keep log files: json-file is the driver that they come with.
        "arguments": [*run.arguments, *run.log_options],
        "command": list(run.command),
    }


def _file(place: Path, path: str, content: bytes, mode: int) -> dict[str, str]:
    copy = place / "files" / path.lstrip("/").replace("/", "__")
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.touch(mode=0o600)
    copy.write_bytes(content)
    return {"path": path, "source": str(copy), "mode": f"{mode:04o}"}
