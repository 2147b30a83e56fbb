"""What a dockerd does to the machine's packet filter, and how it is taken back.

dockerd adds chains named DOCKER*, jumps to them, masquerading for its networks, and sets the
FORWARD policy to DROP and ip_forward to 1; it takes none of it back when it stops.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
TABLES = ("filter", "nat")


def path_with_working_iptables(directory: Path) -> str:
    """A search path where `iptables` is the kind that this kernel has.

    Where the default one fails and the older one works, `directory` gets a link to the latter.
    """
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    legacy = shutil.which("iptables-legacy", path=path)
    if _works("iptables", path) or legacy is None or not _works("iptables-legacy", path):
        return path
    directory.mkdir(parents=True, exist_ok=True)
    link = directory / "iptables"
    link.unlink(missing_ok=True)
    link.symlink_to(legacy)
    return f"{directory}:{path}"


def snapshot(path: str) -> dict[str, list[str]]:
    """What to give to `restore`: the rules of each table (`iptables -S`) and `ip_forward`."""
    rules = {table: _iptables(path, table, "-S").splitlines() for table in TABLES}
    return {**rules, "ip_forward": FORWARDING.read_text().split()}


def restore(before: Mapping[str, Sequence[str]], bridge: str, path: str) -> None:
    """Remove the rules and chains of our dockerd that were not there `before`; nothing of others'.

    Where another dockerd had run before, its chains stay, and only rules that name our `bridge`
    go. A rule that is gone already is fine.
    """
    for table in TABLES:
        known = before.get(table, ())
        added = [rule for rule in _iptables(path, table, "-S").splitlines() if rule not in known]
        shared = "-N DOCKER" in known
        for rule in added:
            flag, chain, *rest = rule.split()
            if flag == "-A" and (bridge in rest or ("DOCKER" in rule and not shared)):
                _iptables(path, table, "-D", chain, *rest)
        chains = (
            [] if shared else [rule.split()[1] for rule in added if rule.startswith("-N DOCKER")]
        )
        for flag in ("-F", "-X"):
            for chain in chains:
                _iptables(path, table, flag, chain)
    if "-P FORWARD ACCEPT" in before.get("filter", ()):
        _iptables(path, "filter", "-P", "FORWARD", "ACCEPT")
    if before.get("ip_forward") == ["0"]:
        FORWARDING.write_text("0")


def _iptables(path: str, table: str, *arguments: str) -> str:
    """What `iptables` prints; nothing where it is missing or refuses."""
    program = shutil.which("iptables", path=path)
    if program is None:
        return ""
    return subprocess.run(
        [program, "--wait", "--table", table, *arguments],
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def _works(program: str, path: str) -> bool:
    found = shutil.which(program, path=path)
    if found is None:
        return False
    listing = subprocess.run([found, "-t", "nat", "-S"], capture_output=True, check=False)
    return listing.returncode == 0
