"""Every command of every how-to is run as it stands there, or another test is named that runs it.

A page is tried from its top to its end: its own fleet file, its commands in their order, at a
terminal where each question is answered with yes. Three hosts stand for those that pages name.
A page or a command that comes new is run without a word here; EXCEPT says what is special.
"""

import getpass
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

import guides
from hosts import ROOT
from regfleet.rehearse.twin import HostSpec
from workers import SOAK

pytestmark = pytest.mark.long

ROLES = {
    "reg": "reg1.example.com reg1.internal",
    "build": "build01.example.com build001.example.com build1.example.com build01.internal",
    "spare": "north1.example.com build007.example.com build07.example.com web1.example.com",
}
NAMES = {"reg": "registry.example.com registry.internal", "spare": "north.example.com"}
# For pages whose commands stand without a fleet file.
STANDARD = """
version = 1
name = "acme"

[registry.main]
hosts = ["reg1.example.com"]
endpoint = "registry.example.com:5000"
users.ci = { password = "generate" }

[client.build]
hosts = ["build01.example.com", "build07.example.com"]
registries = ["main"]
login = { main = "ci" }
"""
SECRETS = {
    "CI_PASSWORD": "ci",
    "BOB_PASSWORD": "bob",
    "PROXY_PASSWORD": "px",
    "BACKUP_KEY": "correct horse battery staple",
}
CLEAN = """
docker ps -aq | xargs -r docker rm -f -v >/dev/null
rm -rf /var/lib/regfleet /var/lib/registry* /etc/regfleet /etc/docker/certs.d /root/.docker /srv/*
rm -f /etc/systemd/system/regfleet-* /etc/systemd/system/*/regfleet-*
proxied=$(ls -d /etc/systemd/system/docker.service.d 2>/dev/null)
rm -rf /etc/systemd/system/docker.service.d /zzyyuse /mnt/backup/*
[ ! -e /tmp/hosts.kept ] || { cat /tmp/hosts.kept >/etc/hosts; rm /tmp/hosts.kept; }
changed=$(cat /etc/docker/daemon.json 2>/dev/null)
rm -f /etc/docker/daemon.json
systemctl daemon-reload
[ -z "$proxied" ] || systemctl restart docker
[ -z "$changed" ] || systemctl reload docker
"""


@dataclass
class World:
    """What a page is tried in: its folder, the hosts, the text of its fleet file."""

    place: object
    hosts: dict
    text: str = ""

    def password(self, user):
        return (self.place / f".regfleet/acme/passwords/main/{user}").read_text().strip()

    def push(self, *names, image="busybox:latest"):
        """On the registry's host, by the loopback address: Docker checks no certificate there."""
        login = "docker login -u ci --password-stdin 127.0.0.1:5000"
        reg = self.hosts["reg"]
        done = reg.run(login, stdin=self.password("ci"))
        assert done.returncode == 0, done.stderr
        for name in (f"127.0.0.1:5000/{each}" for each in names):
            reg.read(f"docker tag {image} {name}; docker push -q {name}; docker rmi {name}")
        reg.read("docker logout 127.0.0.1:5000")


