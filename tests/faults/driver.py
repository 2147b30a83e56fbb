"""A fleet driven without the command line: look, plan and touch, a hook at each boundary.

Programs go to hosts out of band, so that a fault costs no SSH connection; which way they come
is proved elsewhere.
"""

import json
import time
import uuid

from regfleet.desired.resolve import emptied, resolve
from regfleet.engines import ENGINES
from regfleet.fleet.load import load
from regfleet.jobs import running
from regfleet.jobs.recovery import Recovery
from regfleet.jobs.render import render as render_job
from regfleet.jobs.rollback import Rollback
from regfleet.look.parse import parse
from regfleet.materials import Materials, gather
from regfleet.run.work import Work
from regfleet.shell import frame
from regfleet.shell.command import shell_command
from regfleet.state import StateDirectory
from regfleet.touch import archive, outcome, render
from workers import SOAK

# Says every boundary; the touch goes on.
COUNT = 'echo "$1 $2" >>/run/boundaries'


def chosen(boundaries, host=0, hosts=1, thin=1):
    """The boundaries at which a host's touch is killed.

    The soak takes them all. `make test` takes the first of each step, since a step that is made
    for several files has a boundary for each of them; hosts that are alike share these.

    Args:
        thin: one step of so many, where the steps are in most parts those that another file of
            tests is killed at.
    """
    if SOAK:
        return list(boundaries)
    first = {}
    for number, step in boundaries:
        first.setdefault(step, (number, step))
    return list(first.values())[host :: hosts * thin]


def wait_at(boundary):
    """Hook: the touch waits at the first boundary of this name until /run/go is there."""
    return (
        f'[ "$2" = {boundary} ] && [ ! -e /run/waits ] && '
        "{ : >/run/waits; while [ ! -e /run/go ]; do sleep 0.1; done; }"
    )


def kill_at(number):
    """Hook: the touch is killed at this boundary, as by the kernel."""
    return f'[ "$1" -eq {number} ] && kill -9 $$'


def _mark():
    """Of one touch alone, as each has its own."""
    return f"test-{uuid.uuid4().hex}"


class OutOfBand:
    """Connections (see run/work.py) to a twin's hosts."""

    def __init__(self, twin):
        self.hosts = twin.hosts

    def look(self, name, program, mark):
        return parse(name, self.run(name, program, 60), mark)

    def run(self, name, program, seconds, _heard=None):
        command = shell_command("sh -s", sudo=False)
        return self.hosts[name].run(command, stdin=program, timeout=seconds).stdout.splitlines()

    ask_again = None  # nothing can break

    def send(self, name, image, *, load, fleet=""):
        receiving = archive.receive(image, load=load, mark="test", fleet=fleet)
        command = shell_command(receiving, sudo=False)
        text = "".join(archive.Chunks(image.archive))
        said = self.hosts[name].run(command, stdin=text, timeout=120).stdout
        assert frame.framed(said.splitlines(), "test").ended

    def tunnel(self, name, port):
        raise NotImplementedError


