"""README's way to a private registry on the machine itself, with and without systemd, word by word.

The machines are test hosts as a new user has them: Debian's Python, the source tree, no engine on
the one with systemd. Docker Hub is out of their reach, so the images come from their
distribution's packages.
"""

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from regfleet.rehearse.twin import HostSpec

ROOT = Path(__file__).resolve().parents[2]
TREE = "/root/regfleet"
*INSTALL, UP = re.findall(r"^\$ (.*\.venv\b.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
# What pip downloads is downloaded here, where there may be more of a network.
OFFLINE = "export PIP_NO_INDEX=1 PIP_FIND_LINKS=/root/wheels"


@pytest.fixture(scope="module")
def twin(boot_for_module, tmp_path_factory):
    twin = boot_for_module(HostSpec("sysv1", variant="sysv"), HostSpec("bare1", variant="bare"))
    place = tmp_path_factory.mktemp("user")
    for host in twin.hosts.values():
        host.read("apt-get -qq update && apt-get -qq install --yes python3-venv >/dev/null")
    version = twin.hosts["bare1"].read(
        "python3 -c 'import sys; print(*sys.version_info[:2], sep=\".\")'"
    )
    _download(place / "wheels", version)
    with tarfile.open(place / "user.tar", "w") as tar:
        tar.add(place / "wheels", "root/wheels")
        for path in ROOT.iterdir():
            if path.name == ".gitignore" or not path.name.startswith("."):
                tar.add(path, f"{TREE}/{path.name}".lstrip("/"), filter=_no_bytecode)
    for host in twin.hosts.values():
        host.copy_in(place / "user.tar", "/root/user.tar")
        host.read("tar xf /root/user.tar -C / && rm /root/user.tar")
    return twin


def _download(directory, version):
    """What README's commands install, at the versions of the lock and with its hashes."""
    directory.mkdir()
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", directory),
            *("--only-binary", ":all:", "--python-version", version, "--require-hashes"),
            *("--requirement", ROOT / "requirements-run.lock"),
        ],
        check=True,
    )


def _no_bytecode(member):
    return None if "__pycache__" in Path(member.name).parts else member


@pytest.mark.parametrize("name", [pytest.param("sysv1", marks=pytest.mark.soak), "bare1"])
def test_one_command_gives_a_registry_and_one_takes_it_away(twin, name):
    host = twin.hosts[name]

    def run(command):
        return host.run(f"cd {TREE} && {command}", timeout=600)

    installed = run(" && ".join([OFFLINE, *INSTALL]))
    assert installed.returncode == 0, installed.stdout + installed.stderr
    done = run(UP)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Docker Hub cannot be reached; made of this distribution's packages" in done.stdout
    assert "docker-registry 2.8.2" in done.stdout
    endpoint = f"{host.address}:5000"
    assert f"The registry {endpoint} is up" in done.stdout
    assert "0 failed" not in done.stdout
    assert "smoke @local: 12 passed" in done.stdout

    # What it prints to log in works, and the password is not in what it prints.
    password = f"{TREE}/regfleet-up/.regfleet/up/passwords/main/admin"
    login = next(line for line in done.stdout.splitlines() if "--password-stdin" in line)
    assert host.read(f"cat {password}") not in done.stdout + done.stderr
    assert "Login Succeeded" in host.read(f"cd {TREE} && {login.strip()}")

    again = run(UP)
    assert again.returncode == 0
    assert "nothing to do on 1 host" in again.stdout

    gone = run(".venv/bin/regfleet destroy regfleet-up/fleet.toml --yes --delete-data")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert host.read("docker ps -aq; ls -d /etc/regfleet /var/lib/regfleet 2>/dev/null || :") == ""
    assert host.run("ls /var/lib/registry /root/.docker/config.json").stdout == ""
