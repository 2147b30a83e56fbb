"""What every program does first: a clean environment, the engine that is meant, its own place."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from shlex import quote

import pytest
import shells

from regfleet import shell as programs
from regfleet.look import request

COMMON = programs.program("regfleet.look")
EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
SOCKET = "/var/run/docker.sock"

# ---- the environment ----

STRANGE = {
    "DOCKER_HOST": "tcp://192.0.2.1:2375",
    "DOCKER_CONTEXT": "remote",
    "DOCKER_CONFIG": "/root/other",
    "DOCKER_TLS_VERIFY": "1",
    "DOCKER_CONTENT_TRUST": "1",
    "DOCKER_DEFAULT_PLATFORM": "linux/s390x",
    "CONTAINER_HOST": "ssh://root@192.0.2.1/run/podman.sock",
    "CONTAINERS_CONF": "/root/other.conf",
    "REGISTRY_AUTH_FILE": "/root/auth.json",
    "CONTAINERD_ADDRESS": "/other.sock",
    "CURL_HOME": "/root",
    "HTTPS_PROXY": "http://192.0.2.1:9",
    "PERL5OPT": "-Mnone",
    "LD_PRELOAD": "",
    "TMPDIR": "/nonexistent",
    "IFS": "/",
    "NL": "x",
    "private": "/etc",
    "of_the_next_version": "1",
    "lines": "one\nexport two=2\ndeclare -x three\nPATH=4",
}
OURS = {"PATH", "HOME", "LC_ALL", "DOCKER_HOST"}
OF_SHELLS = {"PWD", "OLDPWD", "SHLVL", "_"}


@EVERY_SHELL
def test_of_an_environment_only_a_few_names_are_left(shell):
    said = shells.lines(shell, f'{COMMON}\nenv; echo "private=$private"', **STRANGE)
    found = dict(line.split("=", 1) for line in said)
    assert found.pop("private") == ""
    assert set(found) - OF_SHELLS == OURS
    assert found["DOCKER_HOST"] == f"unix://{SOCKET}"
    assert found["HOME"] == "/nonexistent"


@EVERY_SHELL
def test_packages_are_installed_through_the_hosts_proxies(shell):
    """As by hand; nothing else is, before it or afterwards."""
    program = f"{COMMON}\nwith_proxies env; echo --; env"
    said = shells.lines(
        shell, program, http_proxy="http://u:p w@x:1", NO_PROXY="a,b", DOCKER_HOST="x"
    )
    inside, behind = said[: said.index("--")], said[said.index("--") :]
    assert {"http_proxy=http://u:p w@x:1", "NO_PROXY=a,b", "HOME=/root"} <= set(inside)
    assert not [line for line in behind if "proxy" in line.lower()]
    assert "HOME=/nonexistent" in behind


# ---- the engine ----


@EVERY_SHELL
@pytest.mark.parametrize(
    ("flags", "hosts", "expected"),
    [
        ((), None, SOCKET),
        (("-H", "fd://", "--containerd=/run/c.sock"), None, SOCKET),
        (("-H", "unix://"), None, SOCKET),
        (("-H", "unix:///a b/*.sock"), None, "/a b/*.sock"),
        (("-Hunix:///a.sock",), None, "/a.sock"),
        (("--host=tcp://0.0.0.0:2376", "--host=unix:///a.sock"), None, "/a.sock"),
        (("--host", "unix:///a.sock", "-H", "fd://"), None, "/a.sock"),
        (("-H", "fdx://"), None, ""),
        (("-H", "tcp://127.0.0.1:2376", "--tlsverify"), None, ""),
        ((), '{"debug": 1, "hosts" : [\n "tcp://:1",\n"unix:///a b.sock" ], "x": []}', "/a b.sock"),
        ((), '{"tlsverify": true, "hosts": ["tcp://:1"]}', ""),
        ((), '{"hosts": []}', SOCKET),
        ((), '{"hosts": [', SOCKET),
        (("-H", "unix:///a.sock"), '{"hosts": ["unix:///b.sock"]}', "/a.sock"),
    ],
)  # fmt: skip
def test_where_dockerd_listens(shell, tmp_path, flags, hosts, expected):
    file = tmp_path / "daemon.json"
    if hosts is not None:
        file.write_text(hosts)
    words = "\n".join(["/usr/bin/dockerd", *flags, f"--config-file={file}"])
    tell = 'read_flags; ask_engine; printf "%s\\n" "$docker_socket" "$DOCKER_HOST" "$daemon_file"'
    program = f"{COMMON}\nsystemctl() {{ return 1; }}\nflags={quote(words)}\n{tell}\n"
    assert shells.lines(shell, program) == [
        expected, f"unix://{expected or '/nonexistent'}", str(file),
    ]  # fmt: skip


@EVERY_SHELL
@pytest.mark.parametrize(
    ("flags", "hosts", "asked"),
    [
        (("-H", "tcp://127.0.0.1:2375"), None, "tcp://127.0.0.1:2375"),
        (("-H=tcp://0.0.0.0:2375", "--tls=false"), None, "tcp://127.0.0.1:2375"),
        (("--host", "tcp://192.0.2.1:4243"), None, "tcp://192.0.2.1:4243"),
        (("--host=tcp://[::]:2375",), None, "tcp://[::1]:2375"),
        (("-Htcp://:1", "-H", "tcp://:2"), None, "tcp://127.0.0.1:1"),
        ((), '{"hosts": ["tcp://:1"], "tls": false}', "tcp://127.0.0.1:1"),
        (("-H", "tcp://:1", "-H", "unix:///a.sock"), None, "unix:///a.sock"),
        (("-H", "tcp://:1", "--tls"), None, "unix:///nonexistent"),
    ],
)  # fmt: skip
def test_one_without_a_unix_socket_is_asked_by_tcp(shell, tmp_path, flags, hosts, asked):
    file = tmp_path / "daemon.json"
    file.write_text(hosts or "{}")
    words = "\n".join(["/usr/bin/dockerd", *flags, f"--config-file={file}"])
    tell = 'read_flags; ask_engine; printf "%s\\n" "$DOCKER_HOST"'
    assert shells.lines(shell, f"{COMMON}\nflags={quote(words)}\n{tell}\n") == [asked]


@EVERY_SHELL
def test_a_socket_that_systemd_holds_elsewhere(shell):
    """With fd:// the unit docker.socket says where."""
    program = (
        f"{COMMON}\nsystemctl() {{ echo '/run/other.sock (Stream)'; }}\n"
        'flags="dockerd${NL}-H${NL}fd://"\nread_flags\necho "$docker_socket"\n'
    )
    there = Path(SOCKET).is_socket()
    assert shells.lines(shell, program) == [SOCKET if there else "/run/other.sock"]


