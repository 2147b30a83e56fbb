"""CA certificates in a certs.d, as Docker, Podman, BuildKit and k3s lay it out. Pure."""

from __future__ import annotations

from regfleet.engines.interface import ClientNeeds
from regfleet.model.files import Directory, File


def certificates(certs: str, needs: ClientNeeds) -> tuple[list[Directory], list[File]]:
    """`HOST:PORT/ca.crt` below a directory, for each registry whose CA is to be trusted.

    Modes are those of the CIS Docker Benchmark: directories 0755, CA files 0444.

    Args:
        certs: the directory, such as `/etc/docker/certs.d`.
    """
    directories: list[Directory] = []
    files: list[File] = []
    for trust in needs.trusts:
        if trust.ca:
            home = f"{certs}/{trust.endpoint}"
            if not directories:
                directories.append(Directory(certs, 0o755, trust.reason))
            directories.append(Directory(home, 0o755, trust.reason, own=True))
            files.append(File(f"{home}/ca.crt", trust.ca, 0o444, trust.reason))
    return directories, files
