"""Archives from packages, with packages of our own from a repository in a directory."""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile

import pytest

from regfleet.errors import RegfleetError
from regfleet.seed import build_busybox, build_nginx, build_registry

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("apt-get", "dpkg-deb", "dpkg"))), reason="needs apt and dpkg"
)

LIBC = {
    "lib/x/libc.so.6": "libc",
    "lib/x/ld.so.1": "loader",
    "lib64/ld.so.1": "-> /lib/x/ld.so.1",
    "usr/lib/x/gconv/UTF-7.so": "unused",
    "usr/share/doc/libc6/copyright": "unused",
}
APPLETS = "#!/bin/sh\nprintf '[\\nbusybox\\nsh\\nwget\\n'\n"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A package repository that apt-get reads instead of the machine's; gives `add(...)`."""
    pool, state = tmp_path / "pool", tmp_path / "apt"
    pool.mkdir()
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    for part in ("lists/partial", "cache/archives/partial", "etc"):
        (state / part).mkdir(parents=True)
    (state / "status").touch()
    (state / "etc/sources.list").write_text(f"deb [trusted=yes] copy:{pool} ./\n")
    (pool / "Packages").touch()
    (state / "apt.conf").write_text(
        f"""
        Dir::State "{state}"; Dir::State::lists "{state}/lists";
        Dir::State::status "{state}/status";
        Dir::Cache "{state}/cache"; Dir::Etc::sourcelist "{state}/etc/sources.list";
        Dir::Etc::sourceparts "/dev/null"; APT::Update::Post-Invoke-Success "";
        APT::Sandbox::User "root";
        """
    )
    monkeypatch.setenv("APT_CONFIG", str(state / "apt.conf"))

    def add(name, files, version="1.0-1", depends=""):
        root = tmp_path / "build" / name
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
            + (f"Depends: {depends}\n" if depends else "")
            + "Maintainer: nobody <nobody@example.com>\nDescription: made for a test\n"
        )
        for path, content in {**files, "DEBIAN/control": control}.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if content.startswith("-> "):
                target.symlink_to(content[3:])
            else:
                target.write_text(content)
                target.chmod(0o755 if "bin/" in path else 0o644)
        deb = pool / f"{name}.deb"
        subprocess.run(["dpkg-deb", "--build", root, deb], capture_output=True, check=True)
        digest = hashlib.sha256(deb.read_bytes()).hexdigest()
        with (pool / "Packages").open("a") as packages:
            packages.write(f"{control}Filename: ./{name}.deb\nSize: {deb.stat().st_size}\n")
            packages.write(f"SHA256: {digest}\n\n")
        subprocess.run(["apt-get", "--quiet", "update"], capture_output=True, check=True)

    return add


def opened(archive):
    """The archive's manifest, image configuration and layer as `{path: (member, content)}`."""
    with tarfile.open(archive) as outer:
        read = {member.name: outer.extractfile(member) for member in outer if member.isfile()}
        read = {name: file.read() for name, file in read.items()}
    (manifest,) = json.loads(read["manifest.json"])
    with tarfile.open(fileobj=io.BytesIO(read[manifest["Layers"][0]])) as layer:
        tree = {
            member.name: (member, layer.extractfile(member).read() if member.isfile() else b"")
            for member in layer
        }
    return manifest, json.loads(read[manifest["Config"]]), tree


def test_registry(repository, tmp_path):
    repository("libc6", LIBC)
    repository(
        "docker-registry",
        {"usr/bin/docker-registry": "program"},
        version="2.8.2+ds1-1",
        depends="adduser, libc6 (>= 1.0) | libc-other",
    )
    seed = build_registry(tmp_path / "out/registry.tar")
    manifest, image, tree = opened(seed.path)
    assert manifest["RepoTags"] == ["registry:2"] == [seed.reference]
    assert manifest["Config"] == seed.image_id.removeprefix("sha256:") + ".json"
    assert seed.packages == {"docker-registry": "2.8.2+ds1-1", "libc6": "1.0-1"}
    assert image["config"]["Labels"] == {
        f"regfleet.package.{name}": version for name, version in seed.packages.items()
    }
    assert image["config"]["Entrypoint"] == ["/bin/registry", "serve"]
    assert image["config"]["Cmd"] == ["/etc/docker/registry/config.yml"]
    assert tree["usr/bin/registry"][1] == b"program"
    assert tree["usr/bin/registry"][0].mode == 0o755
    assert tree["usr/lib/x/libc.so.6"][1] == b"libc"
    assert tree["usr/lib64/ld.so.1"][0].linkname == "/lib/x/ld.so.1"
    assert tree["lib64"][0].linkname == "usr/lib64"
    assert b"rootdirectory: /var/lib/registry" in tree["etc/docker/registry/config.yml"][1]
    assert not [path for path in tree if "gconv" in path or "doc" in path.split("/")]


