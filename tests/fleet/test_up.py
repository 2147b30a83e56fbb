"""`regfleet up`: a private registry on the machine itself, with and without systemd.

The machine is a test host that gets this interpreter and its packages copied in; Docker Hub is
out of its reach, so the images come from its distribution's packages.
"""

import os
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

from regfleet.rehearse.twin import HostSpec

ROOT = Path(__file__).resolve().parents[2]
UNWANTED = {"__pycache__", "test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3"}


@pytest.fixture(scope="module")
def twin(boot_for_module, tmp_path_factory):
    twin = boot_for_module(HostSpec("sysv1", variant="sysv"), HostSpec("bare1", variant="bare"))
    archive = tmp_path_factory.mktemp("python") / "python.tar"
    _pack(archive)
    for host in twin.hosts.values():
        host.copy_in(archive, "/root/python.tar")
        host.read("tar xf /root/python.tar -C / --keep-directory-symlink; rm /root/python.tar")
    return twin


def _pack(archive):
    """This interpreter, its libraries, the packages and regfleet's sources, at the same paths."""
    real = Path(os.path.realpath(sys.executable))
    stdlib = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix}))
    packages = Path(sysconfig.get_path("purelib"))
    linked = subprocess.run(["ldd", real], capture_output=True, text=True, check=True).stdout
    modules = subprocess.run(
        ["ldd", *stdlib.glob("lib-dynload/*.so")], capture_output=True, text=True, check=False
    ).stdout
    libraries = {
        Path(word) for word in (linked + modules).split() if word.startswith("/") and ".so" in word
    }
    libraries = {path for path in libraries if "libpython" in path.name or "libffi" in path.name}
    with tarfile.open(archive, "w", dereference=False) as tar:

        def add(path, where=None):
            if path.exists():
                tar.add(path, str(where or path).lstrip("/"), filter=_wanted)

        venv = Path(sys.prefix)
        for path in (real, stdlib, packages, *libraries, venv / "pyvenv.cfg", venv / "bin"):
            add(path)
        for link in (Path(sys.executable), *libraries):
            while link.is_symlink():  # each name on the way to the file itself
                link = link.parent / link.readlink()  # noqa: PLW2901
                add(link)
        for part in ("src", "schema", "vagrant"):
            add(ROOT / part)


def _wanted(member):
    parts = set(Path(member.name).parts)
    return None if parts & UNWANTED or "site-packages/torch" in member.name else member


def _regfleet(host, *arguments):
    command = f"cd /root && PYTHONPATH={ROOT / 'src'} {sys.executable} -m regfleet"
    return host.run(f"{command} {' '.join(arguments)}", timeout=600)


@pytest.mark.parametrize("name", ["sysv1", "bare1"])
def test_one_command_gives_a_registry_and_one_takes_it_away(twin, name):
    host = twin.hosts[name]
    done = _regfleet(host, "up", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Docker Hub cannot be reached; made of this distribution's packages" in done.stdout
    assert "docker-registry 2.8.2" in done.stdout
    endpoint = f"{host.address}:5000"
    assert f"The registry {endpoint} is up" in done.stdout
    assert "0 failed" not in done.stdout
    assert "smoke @local: 12 passed" in done.stdout

    # What it prints to log in works, and the password is not in what it prints.
    password = "regfleet-up/.regfleet/up/passwords/main/admin"
    login = next(line for line in done.stdout.splitlines() if "--password-stdin" in line)
    assert host.read(f"cat /root/{password}") not in done.stdout + done.stderr
    assert "Login Succeeded" in host.read(f"cd /root && {login.strip()}")

    again = _regfleet(host, "up", "--yes")
    assert again.returncode == 0
    assert "nothing to do on 1 host" in again.stdout

    gone = _regfleet(host, "destroy", "regfleet-up/fleet.toml", "--yes", "--delete-data")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert host.read("docker ps -aq; ls -d /etc/regfleet /var/lib/regfleet 2>/dev/null || :") == ""
    assert host.run("ls /var/lib/registry /root/.docker/config.json").stdout == ""
