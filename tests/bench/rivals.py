"""The tools that are measured side by side, each as a command over the same hosts.

`regfleet` and its rivals: OpenSSH doing nothing, plain pyinfra operations, an Ansible playbook.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import timing
from full_hosts import Hosts

from regfleet.rehearse.images import Progress

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RIVALS = HERE / "rivals"
ANSIBLE = "ansible-core>=2.17,<3"
FORKS = 50

ANSIBLE_CFG = """\
[defaults]
inventory = inventory.json
forks = {forks}
host_key_checking = true
interpreter_python = /usr/bin/python3
retry_files_enabled = false
[ssh_connection]
pipelining = true
ssh_args = -F {ssh_config} -o ControlMaster=auto -o ControlPersist=30s
control_path_dir = {sockets}
"""


class NotTheSameWorkError(Exception):
    """A tool changed something where nothing was to be done, or left something undone."""


def regfleet(hosts: Hosts, *options: str, file: Path | None = None) -> timing.Timing:
    """`regfleet apply --yes --json`; `file` is the fleet file, if not the hosts' own one."""
    named = file or hosts.fleet_file
    return timing.timed(
        [sys.executable, "-m", "regfleet", "apply", named, "--yes", "--json", *options],
        environment={"PYTHONPATH": str(ROOT / "src")},
    )


def regfleet_kept(hosts: Hosts) -> timing.Timing:
    """As `regfleet_noop`, over connections that the run before has kept (`control_persist`)."""
    file = hosts.fleet_file.with_name("kept.toml")  # the same fleet, and state directory
    declared = hosts.fleet_file.read_text()
    file.write_text(declared.replace("[ssh]\n", '[ssh]\ncontrol_persist = "30m"\n', 1))
    return regfleet_noop(hosts, file)


def regfleet_noop(hosts: Hosts, file: Path | None = None) -> timing.Timing:
    """As `regfleet`, and nothing was to be done, nor to be proven."""
    took = regfleet(hosts, file=file)
    document = json.loads(took.output[took.output.index("{") : took.output.rindex("}") + 1])
    found = {name: host["status"] for name, host in document["hosts"].items()}
    if found != dict.fromkeys(hosts.names, "unchanged"):
        raise NotTheSameWorkError(f"regfleet: {found}")
    if any(document["totals"]["checks"].values()):
        raise NotTheSameWorkError(f"regfleet had a smoke test to do: {took.output[-2000:]}")
    return took


def ssh(hosts: Hosts, *options: str) -> timing.Timing:
    """`true` on each host by OpenSSH, 32 at the same time: the least that going there costs."""
    return timing.timed(
        [
            *("xargs", "-P", "32", "-I", "{}"),
            *("ssh", "-F", hosts.twin.ssh_config, "-o", "BatchMode=yes", *options, "{}", "true"),
        ],
        stdin="".join(f"{name}\n" for name in hosts.names),
    )


def ssh_kept(hosts: Hosts) -> timing.Timing:
    """As `ssh`, over connections that the run before has kept (ControlPersist)."""
    sockets = Path(tempfile.gettempdir()) / f"bench-{os.getpid()}"
    sockets.mkdir(mode=0o700, exist_ok=True)
    kept = ("ControlMaster=auto", f"ControlPath={sockets}/%C", "ControlPersist=30m")
    return ssh(hosts, *(part for option in kept for part in ("-o", option)))


class Pyinfra:
    """Plain pyinfra operations, by its own command line."""

    def __init__(self, hosts: Hosts, wanted: Path) -> None:
        known = hosts.directory / "pyinfra-hosts.json"
        addresses = {name: host.address for name, host in hosts.twin.hosts.items()}
        known.write_text(
            json.dumps(
                {
                    "key": str(hosts.twin.key),
                    "known_hosts": str(hosts.twin.known_hosts),
                    "hosts": addresses,
                }
            )
        )
        self._environment = {"BENCH_HOSTS": str(known), "BENCH_WANTED": str(wanted)}

    def apply(self) -> timing.Timing:
        """One run."""
        return timing.timed(
            [
                *(sys.executable, "-m", "pyinfra"),
                *(RIVALS / "pyinfra_inventory.py", RIVALS / "pyinfra_deploy.py", "--yes"),
            ],
            environment=self._environment,
        )

    def noop(self) -> timing.Timing:
        """One run that finds nothing to do."""
        took = self.apply()
        # Operations, those that changed something, errors, those that did not.
        if not re.search(r"Grand total\s+\d+\s+-\s+-\s", took.output):
            raise NotTheSameWorkError(f"pyinfra:\n{took.output[-2000:]}")
        return took