def test_nginx(repository, tmp_path):
    """With all libraries that it takes, and those that these take."""
    module = "usr/lib/nginx/modules/ngx_http_js_module.so"
    repository("nginx", {"usr/sbin/nginx": "program"}, depends="libz (>= 1), zlib1g, iproute2")
    repository("libnginx-mod-http-js", {module: "njs", "usr/lib/x.so": "other"}, depends="libz")
    stream = "usr/lib/nginx/modules/ngx_stream_module.so"
    repository("libnginx-mod-stream", {stream: "stream"}, depends="nginx")
    repository("libz", {"usr/lib/a/libz.so": "z"}, depends="libdeep")
    repository("libdeep", {"usr/lib/a/libdeep.so": "deep"}, depends="libz")
    repository("zlib1g", {"usr/lib/a/zlib.so": "zlib"})
    seed = build_nginx(tmp_path / "nginx.tar")
    manifest, image, tree = opened(seed.path)
    assert manifest["RepoTags"] == ["nginx:stable"]
    modules = ["libnginx-mod-http-js", "libnginx-mod-stream"]
    assert list(seed.packages) == ["nginx", *modules, "libdeep", "libz", "zlib1g"]
    assert tree["usr/sbin/nginx"][1] == b"program"
    assert (tree[module][1], tree[stream][1]) == (b"njs", b"stream")
    assert (
        tree["etc/nginx/modules-enabled/50-mod-stream.conf"][1]
        == f"load_module /{stream};\n".encode()
    )
    assert {"libz.so", "libdeep.so", "zlib.so"} <= {path.rpartition("/")[2] for path in tree}
    assert b"\nnginx:x:101:101:" in tree["etc/passwd"][1]
    assert image["config"]["StopSignal"] == "SIGQUIT"


def test_busybox(repository, tmp_path):
    repository("busybox-static", {"bin/busybox": APPLETS})
    seed = build_busybox(tmp_path / "busybox.tar")
    _, image, tree = opened(seed.path)
    assert image["config"]["Cmd"] == ["sh"]
    links = {path: member.linkname for path, (member, _) in tree.items() if member.issym()}
    assert {"usr/bin/[", "usr/bin/sh", "usr/bin/wget"} <= links.keys()
    assert links["usr/bin/sh"] == "busybox"
    assert tree["usr/bin/busybox"][1] == APPLETS.encode()
    assert str(seed) == "busybox:latest (from busybox-static 1.0-1)"


def test_the_same_packages_give_the_same_bytes(repository, tmp_path):
    repository("busybox-static", {"bin/busybox": APPLETS})
    first = build_busybox(tmp_path / "first.tar")
    second = build_busybox(tmp_path / "second.tar")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.image_id == second.image_id
    _, _, tree = opened(first.path)
    assert {(member.mtime, member.uid) for member, _ in tree.values()} == {(0, 0)}
    assert list(tree) == sorted(tree)


def test_a_package_that_cannot_be_had(repository, tmp_path):
    del repository
    with pytest.raises(RegfleetError) as caught:
        build_registry(tmp_path / "registry.tar")
    assert "cannot download the package docker-registry" in caught.value.message
    assert "docker-registry" in caught.value.message.partition(":")[2]
    assert "apt-get update" in caught.value.hint
    assert "image_archive" in caught.value.hint
    assert list(tmp_path.glob("*registry.tar*")) == []


def test_a_package_without_its_program(repository, tmp_path):
    repository("busybox-static", {"usr/share/nothing": ""})
    with pytest.raises(RegfleetError, match=r"busybox-static 1\.0-1 has no usr/bin/busybox"):
        build_busybox(tmp_path / "busybox.tar")


def test_elsewhere_than_on_debian(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RegfleetError, match="only on Debian and Ubuntu: no apt-get here"):
        build_busybox(tmp_path / "busybox.tar")