@dataclass(frozen=True)
class Page:
    """What is special about a page. Commands are named by their keys (guides.Step).

    Attributes:
        excused: what cannot be run, with the reason.
        covered: what another test runs, which is slow: the test, FILE::NAME.
        before: what happens before a command.
        instead: another command that is run in its place: with names that this test has.
        codes: exit codes other than 0.
        fleet: what is changed in its fleet files.
        slow: the test that does the same in every run; the page itself is tried in the soak.
    """

    excused: dict[str, str] = field(default_factory=dict)
    covered: dict[str, str] = field(default_factory=dict)
    before: dict[str, Callable] = field(default_factory=dict)
    instead: dict[str, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    fleet: Callable = str
    slow: str = ""


def old_registry(world):
    old = "-p 5000:5000 -v /zzyyuse/myregistry/:/tmp/registry registry:2"
    world.hosts["reg"].read(f"docker run -d --restart always --name old {old}")


def as_new(world):
    world.hosts["reg"].read(CLEAN)


def python_there(world):
    install = "apt-get -qq update && apt-get -qq -y --no-install-recommends install python3"
    world.hosts["spare"].read(f"{install} && update-ca-certificates >/dev/null 2>&1 || true")


def archives(world):
    (world.place / "images").mkdir()
    for name, archive in SEEDS.items():
        (world.place / f"images/{name}.tar").hardlink_to(archive)


def certificate(world):
    """A company's, as own-certificate.md wants it."""
    tls = world.place / "tls"
    tls.mkdir()
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    guides.openssl(
        tls,
        *("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=Acme"),
    )
    names = "subjectAltName=DNS:registry.example.com,DNS:reg1.example.com"
    guides.openssl(
        tls,
        *("req", "-x509", *key, "-keyout", "registry.key", "-out", "registry.crt"),
        *("-days", "90", "-subj", "/CN=registry", "-CA", "ca.crt", "-CAkey", "ca.key"),
        *("-addext", "basicConstraints=CA:FALSE", "-addext", names),
    )


def inventory(world):
    """What ansible-inventory prints for the inventory of a role's user."""
    groups = {"registry": ("reg1.example.com", "reg"), "build": ("build01.example.com", "build")}
    variables = {
        name: {"ansible_host": world.hosts[role].address} for name, role in groups.values()
    }
    printed = {"_meta": {"hostvars": variables}} | {
        group: {"hosts": [name]} for group, (name, _) in groups.items()
    }
    program = world.place / "bin" / "ansible-inventory"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(printed)}'\n")
    program.chmod(0o755)


def without(*lines):
    """Lines that the page says to take out of the fleet file."""

    def change(world):
        for line in lines:
            world.text, times = re.subn(line, "", world.text, flags=re.MULTILINE)
            assert times, line

    return change


def with_(before, line):
    """A line that comes into the fleet file."""

    def change(world):
        assert before in world.text
        world.text = world.text.replace(before, f"{line}\n{before}", 1)

    return change


def left(world):
    """A host that was there a run ago, and is not in the fleet file any more."""
    now = world.text
    world.text = now.replace("build001.example.com", "build007.example.com")
    world.text = world.text.replace(world.hosts["build"].address, world.hosts["spare"].address)
    apply(world)
    world.text = now


def both(*changes):
    def change(world):
        for each in changes:
            each(world)

    return change


def old_images(world):
    """Of forty days ago, more than the rule of clean-up.md keeps."""
    apply(world)
    world.push("dev/app:test-17", "dev/app:test-18", "dev/app:test-19")
    world.hosts["reg"].read(
        "find /var/lib/registry/docker/registry/v2/repositories/dev -name link"
        " -exec touch -d '40 days ago' {} +"
    )


def without_state(world):
    shutil.rmtree(world.place / ".regfleet")


def lost(world):
    """The machine that ran regfleet is gone; the fleet file has the new host."""
    without_state(world)
    world.text = world.text.replace("reg1.example.com", "reg2.example.com")
    world.text = world.text.replace(world.hosts["reg"].address, world.hosts["spare"].address)


def moved(world):
    """The registry's name leads to the new host."""
    spare = world.hosts["spare"].address
    world.hosts["build"].read(
        f"cp /etc/hosts /tmp/hosts.kept; echo {spare} registry.example.com >/tmp/hosts;"
        " grep -v registry.example.com /etc/hosts >>/tmp/hosts; cat /tmp/hosts >/etc/hosts"
    )


def old_registry_of_a_role(world):
    old = "-p 5000:5000 -v /srv/registry:/var/lib/registry registry:2"
    world.hosts["reg"].read(f"docker run -d --restart always --name registry {old}")


def staged(world):
    apply(world)
    world.push("staging/web:1.2")
    world.push("prod/web:1.2", image="registry:2")
    program = world.place / "bin" / "cosign"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)


def apply(world):
    code, said = world.run("regfleet apply fleet.toml --yes --no-smoke")
    assert code == 0, said


def pushed(*images):
    def push(world):
        apply(world)
        world.push(*images)

    return push