class Ansible:
    """An Ansible playbook, with pipelining, kept connections and 50 forks.

    Args:
        place: gets configuration and inventory.
    """

    def __init__(self, hosts: Hosts, wanted: Path, program: Path, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self._place, self._program, self._hosts = place, program, hosts
        members = {
            name: {"ansible_user": "root", **variables}
            for name, variables in json.loads(wanted.read_text()).items()
        }
        registries = {name: {} for name, variables in members.items() if variables["container"]}
        inventory = {"all": {"hosts": members, "children": {"registries": {"hosts": registries}}}}
        file = place / "inventory.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(inventory, indent=2))

    def apply(self) -> timing.Timing:
        """One run; connections of an earlier one are not used."""
        # Short: a socket's path has 107 bytes (unix(7)).
        with tempfile.TemporaryDirectory(prefix="ab") as sockets:
            configuration = self._place / "ansible.cfg"
            configuration.write_text(
                ANSIBLE_CFG.format(
                    forks=FORKS, ssh_config=self._hosts.twin.ssh_config, sockets=sockets
                )
            )
            took = timing.timed(
                [self._program, RIVALS / "playbook.yml"],
                environment={"ANSIBLE_CONFIG": str(configuration), "ANSIBLE_NOCOLOR": "1"},
                cwd=self._place,
            )
            self._disconnect(Path(sockets))
        return took

    def noop(self) -> timing.Timing:
        """One run that finds nothing to do."""
        took = self.apply()
        changed = re.findall(r"changed=(\d+)", took.output)
        if len(changed) != len(self._hosts.names) or set(changed) != {"0"}:
            raise NotTheSameWorkError(f"Ansible:\n{took.output[-2000:]}")
        return took

    def _disconnect(self, sockets: Path) -> None:
        for path in sockets.iterdir():
            subprocess.run(
                ["ssh", "-o", f"ControlPath={path}", "-O", "exit", "any"],
                capture_output=True,
                check=False,
            )


def ansible_program(build: Path, say: Progress) -> Path:
    """The path of ansible-playbook, in an environment of its own under `build`."""
    place = build / "ansible"
    program = place / "bin" / "ansible-playbook"
    if not program.exists():
        say(f"installing {ANSIBLE}")
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        subprocess.run(
            [place / "bin" / "pip", "install", "--quiet", ANSIBLE], check=True, env=environment
        )
    return program


# On each host: says every way in which it is not as the fleet file wants it.
STATE = """
say() { echo "$*"; }
ca=/etc/docker/certs.d/@ENDPOINT@/ca.crt
for directory in /etc/docker /etc/docker/certs.d "${ca%/*}"; do
  [ "$(stat -c '%a %u' "$directory")" = '755 0' ] || say "mode of $directory"
done
[ "$(stat -c '%a %u' "$ca")" = '444 0' ] || say "mode of $ca"
[ "$(sha256sum <"$ca" | cut -d' ' -f1)" = @CA@ ] || say 'content of the CA'
systemctl is-active --quiet docker || say 'docker is not active'
live=$(docker info --format '{{.LiveRestoreEnabled}} {{.RegistryConfig.Mirrors}}')
[ "$live" = 'true [https://mirror.example.com/]' ] || say "live configuration: $live"
grep -q '"auth": "@AUTH@"' /root/.docker/config.json || say login
"""
REGISTRY_STATE = """
[ "$(docker inspect --format '{{.State.Running}}' @CONTAINER@)" = true ] || say 'no registry'
format='{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}'
format="$format {{len .HostConfig.LogConfig.Config}}"
confined=$(docker inspect --format "$format" @CONTAINER@)
[ "$confined" = 'true [ALL] [no-new-privileges] 2' ] || say "not confined: $confined"
"""


def check(hosts: Hosts, wanted: Path) -> None:
    """See, out of band, that each host is as wanted.

    Raises:
        NotTheSameWorkError: with what is not.
    """
    known = json.loads(wanted.read_text())

    def script(name: str) -> str:
        want = known[name]
        ca = next(each["source"] for each in want["files"] if each["path"].endswith("/ca.crt"))
        digest = hashlib.sha256(Path(ca).read_bytes()).hexdigest()
        text = STATE + (REGISTRY_STATE if want["container"] else "")
        for mark, value in (
            ("@CA@", digest),
            ("@AUTH@", want["auth"]),
            ("@ENDPOINT@", want["endpoint"]),
            ("@CONTAINER@", want["container"].get("name", "")),
        ):
            text = text.replace(mark, value)
        return text

    if wrong := {name: said for name, said in hosts.everywhere(script).items() if said}:
        raise NotTheSameWorkError(f"not as wanted: {wrong}")


# What an operator's slips leave behind, one of each kind that the tools look for.
SPOIL = """
chmod 0700 /etc/docker/certs.d
chmod 0644 /etc/docker/certs.d/*/ca.crt
for ca in /etc/docker/certs.d/*/ca.crt; do echo changed >>"$ca"; done
containers=$(docker ps --quiet)
[ -z "$containers" ] || docker stop -t 1 $containers
printf '{}' >/etc/docker/daemon.json
kill -HUP "$(cat /var/run/docker.pid)"
rm -f /root/.docker/config.json
"""


def spoil(hosts: Hosts) -> None:
    """Spoil all that `check` sees: a tool that mends it has looked at it."""
    hosts.everywhere(SPOIL)