# ---- what a program needs for itself ----


def own(tmp_path):
    return f"{COMMON}\nPRIVATE={tmp_path}/own ROOMY={tmp_path}/var/regfleet/work\n"


@EVERY_SHELL
def test_an_own_directory_is_roots_alone(shell, tmp_path):
    (line,) = shells.lines(
        shell,
        f"{own(tmp_path)}private_directory; first=$private; private_directory\n"
        'stat -c "%a %u" "$private" | tr "\\n" " "; [ "$first" = "$private" ] && echo same',
    )
    assert line == f"700 {os.getuid()} same"


@EVERY_SHELL
@pytest.mark.parametrize("trap", ["a link", "another's", "open to others", "a file"])
def test_what_somebody_prepared_is_not_taken(shell, tmp_path, trap):
    place, elsewhere = tmp_path / "own", tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if trap == "a link":
        place.symlink_to(elsewhere)
    elif trap == "a file":
        place.touch()
    else:
        place.mkdir(mode=0o700)
        if trap == "open to others":
            place.chmod(0o777)
        elif os.getuid() == 0:
            os.chown(place, 65534, 65534)
        else:
            pytest.skip("only root can give it away")
    (line,) = shells.lines(shell, f'{own(tmp_path)}private_directory; echo "$private"')
    assert line.startswith(f"{tmp_path}/var/regfleet/work/")
    assert not list(elsewhere.iterdir())