USER = getpass.getuser()
UNPACK = """umask 077; printf '%s' "$REGFLEET_STATE" | base64 -d | tar -xzf - --no-same-owner"""
IMPORT = "regfleet import reg1.example.com --user root --output imported.toml"
PLAN, APPLY = "regfleet plan fleet.toml", "regfleet apply fleet.toml"
INTERNET = "needs the Internet"
VIRTUAL = "needs virtual machines"
SET_UP = "test_it_is_set_up_and_proven_and_the_second_run_is_empty"
VAGRANT_APPLY = "test_apply_proves_the_fleet_and_then_finds_nothing_to_do"
VAGRANT_INVENTORY = "test_the_output_of_ssh_config_makes_the_same_inventory"
VAGRANT_PYINFRA = "test_pyinfra_alone_finds_nothing_to_do_either"
EXCEPT: dict[str, Page] = {
    "add-many-clients": Page(
        slow="tests/fleet/test_spine.py::test_a_host_that_left_the_file_is_told_and_taken_out",
        instead={
            "ssh-keyscan build{001..100}.example.com reg1.example.com > known_hosts": (
                "ssh-keyscan {build} {spare} {reg} > known_hosts"
            )
        },
        before={
            f"{APPLY} --prune": without(r', \{ name = "build007[^}]*\}'),
            f"{APPLY} --forget build007.example.com": left,
        },
    ),
    "adopt": Page(
        slow="tests/fleet/test_adopt.py::test_the_example_is_adopted_with_its_images_and_comes_back",
        before={PLAN: old_registry, IMPORT: both(as_new, old_registry)},
        codes={PLAN: 1},
        instead={
            IMPORT: (
                "regfleet import {reg} --user root --output imported.toml"
                " --key {key} --known-hosts {known_hosts}"
            )
        },
    ),
    "air-gap": Page(
        excused={
            f"docker pull {image} && docker save {image} -o images/{name}.tar": INTERNET
            for image, name in (("registry:2", "registry"), ("busybox:latest", "busybox"))
        }
        | {
            "pip wheel --wheel-dir wheels .": INTERNET,
            "pip install --no-index --find-links wheels regfleet": "needs the wheels",
        },
        before={"regfleet validate fleet.toml": archives},
    ),
    "ci": Page(
        codes={f"{PLAN} --no-secrets --detailed-exitcode": 3},
        before={
            f"{PLAN} --json --diff > plan.json": with_("login =", "mirrors = ['https://m.test']")
        },
    ),
    "clean-up": Page(
        slow="tests/fleet/test_collection.py::test_what_no_tag_leads_to_goes_and_nothing_else",
        fleet=lambda text: text.replace("keep_last = 10", "keep_last = 1"),
        before={
            "regfleet delete fleet.toml main/team/app:1.0": pushed("team/app:1.0", "team/app:1.1"),
            "regfleet prune fleet.toml --dry-run": old_images,
        },
    ),
    "disaster-drill": Page(
        slow="tests/fleet/test_backup.py::test_the_host_is_gone_with_its_disk",
        before={
            "regfleet backup fleet.toml": pushed("team/app:1.0"),
            "regfleet restore fleet.toml --state": lost,
            f"{APPLY} --forget reg1.example.com": moved,
        },
        instead={
            "regfleet restore fleet.toml main --at 11": "regfleet restore fleet.toml main --at 1"
        },
    ),
    "editor": Page(excused={"taplo lint fleet.toml": "needs a program that Debian has not"}),
    "hosts-from-elsewhere": Page(before={"regfleet validate fleet.toml": inventory}),
    "http-proxy": Page(
        slow="tests/fleet/test_proxy.py::test_every_engine_pulls_through_the_proxy",
    ),
    "insecure-to-tls": Page(
        before={PLAN: both(apply, without(r'^tls = \{ source = "none" \}\n'))},
    ),
    "keep-the-state": Page(
        before={f"{APPLY} --new-identity": both(apply, without_state)},
        instead={
            UNPACK: (
                f"REGFLEET_STATE=$(tar -czf - .regfleet | base64 -w 0); rm -r .regfleet; {UNPACK}"
            )
        },
    ),
    "kubernetes": Page(
        fleet=lambda text: text.split("[client")[0],
        covered=dict.fromkeys(
            (PLAN, APPLY),
            "tests/fleet/test_containerd.py::test_cri_pulls_with_the_login_and_by_the_mirror",
        ),
        excused={
            "kubectl create secret generic registry --type=kubernetes.io/dockerconfigjson"
            " --from-file=.dockerconfigjson=login.json": "needs a cluster"
        },
        before={"regfleet credentials fleet.toml main --user ci --output login.json": apply},
    ),
    "leave-ansible": Page(before={f"{PLAN} --diff": both(old_registry_of_a_role, inventory)}),
    # Nothing has been proven yet.
    "monitor": Page(
        before={"regfleet status fleet.toml --metrics regfleet.prom": apply},
        codes={"regfleet status fleet.toml --metrics regfleet.prom": 1},
    ),
    "own-certificate": Page(before={"regfleet validate fleet.toml": certificate}),
    "pull-through-cache": Page(
        covered={
            APPLY: "tests/fleet/test_variants.py::test_the_mirror_serves_what_its_upstream_has",
            f"{APPLY} (2)": (
                "tests/fleet/test_upstream.py::test_a_cache_of_each_runtime_logs_in_to_its_upstream"
            ),
            f"{APPLY} (3)": (
                "tests/fleet/test_cache_http_proxy.py"
                "::test_a_cache_of_each_runtime_reaches_its_upstream_by_the_proxy"
            ),
            f"{APPLY} (4)": (
                "tests/fleet/test_mirrors.py"
                "::test_images_of_other_registries_come_through_their_mirrors"
            ),
        },
    ),
    "when-it-fails": Page(before={"regfleet doctor fleet.toml": apply}),
    # What has not run yet wants attention.
    "branch-offices": Page(
        slow="tests/fleet/test_replication.py::test_a_copy_on_the_targets_host",
        before={APPLY: python_there},
        codes={"regfleet status fleet.toml": 1},
    ),
    "reach-hosts": Page(
        fleet=lambda text: text.replace('"10m"', '"5s"'),
        instead={
            "ssh-keyscan -t rsa build1.example.com >> known_hosts": (
                "ssh-keyscan -t ed25519 {build} >> known_hosts"
            ),
            "eval $(ssh-agent)": "eval $(ssh-agent) && kill $SSH_AGENT_PID",
            "ssh-add ~/.ssh/work": "ssh-agent ssh-add {key}",
        },
        covered={
            f"{APPLY} --ask-sudo-password": (
                "tests/fleet/test_sudo_password.py::test_it_is_asked_for_once_without_echo"
            )
        },
    ),
    "rehearse": Page(
        covered={
            f"regfleet rehearse fleet.toml{options}": f"tests/fleet/test_rehearse.py::{test}"
            for options, test in (
                ("", "test_ctrl_c_takes_everything_down"),
                (" --keep", "test_it_goes_well"),
                (" --down", "test_what_was_kept_is_taken_down"),
                (" --json", "test_it_goes_well"),
                (" --per-group 5", "test_it_goes_well"),
                (" --suite trixie", "test_it_goes_well"),
                (
                    " --suite sid --suite client_build=trixie --suite reg1=bookworm",
                    "test_it_goes_well",
                ),
            )
        },
        excused={
            "regfleet rehearse fleet.toml --per-group 0 --limit client_build": "builds 20 hosts",
            "docker rmi $(docker images --quiet regfleet-host) && rm -r /var/cache/regfleet": (
                "removes the images that other tests use"
            ),
        },
    ),
    "roles": Page(slow="tests/fleet/test_gateway.py::test_it_gets_projects_and_is_hardly_away"),
    "rootless": Page(
        covered={
            **dict.fromkeys((PLAN, APPLY), f"tests/fleet/test_rootless.py::{SET_UP}"),
            "podman login --get-login registry.example.com:5000": (
                "tests/fleet/test_podman.py::test_an_account_of_its_own_is_logged_in"
            ),
        },
        excused=dict.fromkeys(
            (
                "sudo loginctl enable-linger alice",
                "dockerd-rootless-setuptool.sh install",
                "systemctl --user enable docker",
            ),
            "tests/rootless.py takes these lines from the page, and runs them",
        ),
    ),
    "rotate-a-password": Page(
        slow="tests/fleet/test_spine.py::test_a_changed_password_is_rotated_everywhere",
        before={
            "rm .regfleet/acme/passwords/main/ci": apply,
            f"{APPLY} (2)": without(r"^ci = .*\n"),
        },
    ),
    "rotate-the-ca": Page(
        before={
            "rm .regfleet/acme/ca.key .regfleet/acme/ca.crt": apply,
            f"{APPLY} (2)": without(r"^\[registry.main.tls\]\n(.+\n)+"),
        },
    ),
    "s3": Page(
        covered=dict.fromkeys(
            (PLAN, APPLY),
            "tests/fleet/test_s3.py::test_images_are_in_the_bucket_whatever_runs_the_registry",
        )
    ),
    "several-hosts": Page(
        covered=dict.fromkeys(
            (PLAN, APPLY),
            "tests/fleet/test_several_hosts.py"
            "::test_both_serve_the_same_images_and_are_changed_one_by_one",
        )
    ),
    "stages": Page(
        slow="tests/fleet/test_promotion.py::test_an_image_goes_to_production_by_mounts_and_comes_back",
        fleet=lambda text: text.replace('min_age = "24h"\n', "").replace("alice", USER),
        before={"regfleet promote fleet.toml production web:1.2 --dry-run": staged},
    ),
    "uninstall": Page(
        slow="tests/fleet/test_spine.py::test_destroy_leaves_what_was_there",
        before={
            "regfleet destroy fleet.toml": apply,
            "regfleet destroy fleet.toml --delete-data": apply,
            "regfleet destroy fleet.toml --limit build07.example.com": apply,
            f"{APPLY} --prune": both(apply, without(r', \{ name = "build07[^}]*\}')),
        },
    ),
    "vagrant": Page(
        excused={
            "python3 -m venv .venv": "the tests run in such a one",
            ".venv/bin/pip install --require-hashes -r requirements-run.lock": INTERNET,
            ".venv/bin/pip install --no-deps --no-build-isolation .": INTERNET,
            ". .venv/bin/activate": "the tests run in such a one",
            **dict.fromkeys(
                ("cd vagrant", "cd vagrant (2)", "cd vagrant (3)", "cd ..", "cd inventories"),
                "goes to the folder of the next command",
            ),
            'vagrant ssh bookworm1 -c "sudo docker info"': "is Vagrant's own",
            "REGFLEET_BOOKWORM=3 REGFLEET_SID=0 vagrant up": "more of the hosts that the test has",
            "cp inventories/vagrant.toml inventories/mine.toml": "is cp",
            "regfleet plan inventories/mine.toml": "is the fleet of the commands before",
            "VAGRANT_CWD=../vagrant pyinfra @vagrant/bookworm1 exec -- docker version": (
                "is pyinfra's own"
            ),
            "vagrant up --provider=libvirt": VIRTUAL,
            "vagrant up --provider=virtualbox": VIRTUAL,
        },
        covered={
            key: f"tests/fleet/test_vagrant.py::{test}"
            for key, test in (
                ("vagrant up", "test_an_inventory_is_written"),
                ("vagrant destroy -f", "test_destroy_leaves_nothing"),
                ("vagrant ssh-config | python3 inventory.py", VAGRANT_INVENTORY),
                ("regfleet apply inventories/vagrant.toml", VAGRANT_APPLY),
                ("regfleet apply inventories/vagrant.toml (2)", VAGRANT_APPLY),
                ("pyinfra inventories/vagrant.py deploys/site.py -y", VAGRANT_PYINFRA),
                ("VAGRANT_CWD=../vagrant pyinfra @vagrant ../deploys/site.py -y", VAGRANT_PYINFRA),
            )
        },
    ),
}


