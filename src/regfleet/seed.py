"""Builds image archives from Debian packages, for machines that cannot reach Docker Hub.

It builds `registry:2` from docker-registry, `busybox:latest` from busybox-static and `nginx:stable`
from nginx with its module njs, each a tar for `docker load`. It needs no engine and no docker
client: `apt-get download` fetches the packages from the machine's own sources and checks their
signatures, and dpkg-deb unpacks them. The same packages give the same bytes, so an image's digest
is stable.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from regfleet.errors import RegfleetError

HUB = ("registry-1.docker.io", 443)
HUB_SECONDS = 5.0
ARCHIVE_HINT = "set image_archive to an archive of the image, made elsewhere by `docker save`"
EPOCH = "1970-01-01T00:00:00Z"

# Debian's architecture names to Go's, with the variant (image-spec, image index).
ARCHITECTURES = {
    "amd64": ("amd64", ""),
    "arm64": ("arm64", "v8"),
    "armhf": ("arm", "v7"),
    "i386": ("386", ""),
    "ppc64el": ("ppc64le", ""),
    "riscv64": ("riscv64", ""),
    "s390x": ("s390x", ""),
}

# The configuration in the registry:2 image, for containers that mount none.
REGISTRY_CONFIG = b"""\
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""

ACCOUNTS = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": b"root:x:0:\nnobody:x:65534:\n",
    "etc/nsswitch.conf": b"hosts: files dns\n",
}


@dataclass(frozen=True, slots=True)
class Seed:
    """A written docker-archive.

    Attributes:
        path: the archive, for `docker load --input`.
        reference: the image's name after loading.
        image_id: `sha256:...` of its configuration, as `docker images --no-trunc` shows it.
        packages: the versions of the packages in it, by name.
    """

    path: Path
    reference: str
    image_id: str
    packages: Mapping[str, str]

    def __str__(self) -> str:
        made_of = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return f"{self.reference} (from {made_of})"


@dataclass(frozen=True, slots=True)
class _Node:
    """A file, a symbolic link or an empty directory in an image."""

    content: bytes = b""
    mode: int = 0o644
    link: str = ""
    directory: bool = False


@dataclass(frozen=True, slots=True)
class _Package:
    name: str
    version: str
    architecture: str
    depends: tuple[str, ...]
    files: Mapping[str, _Node]


def hub_reachable() -> bool:
    """Whether this machine can connect to Docker Hub."""
    try:
        socket.create_connection(HUB, timeout=HUB_SECONDS).close()
    except OSError:
        return False
    return True


def build_registry(out: Path) -> Seed:
    """Write an image that behaves like `registry:2`, built from the package docker-registry.

    Its entry point is `/bin/registry serve` and its command the configuration's path. So a run
    with the path as its only argument works with this image, official v2 and official v3.

    Raises:
        RegfleetError: not Debian or Ubuntu, or the packages cannot be downloaded.
    """
    with _workspace() as work:
        registry = _download("docker-registry", work)
        libraries = [_download(name, work) for name in registry.depends if name.startswith("lib")]
    tree = _rooted(
        {
            "usr/bin/registry": _file_of(registry, "usr/bin/docker-registry"),
            "etc/docker/registry/config.yml": _Node(REGISTRY_CONFIG),
            "etc/distribution/config.yml": _Node(REGISTRY_CONFIG),
            "var/lib/registry": _Node(mode=0o755, directory=True),
        }
    )
    _add_libraries(tree, libraries)
    settings = {
        "Entrypoint": ["/bin/registry", "serve"],
        "Cmd": ["/etc/docker/registry/config.yml"],
        "ExposedPorts": {"5000/tcp": {}},
        "Volumes": {"/var/lib/registry": {}},
    }
    return _write_archive(out, "registry:2", tree, settings, (registry, *libraries))


