"""Real hosts for tests: an engine, images, and factories that boot hosts and clean them away.

def test_something(boot, write_fleet, regfleet):
    twin = boot("reg1=registry.test", "client1")
    fleet = write_fleet(twin, '''
        [registry.main]
        hosts = [$reg1]
        endpoint = "registry.test:5000"
        image_archive = "$registry_tar"
    ''')
    assert regfleet("apply", fleet, "--yes").returncode == 0
"""

import itertools
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from string import Template

import pytest
from filelock import FileLock

from inside import InsideTwin
from regfleet.errors import RegfleetError
from regfleet.rehearse import engine as engines
from regfleet.rehearse.images import Images
from regfleet.rehearse.twin import INOTIFY, INOTIFY_WANTED, HostSpec
from warm import Warm
from workers import is_worker, shared_directory

ROOT = Path(__file__).resolve().parents[1]
# Hosts serve a file of tests, while each test has a directory, and so a state, of its own.
os.environ["REGFLEET_NEW_IDENTITY"] = "1"
BUILD = ROOT / ".build"
_numbers = itertools.count(1)


def _do_without(reason):
    """Skips where hosts cannot be had; CI has to have them, or it would prove nothing."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _say(line):
    sys.__stderr__.write(f"\n  ({line})\n")


@pytest.fixture(scope="session")
def engine(pytestconfig):
    """The engine that carries the hosts, one for all workers.

    One that had to be started is stopped when the run ends.
    """
    if os.geteuid() != 0:
        _do_without("hosts in containers need root")
    BUILD.mkdir(exist_ok=True)
    try:
        with FileLock(BUILD / "engine.lock"):
            ran_before = _own_engine().pid() is not None
            found = engines.connect(_own_engine().directory, _say)
            if found.own and not ran_before:
                _mark(pytestconfig).touch()
    except RegfleetError as error:
        _do_without(f"no engine for the test hosts: {error}")
    # Several workers boot at once, and none knows how many hosts the others are about to have.
    with suppress(OSError):
        if int(INOTIFY.read_text()) < INOTIFY_WANTED:
            INOTIFY.write_text(str(INOTIFY_WANTED))
    return found


def _own_engine():
    return engines.OwnEngine(BUILD / "engine")


def _mark(config):
    """There when this run has started the engine."""
    return shared_directory(config) / "engine-started"


def pytest_unconfigure(config):
    if not is_worker(config) and _mark(config).exists():
        _own_engine().stop()


@pytest.fixture(scope="session")
def images(engine):
    """Host images and seeds, kept under .build between runs."""
    return Images(engine.docker, BUILD / "images", _say)


@pytest.fixture(scope="session")
def host_image(images):
    """`host_image(suite, variant)` gives the image's name; skips where it cannot be built."""

    def build(suite="bookworm", variant="docker"):
        try:
            return images.host(suite, variant)
        except RegfleetError as error:
            _do_without(f"no host image: {error}")

    return build


@pytest.fixture(scope="session")
def seeds(images):
    """Paths of the archives: `seeds.registry` (registry:2), `seeds.busybox` and `seeds.nginx`."""
    try:
        return images.seeds()
    except RegfleetError as error:
        _do_without(f"no seed images: {error}")


@contextmanager
def _factory(images, host_image, tmp_path_factory):
    twins = []

    def boot(*hosts, suite="bookworm", variant="docker"):
        specs = [
            host if isinstance(host, HostSpec) else _spec(host, suite, variant) for host in hosts
        ]
        kinds = {(spec.suite, spec.variant) for spec in specs}
        with ThreadPoolExecutor() as pool:  # building one takes half a minute
            list(pool.map(lambda kind: host_image(*kind), kinds))
        directory = tmp_path_factory.mktemp("twin")
        twin = InsideTwin(f"test-{os.getpid()}-{next(_numbers)}", images, directory)
        twins.append(twin)
        twin.boot(specs)
        return twin

    try:
        yield boot
    finally:
        for twin in twins:
            twin.stop()


