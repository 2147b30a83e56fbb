"""`make bench`: regfleet and its rivals side by side, in one run, on the same hosts.

    python tests/bench/bench.py [--hosts 30] [--repeat 3] [--only noop] ...

Prints what was measured and the goals, and writes `speed.json` and `speed.svg` into `.build/bench`,
or with `--publish` into docs/. Nothing here fails because something was slow; a tool that did not
do the same work as the others does.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import figures
import full_hosts
import impact
import quiet
import rivals
import scale

from regfleet.rehearse import engine

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ("first", "clients", "scale", "impact", "noop")
Tools = dict[str, Callable[[], Any]]


def say(line: str) -> None:
    """A line of progress."""
    click.echo(line, err=True)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    hosts: int
    repeat: int
    scale: Sequence[int]
    only: Sequence[str]
    without: Sequence[str]
    build: Path
    publish: bool


@click.command()
@click.option("--hosts", default=30, show_default=True, help="Full hosts.")
@click.option("--repeat", default=3, show_default=True, help="Runs of each, medians are taken.")
@click.option(
    "--scale",
    multiple=True,
    type=int,
    default=(figures.SMALL, figures.LARGE),
    show_default=True,
    help="Hosts that only answer.",
)
@click.option("--only", multiple=True, type=click.Choice(SECTIONS), help="Sections; default: all.")
@click.option("--without", multiple=True, help="Rivals to leave out: ssh, pyinfra, ansible.")
@click.option("--build", type=click.Path(path_type=Path), default=ROOT / ".build")
@click.option("--publish", is_flag=True, help="Write into docs/.")
def main(**given: Any) -> None:
    """Measure regfleet and its rivals."""
    options = Options(**given)
    build = options.build.resolve()
    ran_before = engine.OwnEngine(build / "engine").pid() is not None
    found = engine.connect(build / "engine", say)
    try:
        images = full_hosts.WithPython(found.docker, build / "images", say)
        say(f"{options.hosts} hosts boot")
        hosts = full_hosts.boot(options.hosts, images, build / "bench")
        try:
            document = _measure(hosts, options)
        finally:
            hosts.twin.stop()
    finally:
        if found.own and not ran_before:
            found.own.stop()
    place = build / "bench"
    out = ROOT / "docs" if options.publish else place
    (out / "speed.json").write_text(json.dumps(document, indent=1) + "\n")
    (out / "speed.svg").write_text(figures.plot(document))
    if options.publish:
        page = out / "speed.md"
        page.write_text(figures.page(page.read_text(), document))
    click.echo(figures.table(document))
    say(f"{out / 'speed.json'}, {out / 'speed.svg'}")


def _measure(hosts: full_hosts.Hosts, options: Options) -> dict[str, Any]:
    repeat, sections = options.repeat, options.only or SECTIONS
    document: dict[str, Any] = {
        "version": 1,
        "measured": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "machine": _machine(),
        "programs": _programs(hosts),
    }
    if set(sections) - {"noop"}:
        wanted, first, noop = _tools(hosts, options)
        if "first" in sections:
            found = _first(hosts, wanted, first, repeat)
            document["first"] = {"hosts": len(hosts.names), **found}
            hosts.reset()
        if "clients" in sections:
            found = _noop(hosts, wanted, noop, repeat)
            document["clients"] = {"hosts": len(hosts.names), **found}
        if "scale" in sections:
            document["scale"] = _scale(hosts, options.scale, repeat, hosts.directory / "scale")
        if "impact" in sections:
            document["impact"] = _impact(hosts)
        hosts.reset()
    if "noop" in sections:
        sites = full_hosts.Hosts(hosts.twin, hosts.directory / "sites", sites=True)
        sites.write()
        wanted, _, noop = _tools(sites, options)
        found = _noop(sites, wanted, noop, repeat)
        document["noop"] = {"hosts": len(sites.names), **found}
    if "ansible" not in options.without:
        version_said = _said(rivals.ansible_program(options.build.resolve(), say), "--version")
        document["programs"]["ansible-core"] = version_said.split()[2].rstrip("]")
    return document


def _tools(hosts: full_hosts.Hosts, options: Options) -> tuple[Path, Tools, Tools]:
    """What is wanted of hosts, and the tools that have shown that they bring it about.

    Returns:
        What is wanted; the tools for a first apply; those for a run with nothing to do.
    """
    say("regfleet apply, to have what the others are given")
    rivals.regfleet(hosts, "--no-smoke")
    wanted = hosts.export()
    rivals.check(hosts, wanted)
    first: Tools = {"regfleet": lambda: rivals.regfleet(hosts, "--no-smoke")}
    noop: Tools = {
        "regfleet": lambda: rivals.regfleet_noop(hosts),
        "kept": lambda: rivals.regfleet_kept(hosts),
    }
    if "ssh" not in options.without:
        noop["ssh"] = lambda: rivals.ssh(hosts)
        noop["ssh-kept"] = lambda: rivals.ssh_kept(hosts)
    if "pyinfra" not in options.without:
        pyinfra = rivals.Pyinfra(hosts, wanted)
        first["pyinfra"], noop["pyinfra"] = pyinfra.apply, pyinfra.noop
    if "ansible" not in options.without:
        program = rivals.ansible_program(options.build.resolve(), say)
        ansible = rivals.Ansible(hosts, wanted, program, hosts.directory)
        first["ansible"], noop["ansible"] = ansible.apply, ansible.noop
    for tool, apply in first.items():
        say(f"{tool} mends what was spoilt")
        rivals.spoil(hosts)
        apply()
        rivals.check(hosts, wanted)
    return wanted, first, noop


def _first(hosts: full_hosts.Hosts, wanted: Path, tools: Tools, repeat: int) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {tool: [] for tool in tools}
    others: dict[str, list[float]] = {tool: [] for tool in tools}
    for number in range(repeat):
        for tool in _rotated(tools, number):
            took, share = quiet.measured(tools[tool], hosts.twin, say, before=hosts.reset)
            rivals.check(hosts, wanted)
            say(f"first apply, {tool}: {took.seconds:.2f} s")
            seconds[tool].append(took.seconds)
            others[tool].append(share)
    return {"seconds": seconds, "others": others}


def _noop(hosts: full_hosts.Hosts, wanted: Path, tools: Tools, repeat: int) -> dict[str, Any]:
    rivals.regfleet(hosts)  # with its smoke test: a run after it has nothing to prove
    rivals.check(hosts, wanted)
    seconds: dict[str, list[float]] = {tool: [] for tool in tools}
    others: dict[str, list[float]] = {tool: [] for tool in tools}
    for tool in tools:  # the first run warms caches, here and on the hosts
        tools[tool]()
    for number in range(repeat):
        for tool in _rotated(tools, number):
            took, share = quiet.measured(tools[tool], hosts.twin, say)
            say(f"nothing to do, {tool}: {took.seconds:.2f} s")
            seconds[tool].append(took.seconds)
            others[tool].append(share)
    return {"seconds": seconds, "others": others}


def _rotated(tools: Tools, by: int) -> list[str]:
    names = list(tools)
    by %= len(names)
    return names[by:] + names[:by]


def _scale(
    hosts: full_hosts.Hosts, sizes: Sequence[int], repeat: int, place: Path
) -> list[dict[str, Any]]:
    recording = scale.record(hosts.twin, hosts.names[-1], hosts.fleet_file, hosts.body())
    rows: dict[int, dict[str, Any]] = {
        size: {"hosts": size, "seconds": [], "cpu": [], "peak_mib": [], "commands": 0}
        for size in sizes
    }
    for _ in range(repeat):
        for size, row in rows.items():
            quiet.awaited(say)
            found = scale.apply(recording, size, place)
            if found.unchanged != size:
                raise rivals.NotTheSameWorkError(f"{found.unchanged} of {size} hosts unchanged")
            took = found.timing
            say(f"{size} hosts: {took.seconds:.2f} s, {took.peak_mib:.0f} MiB, {found.counts}")
            row["seconds"].append(took.seconds)
            row["cpu"].append(took.cpu)
            row["peak_mib"].append(took.peak_mib)
            row["commands"] = found.counts["commands"]
    return list(rows.values())


def _impact(hosts: full_hosts.Hosts) -> dict[str, dict[str, Any]]:
    name = hosts.names[-1]
    host = hosts.twin.hosts[name]
    impact.start(host, hosts.twin.images.seeds().busybox)
    hosts.write("https://mirror.example.com https://another.example.com")
    found = {"regfleet": impact.during(host, lambda: rivals.regfleet(hosts, "--limit", name))}
    hosts.write()
    # Without live-restore, as engines come; it is part of the fleet file of the other sections.
    host.read("echo '{}' >/etc/docker/daemon.json; systemctl restart docker")
    impact.start(host, hosts.twin.images.seeds().busybox)
    restart = "systemctl restart docker; docker start bench-answers"
    found["restart"] = impact.during(host, lambda: host.read(restart))
    impact.stop(host)
    return {
        name: {"sent": each.sent, "lost": each.lost, "longest": round(each.longest, 4)}
        for name, each in found.items()
    }


def _machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "processor": models[0] if models else platform.machine(),
        "memory_gib": round(memory, 1),
        "load_before": os.getloadavg()[0],
    }


def _programs(hosts: full_hosts.Hosts) -> dict[str, str]:
    engine_version = hosts.twin.hosts[hosts.names[0]].read(
        "docker version -f '{{.Server.Version}}'"
    )
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    return {
        "regfleet": version("regfleet"),
        "pyinfra": version("pyinfra"),
        "paramiko": version("paramiko"),
        "python": platform.python_version(),
        "openssh": ssh.split(",")[0].strip(),
        "docker on the hosts": engine_version,
    }


def _said(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