class Driver:
    """One fleet over one twin."""

    def __init__(self, path, twin, now=None):
        self.fleet = load(path)
        state = StateDirectory.beside(self.fleet.path, self.fleet.name)
        self.materials = gather(self.fleet, state, save=True, now=now)
        self.wanted = resolve(self.fleet, self.materials)
        self.connections = OutOfBand(twin)
        self.hosts = twin.hosts
        self.who = f"a test: regfleet, fleet {self.fleet.name}"

    def work(self, *, gone=False):
        """A fresh run; `gone` wants everything of the fleet's out."""
        if gone:
            nothing = emptied(self.fleet, delete_data=False)
            return Work(self.fleet, nothing, Materials({}, ""), self.connections)
        return Work(self.fleet, self.wanted, self.materials, self.connections)

    def plan(self, name, *, gone=False):
        return self.work(gone=gone).plan(name)

    def seen_pending(self, name):
        """Whether a change is still to be put back there."""
        work = self.work()
        work.plan(name)
        return work.seen[name].pending

    def apply(self, name, *, gone=False):
        """Look and touch: the outcome, None when there is nothing to do."""
        work = self.work(gone=gone)
        plan = work.plan(name)
        return None if plan.empty else work.touch(name, plan)

    def destroy(self, name):
        return self.apply(name, gone=True)

    def touch_with(self, name, hook, *, gone=False, spoil=""):
        """One touch with a hook at its boundaries; `spoil` is a step that ends it.

        Gives the outcome, and whether the touch lived to say it.
        """
        work = self.work(gone=gone)
        plan = work.plan(name)
        assert not plan.empty
        mark = _mark()
        if work.seen[name].pending:
            program = render_job(Recovery(), mark, self.who, self.words(name), hook)
        else:
            for image in plan.archives:
                load = "docker load -q -i" if image.engine == "docker" else ""
                new = image.reference not in work.seen[name].images
                fleet = self.fleet.name if new else ""
                self.connections.send(name, image, load=load, fleet=fleet)
            program = render.render(plan, mark, self.who, hook)
        if spoil:
            program = program.replace("\n}\ntouch_host", f"\n  step {spoil}\n}}\ntouch_host")
        lines = self.connections.run(name, program, 120)
        return outcome.parse(lines, mark)

    def roll_back(self, name, hook=":"):
        """Back to before the newest generation, with a hook at the boundaries."""
        return self.do(name, Rollback(), hook).outcome

    def words(self, name):
        """Shell words of the engines that a host has, Docker's among them."""
        return ["docker", *{ENGINES[each].shell for each in self.wanted[name].engines} - {"docker"}]

    def do(self, name, job, hook=":", seconds=120):
        """A job, with a hook at the boundaries: how it ended (`jobs.running.Ended`)."""
        mark = _mark()
        program = render_job(job, mark, self.who, self.words(name), hook)
        lines = self.connections.run(name, program, seconds)
        return running.read(job, outcome.parse(lines, mark))

    def boundaries(self, name, touch=None, **how):
        """The boundaries that a touch passes, `[(number, name)]`, by making it."""
        host = self.hosts[name]
        host.run("rm -f /run/boundaries")
        ended = (touch or self.touch_with)(name, COUNT, **how)
        lines = [line.split() for line in host.read("cat /run/boundaries").splitlines()]
        found = [(int(number), step) for number, step in lines]
        assert [number for number, _ in found] == list(range(1, len(found) + 1))
        return found, ended


TRACES = (
    "find /etc/docker /etc/regfleet /var/lib/regfleet /root/.docker /home/ops/.docker "
    "-not -name key.json -printf '%y %m %u %p\\n' 2>/dev/null | sort;"
    "find /etc/docker /etc/regfleet /root/.docker /home/ops/.docker "
    "-type f -not -name key.json 2>/dev/null | sort | xargs -r sha256sum"
)


def traces(host):
    """Everything that regfleet may write: kinds, modes, owners and digests."""
    return host.read(TRACES)


def live(host):
    """What the engine holds: the part of `docker info` that a client's change reaches."""
    said = json.loads(host.read("docker info --format '{{json .}}'"))
    found = said["RegistryConfig"]
    insecure = {name for name, each in found["IndexConfigs"].items() if not each["Secure"]}
    mirrors = found["Mirrors"] or []
    return (sorted(insecure), mirrors, said["LiveRestoreEnabled"], said["Debug"])


def text_of(host, path="/etc/docker/daemon.json"):
    """A file's bytes as text, None when it is absent."""
    done = host.run(f"cat {path}")
    return done.stdout if done.returncode == 0 else None


def await_that(host, condition, seconds=120):
    """Wait until a shell condition holds on a host."""
    deadline = time.monotonic() + seconds
    while host.run(condition).returncode != 0:
        assert time.monotonic() < deadline, f"{host.name}: never came true: {condition}"
        time.sleep(0.1)