def _spec(text, suite, variant):
    name, _, aliases = text.partition("=")
    return HostSpec(name, suite, variant, tuple(filter(None, aliases.split(","))))


@pytest.fixture
def boot(images, host_image, tmp_path_factory):
    """`boot("reg1=registry.test", "client1", suite=, variant=)` gives a Twin; for one test.

    Names may be followed by `=` and further names, comma-separated; HostSpecs are taken, too.
    """
    with _factory(images, host_image, tmp_path_factory) as factory:
        yield factory


@pytest.fixture(scope="module")
def boot_for_module(images, host_image, tmp_path_factory):
    """As `boot`; the hosts live as long as the module's tests."""
    with _factory(images, host_image, tmp_path_factory) as factory:
        yield factory


@pytest.fixture
def write_fleet(tmp_path, seeds):
    """`write_fleet(twin, body, user="root", name="fleet.toml")` writes a fleet file.

    `version`, `name` and `[ssh]` come by themselves (`head=` replaces them). In the body stand
    `$NAME` for a host (`{ name = ..., address = ... }`), `$registry_tar`,
    `$busybox_tar` and `$nginx_tar`.
    """

    def write(twin, body, *, user="root", name="fleet.toml", head=None):
        hosts = {
            host.name.replace("-", "_"): f'{{ name = "{host.name}", address = "{host.address}" }}'
            for host in twin.hosts.values()
        }
        if head is None:
            head = (
                f'version = 1\nname = "test"\n\n[ssh]\nuser = "{user}"\nkey = "{twin.key}"\n'
                f'known_hosts = "{twin.known_hosts}"\nsudo = {str(user != "root").lower()}\n\n'
            )
        text = Template(textwrap.dedent(body)).substitute(
            hosts,
            registry_tar=seeds.registry,
            busybox_tar=seeds.busybox,
            nginx_tar=seeds.nginx,
        )
        path = tmp_path / name
        path.write_text(head + text)
        return path

    return write


@pytest.fixture(scope="session")
def regfleet():
    """`regfleet("apply", path, "--yes")` runs the command line as users do; a CompletedProcess.

    In a process that has imported it already (warm.py), unless it is to be a `fresh` one.
    """
    warm = Warm(ROOT / "src")

    def run(*arguments, stdin="", timeout=600, fresh=False, **environment):
        words = [*map(str, arguments)]
        around = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment}
        # Limits of time are read when their module is imported.
        if not fresh and not any(name.endswith("_SECONDS") for name in environment):
            return warm.run(words, around, stdin, timeout)
        return subprocess.run(
            [sys.executable, "-m", "regfleet", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=around,
        )

    yield run
    warm.close()


@pytest.fixture(scope="session")
def counted():
    """`with counted(twin) as counts:` then `counts["reg1"]`: SSH sessions that its sshd started.

    Each remote command is a session; so are sftp and shells. Read from sshd's own log.
    """

    @contextmanager
    def count(twin):
        before = {name: len(host.sessions()) for name, host in twin.hosts.items()}
        counts = {}
        yield counts
        counts.update(
            {name: len(host.sessions()) - before[name] for name, host in twin.hosts.items()}
        )

    return count


@pytest.fixture(scope="session")
def ssh():
    """`ssh(twin, "ops", "client1", "sudo -n id -u")` by OpenSSH's client, host keys strict."""

    def run(twin, user, name, command, *options):
        return subprocess.run(
            [
                *("ssh", "-F", "none", "-i", twin.key, "-o", "BatchMode=yes"),
                *("-o", "StrictHostKeyChecking=yes", *options),
                *("-o", f"UserKnownHostsFile={twin.known_hosts}"),
                *("-o", "GlobalKnownHostsFile=none", "-o", "IdentitiesOnly=yes"),
                *(f"{user}@{twin.hosts[name].address}", command),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