def build_nginx(out: Path) -> Seed:
    """Write an image that behaves like `nginx:stable`, built from nginx and two of its modules.

    Program, module and the user `nginx` are where the official image has them; its configuration
    and its entry point's scripts are not there.

    Raises:
        RegfleetError: not Debian or Ubuntu, or the packages cannot be downloaded.
    """
    with _workspace() as work:
        names = ("nginx", "libnginx-mod-http-js", "libnginx-mod-stream")
        packages = [_download(name, work) for name in names]
        libraries: dict[str, _Package] = {}
        wanted = [name for package in packages for name in package.depends]
        while wanted:
            name = wanted.pop()
            if name.startswith(("lib", "zlib")) and name not in libraries:
                libraries[name] = _download(name, work)
                wanted += libraries[name].depends
    program, modules = "usr/sbin/nginx", "usr/lib/nginx/modules"
    wanted_files = (program, f"{modules}/ngx_http_js_module.so", f"{modules}/ngx_stream_module.so")
    tree = _rooted(
        {
            path: _file_of(package, path)
            for package, path in zip(packages, wanted_files, strict=True)
        }
    )
    # The official image has this module built in.
    loads = f"load_module /{wanted_files[2]};\n".encode()
    tree["etc/nginx/modules-enabled/50-mod-stream.conf"] = _Node(loads)
    for path, line in (
        ("etc/passwd", b"nginx:x:101:101:nginx:/nonexistent:/bin/false\n"),
        ("etc/group", b"nginx:x:101:\n"),
    ):
        tree[path] = _Node(ACCOUNTS[path] + line)
    _add_libraries(tree, libraries.values())
    settings = {
        "Cmd": ["nginx", "-g", "daemon off;"],
        "ExposedPorts": {"80/tcp": {}},
        "StopSignal": "SIGQUIT",
    }
    made_of = (*packages, *sorted(libraries.values(), key=lambda each: each.name))
    return _write_archive(out, "nginx:stable", tree, settings, made_of)


def _add_libraries(tree: dict[str, _Node], packages: Iterable[_Package]) -> None:
    for package in packages:
        tree.update(
            (path, node)
            for path, node in package.files.items()
            if ".so" in PurePosixPath(path).name and "gconv" not in path and "audit" not in path
        )


def build_busybox(out: Path) -> Seed:
    """Write an image that behaves like `busybox:latest`, built from the package busybox-static.

    Raises:
        RegfleetError: not Debian or Ubuntu, or the package cannot be downloaded.
    """
    with _workspace() as work:
        package = _download("busybox-static", work)
        binary = _file_of(package, "usr/bin/busybox")
        program = work / "busybox"
        program.write_bytes(binary.content)
        program.chmod(0o755)
        applets = _output([str(program), "--list"]).split()
    tree = _rooted({"usr/bin/busybox": binary})
    for applet in applets:
        tree.setdefault(f"usr/bin/{applet}", _Node(mode=0o777, link="busybox"))
    return _write_archive(out, "busybox:latest", tree, {"Cmd": ["sh"]}, (package,))


def _rooted(files: Mapping[str, _Node]) -> dict[str, _Node]:
    """The root filesystem that every image has, and `files`. Merged /usr, as Debian's is."""
    merged = {name: _Node(mode=0o777, link=f"usr/{name}") for name in ("bin", "lib", "lib64")}
    accounts = {path: _Node(content) for path, content in ACCOUNTS.items()}
    places = {
        "root": _Node(mode=0o700, directory=True),
        "tmp": _Node(mode=0o1777, directory=True),
        "usr/lib": _Node(mode=0o755, directory=True),
        "usr/lib64": _Node(mode=0o755, directory=True),
    }
    return {**merged, **accounts, **places, **files}


def _file_of(package: _Package, path: str) -> _Node:
    try:
        return package.files[path]
    except KeyError:
        raise RegfleetError(
            f"the package {package.name} {package.version} has no {path}",
            ARCHIVE_HINT,
        ) from None


# --- packages ---------------------------------------------------------------------------------


@contextmanager
def _workspace() -> Iterator[Path]:
    missing = [name for name in ("apt-get", "dpkg-deb", "dpkg") if shutil.which(name) is None]
    if missing:
        raise RegfleetError(
            f"images can be built from packages only on Debian and Ubuntu: no {missing[0]} here",
            ARCHIVE_HINT,
        )
    with tempfile.TemporaryDirectory(prefix="regfleet-seed-") as work:
        yield Path(work)


