"""Logins in the homes of accounts that would like to be root: by Docker and by Podman."""

import json

import pytest

from regfleet.rehearse.twin import HostSpec

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
ci = { password = "generate" }

[client.docker]
hosts = [$client1]
registries = ["main"]
login = { main = { user = "ci", for = ["ops"] } }

[client.podman]
hosts = [$pod1]
engine = "podman"
registries = ["main"]
login = { main = { user = "ci", for = ["ops"] } }

[smoke]
image_archive = "$busybox_tar"
"""
FILES = {
    "client1": "/home/ops/.docker/config.json",
    "pod1": "/home/ops/.config/containers/auth.json",
}
ENDPOINT = "registry.test:5000"
OTHER = {"auth": "b3RoZXI6eA=="}
# What is root's own; the time of change tells of an owner that came and went.
ROOTS = (
    "cd /srv/root && ls /etc/cron.d && "
    "find . -printf '%p %u:%g %m %l %c ' -type f -exec md5sum {} +"
)
HOMES = "stat -L /home/ops/.[dc]o*/* 2>&1 | grep -v Access"
LINKED = "md5sum /srv/root/linked; stat -c %U:%a /srv/root/linked"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", aliases=("registry.test",)),
        HostSpec("client1"),
        HostSpec("pod1", "trixie", "bare"),
    )


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, write_fleet, state, regfleet):
    fleet = write_fleet(twin, BODY)
    return lambda command, *options: regfleet(command, fleet, "--state-dir", state, *options)


@pytest.fixture
def homes(twin, run, state):
    """The two clients, applied, with nothing in the homes and some things that are root's alone."""
    if not (state / "applied").exists():
        done = run("apply", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        (state / "applied").touch()
    hosts = {name: twin.hosts[name] for name in FILES}
    for host in hosts.values():
        host.read(
            "rm -rf /home/ops/.docker /home/ops/.config /srv/root && "
            "mkdir -p /etc/cron.d /srv/root/open/containers && "
            "chmod 755 /srv/root /srv/root/open && "
            f"""printf '{{"auths": {{"{ENDPOINT}": {json.dumps(OTHER)}}}}}' >/srv/root/secret && """
            "chmod 600 /srv/root/secret && cp /srv/root/secret /srv/root/linked && "
            "cp -p /srv/root/secret /srv/root/open/config.json && "
            "cp -p /srv/root/secret /srv/root/open/containers/auth.json && "
            "chmod 644 /srv/root/linked"
        )
    return hosts


def plant(hosts, script):
    """Run a script on each host: `$file` keeps the logins, `$top` is the way's begin there."""
    for name, host in hosts.items():
        file = FILES[name]
        top = "/".join(file.split("/")[:4])
        host.read(f"file={file} top={top} directory={file.rpartition('/')[0]}\n{script}")


def roots(hosts):
    return {name: host.read(ROOTS) for name, host in hosts.items()}


def told(done):
    """What was said, without line ends and blanks that a terminal's width made."""
    return " ".join((done.stdout + done.stderr).split())


TO_DIRECTORY = 'su ops -c "mkdir -p $directory"; '
ATTACKS = {
    "a link to a file of root's": (
        f'{TO_DIRECTORY} ln -s /srv/root/secret "$file"', "cannot be read by ops",
    ),
    "a dangling link": (f'{TO_DIRECTORY} ln -s /etc/cron.d/mine "$file"', "Permission denied"),
    "a directory that leads to root's": ('ln -s /srv/root/open "$top"', "ops"),
    "a pipe": (f'{TO_DIRECTORY} mkfifo "$file"; chown ops "$file"', "is no regular file"),
    "a device": (f'{TO_DIRECTORY} ln -s /dev/zero "$file"', "is no regular file"),
    "fifty gigabytes": (
        f'{TO_DIRECTORY} truncate -s 50G "$file"; chown ops "$file"', "more than a megabyte",
    ),
    "a trailing comma": (
        f"""{TO_DIRECTORY} echo '{{"auths":{{"other.example":{{"auth":"eDp5"}},}}}}' >"$file"
        chown ops "$file" """,
        "is not valid JSON: line 1, column",
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_an_account_plants_is_its_own_affair(homes, run, attack):
    script, words = ATTACKS[attack]
    plant(homes, script)
    before = roots(homes)
    planted = {
        name: host.read("stat -L /home/ops/.[dc]o*/* 2>&1 | grep -v Access")
        for name, host in homes.items()
    }
    done = run("apply", "--yes", "--no-smoke")
    assert done.returncode == 1
    for name, host in homes.items():
        assert FILES[name] in told(done) or "/etc/cron.d/mine" in told(done)
        assert roots({name: host})[name] == before[name]
        assert host.read(HOMES) == planted[name]
    assert words in told(done)


def test_what_stands_there_is_kept(homes, run):
    """An own file behind a link, one of many logins, and a login that is far too long."""
    other = {"auths": {"other.example": OTHER, ENDPOINT: {"auth": "QQ" * 30000}}, "x": 1}
    text = json.dumps(other, indent=1)
    plant(
        homes,
        f"""su ops -c "mkdir -p $directory ~/dotfiles && ln -s ~/dotfiles/logins $file"
        cat >/home/ops/dotfiles/logins <<'END'\n{text}\nEND
        chown ops:ops /home/ops/dotfiles/logins""",
    )
    done = run("apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for name, host in homes.items():
        assert host.read(f"readlink {FILES[name]}") == "/home/ops/dotfiles/logins"
        kept = json.loads(host.read(f"cat {FILES[name]}"))
        assert kept["auths"]["other.example"] == OTHER
        assert kept["x"] == 1
        assert host.read("stat -c '%U:%G %a' /home/ops/dotfiles/logins") == "ops:ops 600"
    assert "nothing to do" in told(run("apply", "--yes"))


def test_another_name_of_a_file_of_roots_is_left(homes, run):
    plant(homes, f'{TO_DIRECTORY} ln /srv/root/linked "$file"')
    before = {
        name: host.read("md5sum /srv/root/linked; stat -c %U:%a /srv/root/linked")
        for name, host in homes.items()
    }
    assert run("apply", "--yes", "--no-smoke").returncode == 0
    for name, host in homes.items():
        assert host.read(LINKED) == before[name]
        assert host.read(f"stat -c %U:%a {FILES[name]}") == "ops:600"


def test_nothing_that_an_account_configures_runs_as_root(homes, run):
    """Plugins of the Docker client, credential helpers, contexts."""
    assert run("destroy", "--yes").returncode == 0
    ran = "/home/ops/ran"
    hostile = {
        "cliPluginsExtraDirs": ["/home/ops/plugins"],
        "currentContext": "elsewhere",
        "credHelpers": {ENDPOINT: "recorder"},
    }
    plant(
        homes,
        f"""rm -f {ran}; su ops -c 'mkdir -p ~/plugins ~/.docker ~/.config/containers'
        cat >/home/ops/plugins/docker-buildx <<'END'
#!/bin/sh
echo "plugin $(id -un)" >>{ran}
END
        cat >/usr/local/bin/docker-credential-recorder <<'END'
#!/bin/sh
echo "$1 $(id -un) $HOME $(readlink /proc/self/fd/9)." >>{ran}
case $1 in
  store) cat >/home/ops/stored ;;
  get) read -r key; [ "$key" = {ENDPOINT} ] && cat /home/ops/stored ;;
  erase) read -r key; rm /home/ops/stored ;;
esac
END
        chmod 755 /home/ops/plugins/docker-buildx /usr/local/bin/docker-credential-recorder
        echo '{json.dumps(hostile)}' >"$file"; chown ops "$file" """,
    )
    done = run("apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    doctor = run("doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    for host in homes.values():
        lines = set(host.read(f"cat {ran}").splitlines())
        assert lines == {f"{verb} ops /home/ops ." for verb in ("store", "get")}
        assert host.read("stat -c %U:%a /home/ops/stored") == "ops:600"
    assert "nothing to do" in told(run("apply", "--yes"))
    assert run("destroy", "--yes").returncode == 0
    for host in homes.values():
        assert "erase ops /home/ops" in host.read(f"cat {ran}")
        assert host.run("test -e /home/ops/stored").returncode == 1


def test_a_rollback_follows_no_link(homes, run):
    """The state that is put back is put back as the account, or not at all."""
    plant(homes, f"""{TO_DIRECTORY} echo '{{"x": "before"}}' >"$file"; chown ops:ops "$file" """)
    assert run("apply", "--yes", "--no-smoke").returncode == 0
    plant(homes, 'mv "$top" /home/ops/moved; ln -s /srv/root/open "$top"')
    before = roots(homes)
    done = run("rollback", "--yes")
    assert roots(homes) == before
    assert "was not put back" in told(done)
    for host in homes.values():
        host.read("rm -rf /home/ops/moved")


def test_a_rollback_gives_an_account_its_file_back(homes, run):
    text = '{"x":   "before" }'
    plant(
        homes,
        f"""{TO_DIRECTORY} printf '{text}' >"$file"; chown ops:ops "$file"; chmod 640 "$file" """,
    )
    assert run("apply", "--yes", "--no-smoke").returncode == 0
    # Its smoke test finds that the login is gone, which the fleet file still declares.
    assert "was not put back" not in told(run("rollback", "--yes"))
    for name, host in homes.items():
        assert (
            host.read(f"cat {FILES[name]}; stat -c ' %U:%G %a' {FILES[name]}")
            == f"{text} ops:ops 640"
        )


NO_OVERRIDE = "CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_CHOWN"


def test_homes_that_root_may_not_enter(homes, run):
    """As on NFS with root_squash: sshd, and all that it starts, has no right over others' files."""
    for host in homes.values():
        host.read(
            "chmod 700 /home/ops; mkdir -p /etc/systemd/system/ssh.service.d; "
            f"printf '[Service]\\nCapabilityBoundingSet=~{NO_OVERRIDE}\\n' "
            ">/etc/systemd/system/ssh.service.d/squash.conf; "
            "systemctl daemon-reload; systemctl restart ssh"
        )
    try:
        done = run("apply", "--yes", "--no-smoke")
        assert done.returncode == 0, done.stdout + done.stderr
        for name, host in homes.items():
            assert host.read(f"stat -c %U:%a {FILES[name]}") == "ops:600"
        assert "nothing to do" in told(run("apply", "--yes"))
        assert run("smoke", "--limit", "client1").returncode == 0
        assert "was not put back" not in told(run("rollback", "--yes"))
        for name, host in homes.items():
            assert host.run(f"test -e {FILES[name]}").returncode == 1
    finally:
        for host in homes.values():
            host.read(
                "rm /etc/systemd/system/ssh.service.d/squash.conf; "
                "systemctl daemon-reload; systemctl restart ssh"
            )


def test_destroy_takes_the_logins_out(homes, run):
    text = '{"auths": {"other.example": {"auth": "b3RoZXI6eA=="}}}'
    plant(homes, f"""{TO_DIRECTORY} printf '%s' '{text}' >"$file"; chown ops:ops "$file" """)
    assert run("apply", "--yes", "--no-smoke").returncode == 0
    done = run("destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for name, host in homes.items():
        assert host.read(f"cat {FILES[name]}") == text
