"""A registry of version 3, for tests that need one.

Debian has none: the variable `REGFLEET_REGISTRY_3` names its program, or an archive of `registry:3`
(`docker save`). Without it such tests are left out.
"""

import hashlib
import io
import json
import os
import shutil
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

VARIABLE = "REGFLEET_REGISTRY_3"


def _named() -> Path:
    found = os.environ.get(VARIABLE)
    if not found:
        pytest.skip(f"no registry of version 3: {VARIABLE} names its program, or its image")
    return Path(found)


def program(directory: Path) -> Path:
    """The program, which is one static file; one from an archive is put into the directory."""
    named = _named()
    if not tarfile.is_tarfile(named):
        return named
    out = directory / "registry-3"
    with tarfile.open(named) as archive:
        for member in filter(tarfile.TarInfo.isfile, archive):
            content = archive.extractfile(member)
            with suppress(tarfile.ReadError), tarfile.open(fileobj=content) as layer:
                for name in {"bin/registry", "usr/bin/registry"} & {*layer.getnames()}:
                    with out.open("wb") as file:
                        shutil.copyfileobj(layer.extractfile(name), file)
    out.chmod(0o755)
    return out


def image(directory: Path) -> Path:
    """An archive of `registry:3`; of a program one is made, with that alone in it."""
    named = _named()
    if tarfile.is_tarfile(named):
        return named
    layer = directory / "registry-3-layer.tar"
    with tarfile.open(layer, "w") as tar:
        tar.add(named, "bin/registry")
        for name in ("tmp", "var/lib/registry"):
            there = tarfile.TarInfo(name)
            there.type, there.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(there)
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["registry"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    out = directory / "registry-3.tar"
    with tarfile.open(out, "w") as tar:
        tar.add(layer, "layer.tar")
        listed = [{"Config": "config.json", "RepoTags": ["registry:3"], "Layers": ["layer.tar"]}]
        for name, document in (("config.json", config), ("manifest.json", listed)):
            content = json.dumps(document).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    layer.unlink()
    return out
