"""What a container needs so that a whole system (first process, sshd, engine) runs in it.

`--privileged` is not used: it asks for every capability, and fails where one is missing.
"""

from __future__ import annotations

from pathlib import Path

from regfleet.errors import RegfleetError

CGROUP_ROOT = Path("/sys/fs/cgroup")
STATUS = Path("/proc/self/status")

# linux/capability.h, by bit.
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
    "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
    "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
    "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
    "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
    "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
)  # fmt: skip

# No host has a use for these, and older engines do not know the last three.
WITHHELD = frozenset({"SYS_MODULE", "SYS_TIME", "PERFMON", "BPF", "CHECKPOINT_RESTORE"})


def permitted_capabilities(status: str) -> tuple[str, ...]:
    """The capabilities to give a host, from this process's bounding set.

    Args:
        status: the text of `/proc/PID/status` of a process that runs as the engine does.
    """
    bounding = next(
        (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:")),
        0,
    )
    return tuple(
        name
        for bit, name in enumerate(CAPABILITIES)
        if bounding >> bit & 1 and name not in WITHHELD
    )


def cgroup_options(systemd: bool, cgroup_root: Path) -> tuple[str, ...]:
    """How a host gets its control groups.

    It has a cgroup namespace of its own, and regfleet-boot mounts cgroup v2 afresh in it: its root
    is the container's own group, whatever the machine uses (systemd 256 and later want nothing
    older). Only service scripts on a machine with cgroup v1 get an empty place instead, where they
    mount v1 themselves, as they do on a machine.
    """
    unified = (cgroup_root / "cgroup.controllers").exists()
    if unified or systemd:
        return ("--cgroupns=private",)
    return ("--cgroupns=private", f"--tmpfs={cgroup_root}:mode=755")


def run_options(engine: str, variant: str) -> tuple[str, ...]:
    """The options of `docker run` for one host.

    Args:
        engine: the engine's address; hosts need one on this very machine.
        variant: hosts without systemd are stopped by SIGTERM.

    Raises:
        RegfleetError: the engine is on another machine.
    """
    if not engine.startswith("unix://"):
        raise RegfleetError(
            f"twin hosts need an engine on this machine, and DOCKER_HOST is {engine}",
            "unset DOCKER_HOST",
        )
    systemd = variant in ("docker", "bare")
    signal = "SIGRTMIN+3" if systemd else "SIGTERM"
    return (
        *(f"--cap-add={name}" for name in permitted_capabilities(STATUS.read_text())),
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--security-opt=systempaths=unconfined",
        f"--stop-signal={signal}",
        *cgroup_options(systemd, CGROUP_ROOT),
        # Docker's tmpfs is noexec by default, a machine's /tmp and /run are not.
        "--tmpfs=/run:exec,mode=755",
        "--tmpfs=/run/lock",
        "--tmpfs=/tmp:exec,mode=1777",
        # An engine inside needs a filesystem that overlayfs can sit on.
        "--volume=/var/lib/docker",
        "--volume=/var/lib/containers",
        "--volume=/var/lib/containerd",
    )