def _download(name: str, work: Path) -> _Package:
    """Download and read one package; when that fails, refresh apt's lists and try again."""
    download = ["apt-get", "-o", "APT::Sandbox::User=root", "--quiet", "download", name]
    target = work / name
    target.mkdir()
    done = _run(download, target)
    if done.returncode != 0 and os.geteuid() == 0:
        _run(["apt-get", "--quiet", "update"], target)
        done = _run(download, target)
    found = sorted(target.glob("*.deb"))
    if done.returncode != 0 or not found:
        said = "\n".join(done.stderr.decode(errors="replace").strip().splitlines()[-3:])
        raise RegfleetError(
            f"cannot download the package {name}: {said or 'apt-get downloaded nothing'}",
            f"check that `apt-get update` works; otherwise {ARCHIVE_HINT}",
        )
    fields = [
        _output(["dpkg-deb", "--field", str(found[0]), field])
        for field in ("Version", "Architecture", "Depends")
    ]
    return _Package(
        name=name,
        version=fields[0],
        architecture=fields[1],
        depends=tuple(_first_choices(fields[2])),
        files=_unpack(found[0]),
    )


def _first_choices(depends: str) -> Iterator[str]:
    """The names in a Depends field (deb-control(5)); of alternatives, the first."""
    for clause in depends.split(","):
        first = clause.split("|")[0].split("(")[0].strip()
        if first:
            yield first.split(":")[0]


def _unpack(package: Path) -> dict[str, _Node]:
    """The files and links of a package by path, with /bin, /sbin and /lib moved under /usr."""
    nodes: dict[str, _Node] = {}
    stream = io.BytesIO(_run_checked(["dpkg-deb", "--fsys-tarfile", str(package)]))
    with tarfile.open(fileobj=stream) as archive:
        for member in archive:
            path = str(PurePosixPath(member.name))
            if path.split("/", maxsplit=1)[0] in ("bin", "sbin", "lib", "lib64"):
                path = f"usr/{path}"
            if member.issym():
                nodes[path] = _Node(mode=0o777, link=member.linkname)
            elif member.isfile() or member.islnk():
                content = archive.extractfile(member)
                nodes[path] = _Node(content.read() if content else b"", member.mode)
    return nodes


def _run(command: list[str], directory: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )


def _run_checked(command: list[str]) -> bytes:
    done = _run(command)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise RegfleetError(f"`{' '.join(command)}` failed: {said}")
    return done.stdout


def _output(command: list[str]) -> str:
    return _run_checked(command).decode().strip()


# --- archives ---------------------------------------------------------------------------------


def _layer_tar(tree: Mapping[str, _Node]) -> bytes:
    """The tree as an uncompressed tar: sorted, owned by root, at the epoch."""
    parents = {
        str(parent): _Node(mode=0o755, directory=True)
        for path in tree
        for parent in PurePosixPath(path).parents
        if str(parent) != "."
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, node in sorted({**parents, **tree}.items()):
            member = tarfile.TarInfo(path)
            member.mode = node.mode
            if node.directory:
                member.type = tarfile.DIRTYPE
            elif node.link:
                member.type, member.linkname = tarfile.SYMTYPE, node.link
            else:
                member.size = len(node.content)
            archive.addfile(member, io.BytesIO(node.content))
    return buffer.getvalue()


def _write_archive(
    out: Path,
    reference: str,
    tree: Mapping[str, _Node],
    settings: Mapping[str, object],
    packages: tuple[_Package, ...],
) -> Seed:
    """Write a docker-archive (docker image spec v1.2, "Combined Image JSON") atomically."""
    versions = {package.name: package.version for package in packages}
    architecture, variant = ARCHITECTURES.get(
        packages[0].architecture, (packages[0].architecture, "")
    )
    layer = _layer_tar(tree)
    digest = hashlib.sha256(layer).hexdigest()
    labels = {f"regfleet.package.{name}": version for name, version in versions.items()}
    described: dict[str, object] = {
        "architecture": architecture,
        "os": "linux",
        "created": EPOCH,
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "WorkingDir": "/",
            "Labels": labels,
            **settings,
        },
        "history": [{"created": EPOCH, "created_by": f"regfleet: {reference} from packages"}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    if variant:
        described["variant"] = variant
    configuration = json.dumps(described, sort_keys=True).encode()
    image = hashlib.sha256(configuration).hexdigest()
    manifest = [
        {"Config": f"{image}.json", "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}
    ]
    archive = {
        f"{digest}/layer.tar": _Node(layer),
        f"{image}.json": _Node(configuration),
        "manifest.json": _Node(json.dumps(manifest).encode()),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.part")
    part.write_bytes(_layer_tar(archive))
    part.replace(out)
    return Seed(out, reference, f"sha256:{image}", versions)
