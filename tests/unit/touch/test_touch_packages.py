"""What package managers' dry runs say, as they said it; and what of it is in a plan."""

import pytest
import shells
from making import desired, engine, observed

from regfleet import shell
from regfleet.engines import ENGINES
from regfleet.errors import HostError
from regfleet.plan.diff import diff
from regfleet.touch import packages
from regfleet.touch.packages import Foreseen

MARK = "run-1"
EVERY_SHELL = pytest.mark.parametrize("shell_name", shells.parameters())
SAID = {
    "apt-get": (
        """\
Reading package lists...
The following packages will be REMOVED:
  containerd.io
Remv containerd.io [1.7.28-1] [docker-ce:amd64 ]
Inst runc (1.1.15+ds1-2+b4 Debian:13/stable [amd64])
Inst libc6 [2.41-12] (2.41-13 Debian:13/stable [amd64]) []
Conf runc (1.1.15+ds1-2+b4 Debian:13/stable [amd64])
""",
        ["remove containerd.io", "install runc 1.1.15+ds1-2+b4", "install libc6 2.41-13"],
    ),
    "dnf": (  # dnf 4.23
        """\
Last metadata expiration check: 0:00:02 ago on Sun Nov 29 11:37:18 2026.
Dependencies resolved.
================================================================================
 Package              Architecture     Version            Repository       Size
================================================================================
Installing:
 docker-new           noarch           1.2-3              local           5.5 k
     replacing  docker-obsoleted.noarch 1.2-3
Installing dependencies:
 a-name-that-is-too-long-for-the-column-of-names
                      noarch           2:1.0-1            local           5.4 k
Removing dependent packages:
 podman-docker        noarch           5.0                @System         0

Transaction Summary
================================================================================
Install  2 Packages

Total size: 5.5 k
""",
        [
            "install docker-new 1.2-3",
            "remove docker-obsoleted",
            "install a-name-that-is-too-long-for-the-column-of-names 2:1.0-1",
            "remove podman-docker",
        ],
    ),
    "zypper": (  # zypper 1.14.89
        """\
Loading repository data...
Reading installed packages...
Resolving package dependencies...

The following 2 NEW packages are going to be installed:
  docker-new runc

The following package is going to be REMOVED:
  docker-obsoleted

2 new packages to install, 1 to remove.

Package download size:     5.5 KiB

            |         0 B  required by packages that will be installed
""",
        ["install docker-new", "install runc", "remove docker-obsoleted"],
    ),
    "apk": (  # written from apk-tools 2.14, src/commit.c: no apk was there to be run
        """\
(1/3) Purging podman-docker (5.0.3-r0)
(2/3) Installing containerd (1.7.17-r1)
(3/3) Upgrading runc (1.1.12-r0 -> 1.1.12-r1)
OK: 260 MiB in 61 packages
""",
        ["remove podman-docker", "install containerd 1.7.17-r1", "install runc 1.1.12-r1"],
    ),
    "pacman": (  # pacman 7.0
        """\
warning: database file for 'extra' is old
install runc 1.2-3
install docker 1.2-3
""",
        ["install runc 1.2-3", "install docker 1.2-3"],
    ),
}


@EVERY_SHELL
@pytest.mark.parametrize("manager", SAID)
def test_a_dry_run_is_read(shell_name, manager, tmp_path):
    said, expected = SAID[manager]
    (tmp_path / "said").write_text(said)
    program = shell.program("regfleet.touch", "program/2-packages.sh")
    fake = f"run_plainly() {{ cat {tmp_path}/said; }}\nforesee_packages {manager} docker 9>&1\n"
    assert shells.lines(shell_name, f"{program}\n{fake}") == expected


def plan_of(manager="apt-get"):
    want = desired(engine="docker", engines=("docker",), install=True)
    seen = observed(packages=manager, os="debian", engine=engine("missing", version=""))
    return diff(want, seen, "", [ENGINES["docker"]])


def test_all_packages_that_come_are_in_the_plan():
    plan = plan_of()
    (step,) = [each for each in plan.steps if isinstance(each, packages.Installing)]
    lines = ["noise", f"@begin {MARK}", "@install docker.io 26.1", "@install runc 1.1", "Reading"]
    found = packages.parse([*lines, f"@end {MARK}"], MARK)
    assert found == Foreseen(("docker.io 26.1", "runc 1.1"))
    more = packages.with_packages(plan, step, found)
    (change,) = [each for each in more.changes if each.resource.kind == "package"]
    assert [part.resource.name for part in change.parts] == ["docker.io 26.1", "runc 1.1"]
    assert change.resource.name == "docker.io"
    # Where the manager cannot tell, or was cut off, the plan stays as it is.
    assert packages.with_packages(plan, step, packages.parse(lines, MARK)) == plan


def test_nothing_is_removed_for_what_is_installed():
    plan = plan_of()
    (step,) = [each for each in plan.steps if isinstance(each, packages.Installing)]
    with pytest.raises(HostError, match=r"installing docker\.io would remove containerd.io, a"):
        packages.with_packages(plan, step, Foreseen(("docker.io",), ("containerd.io", "a")))