@pytest.fixture(scope="module")
def twin(boot_for_module, seeds):
    specs = []
    for name, played in ROLES.items():
        aliases = f"{played} {NAMES.get(name, '')}".split()
        specs.append(HostSpec(name, aliases=tuple(aliases), volumes=(("kept", "/mnt/backup"),)))
    twin = boot_for_module(*specs)
    for host in twin.hosts.values():
        for archive in (seeds.registry, seeds.busybox, seeds.nginx):
            host.copy_in(archive, "/root/image.tar")
            host.read("docker load -q -i /root/image.tar")
    SEEDS.update(registry=seeds.registry, busybox=seeds.busybox)
    return twin


SEEDS: dict[str, object] = {}


@pytest.mark.parametrize("name", guides.pages())
def test_its_commands(name, twin, tmp_path):
    page = EXCEPT.get(name, Page())
    if page.slow and not SOAK:
        pytest.skip(f"in the soak; otherwise {page.slow}")
    roles = {
        alias: twin.hosts[host].address
        for host, played in ROLES.items()
        for alias in played.split()
    }
    head = f'[ssh]\nuser = "root"\nkey = "{twin.key}"\nknown_hosts = "{twin.known_hosts}"\n'
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "regfleet"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m regfleet "$@"\n')
    program.chmod(0o755)
    environment = {
        **{key: value for key, value in os.environ.items() if key != "REGFLEET_NEW_IDENTITY"},
        **SECRETS,
        "PYTHONPATH": str(ROOT / "src"),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "TERM": "dumb",
        "COLUMNS": "200",
    }
    named = " ".join(step.line for step in guides.pages()[name])
    world = World(tmp_path, twin.hosts)
    file = tmp_path / "fleet.toml"

    def run(line):
        file.write_text(world.text)
        return guides.run(line, tmp_path, environment)

    world.run = run
    before = None
    try:
        for step in guides.pages()[name]:
            if step.key in (page.excused.keys() | page.covered.keys()):
                continue
            if step.fleet != before:
                before = step.fleet
                world.text = guides.on(page.fleet(step.fleet or STANDARD), roles, head, named)
            if step.key in page.before:
                page.before[step.key](world)
            line = page.instead.get(step.key, step.line)
            for role, host in twin.hosts.items():
                line = line.replace(f"{{{role}}}", host.address)
            line = line.replace("{key}", str(twin.key))
            code, said = run(line.replace("{known_hosts}", str(twin.known_hosts)))
            assert code == page.codes.get(step.key, 0), f"$ {line}\n{said}"
    finally:
        for host in twin.hosts.values():
            host.run(CLEAN)