WAYS_OUT = {
    "its end": "",
    "exit": "exit 3",
    "an unset variable": ': "$no_such_variable"',
    "hang-up": "kill -HUP $$",
    "interrupt": "kill -INT $$",
    "termination": "kill -TERM $$",
    "nobody listens": "kill -PIPE $$",
}


@EVERY_SHELL
@pytest.mark.parametrize("way", WAYS_OUT)
def test_an_own_directory_goes_on_every_way_out(shell, tmp_path, way):
    program = (
        f"{own(tmp_path)}end_cleanly\nprivate_directory; roomy_directory\n"
        f'echo secret >"$private/secret"; echo large >"$roomy/image"\nls {tmp_path}\n'
        f"{WAYS_OUT[way]}\n:\n"
    )
    done = shells.run(shell, program)
    assert done.stdout.decode().split() == ["own", "var"]
    assert [path.name for path in tmp_path.rglob("*")] == ["var"]


@EVERY_SHELL
def test_what_a_kill_left_goes_with_the_next_program(shell, tmp_path):
    start = (
        f"{own(tmp_path)}private_directory; roomy_directory\n"
        'echo "$private"; echo secret >"$private/x"\n'
    )
    killed = shells.run(shell, f"{start}kill -KILL $$\n")
    assert killed.returncode == -signal.SIGKILL
    left = Path(killed.stdout.decode().strip())
    assert (left / "x").exists()
    other = subprocess.Popen(
        ["sh", "-c", f"{start}read -r _"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        alive = Path(other.stdout.readline().strip())
        # Another process that got the number of the one that was killed is not it.
        namesake = left.with_name(f"{other.pid}-1")
        namesake.mkdir()
        shells.lines(shell, f"{own(tmp_path)}sweep")
        assert not left.exists()
        assert not namesake.exists()
        assert alive.exists()
    finally:
        other.communicate("\n")
    assert [path.name for path in tmp_path.rglob("*")] == ["var"]


# ---- whose process an engine is ----


@pytest.fixture
def start():
    """Starts a shell that is called like an engine and waits, as root or as nobody."""
    started = []

    def begin(name, *arguments, user=None):
        program = folder / name
        if not program.exists():
            shutil.copy("/bin/sh", program)
        process = subprocess.Popen(
            [program, folder / "wait", *arguments], stdin=subprocess.PIPE, user=user
        )
        started.append(process)
        return process.pid

    with tempfile.TemporaryDirectory(prefix="regfleet-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        (folder / "wait").write_text("read -r _")
        yield begin
        for process in started:
            process.communicate(b"\n")


@EVERY_SHELL
@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts somebody else's processes")
def test_an_engine_is_roots_and_called_so(shell, start):
    """The number in docker.pid may be anybody's by now."""
    pids = [start("dockerd"), start("dockerd", user="nobody"), start("other"), 99999999]
    pids.append(start("dockerd-current"))
    asked = "".join(f"is_roots {pid} dockerd; echo $?\n" for pid in pids)
    said = shells.lines(shell, f"{COMMON}\n{asked}")
    assert said == ["0", "1", "1", "1", "0"]


@EVERY_SHELL
@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts somebody else's processes")
def test_nobody_tells_root_where_containerd_is_configured(shell, start):
    pids = [
        start("containerd", "--config=/srv/roots.toml"),
        start("containerd", "--config=/home/x.toml", "--config=@whole owned e30=", user="nobody"),
    ]
    found = f"pidof() {{ echo {pids[0]} {pids[1]}; }}"  # and none of this machine's own
    said = shells.lines(shell, f"{request.program('containerd')}\n{found}\ncontainerd_look\n")
    assert "@of containerd config /srv/roots.toml" in said
    assert not [line for line in said if line.startswith("@whole owned")]