@pytest.mark.parametrize("name", [name for name, page in EXCEPT.items() if page.slow])
def test_tests_that_stand_for_slow_pages_are_there(name):
    file, _, test = EXCEPT[name].slow.partition("::")
    assert f"def {test}(" in (ROOT / file).read_text()


def test_exceptions_are_of_commands_that_are_there():
    """So that none stays when its command goes, and none holds for more than it says."""
    pages = guides.pages()
    assert set(EXCEPT) <= set(pages)
    for name, page in EXCEPT.items():
        keys = {step.key for step in pages[name]}
        named = [*page.excused, *page.covered, *page.before, *page.instead, *page.codes]
        assert set(named) <= keys, name
        assert not (page.excused.keys() & page.covered.keys()), name


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, page in EXCEPT.items() for key in page.covered]
)
def test_tests_that_are_named_run_the_command(name, key):
    file, _, test = EXCEPT[name].covered[key].partition("::")
    text = (ROOT / file).read_text()
    assert f"def {test}(" in text
    step = next(step for step in guides.pages()[name] if step.key == key)
    words = [word for word in step.line.split() if re.fullmatch(r"[a-z][a-z-]+", word)]
    program = words[0] if words[0] != "regfleet" else words[1]
    assert program in (*text.split('"'), "plan", "vagrant")  # an apply plans
    assert all(option in text for option in re.findall(r"--[a-z-]+", step.line))
