"""The file that a service manager runs a service from: a unit, a drop-in or an init script. Pure.

The second line says what it is for the functions of `unit.sh`. What runs has the same in its
environment, for a file may be newer than what runs.

Sources: systemd.service(5), systemd.exec(5), systemd.resource-control(5), podman-run(1), and what
podman-generate-systemd(1) prints of Podman 4.3 and 5.4; openrc-run(8), supervise-daemon(8), and
OpenRC's service-script-guide.md and supervise-daemon-guide.md.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from regfleet.model.service import Manager, Service, UnitRun

PODMAN = ("/usr/bin/podman", "--remote=false")
_OWN_TASKS = 64  # threads of podman and conmon beside those of the container, in the unit's group
_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")


def path(name: str, unit: str, manager: Manager) -> str:
    """Where it lies: a drop-in where the unit is the distribution's."""
    if manager != "systemd":
        return f"/etc/init.d/{name}"
    if unit:
        return f"/etc/systemd/system/{unit}.service.d/regfleet.conf"
    return f"/etc/systemd/system/{name}.service"


def render(service: Service, run: UnitRun) -> str:
    """The whole file."""
    if run.manager == "sysv":
        lines = _script(service, run)
    elif run.manager == "openrc":
        lines = _openrc_script(service, run)
    elif run.unit:
        lines = _drop_in(service, run)
    elif service.image:
        lines = _unit(service, run)
    else:
        lines = _program_unit(service, run)
    return "\n".join(lines) + "\n"


def _head(service: Service) -> tuple[str, str]:
    return (
        f"# Written by regfleet for the fleet {service.fleet}: changes here are overwritten.",
        f"# regfleet-service: {service.name} {service.fleet} {service.specification}",
    )


def _marks(service: Service) -> dict[str, str]:
    return {
        "REGFLEET_SERVICE": service.name,
        "REGFLEET_FLEET": service.fleet,
        "REGFLEET_SPECIFICATION": service.specification,
    }


def _opening(service: Service) -> Iterator[str]:
    """Of a unit of our own, up to its section [Service]."""
    yield from _head(service)
    yield from ("", "[Unit]", f"Description=registry {service.registry} of {service.fleet}")
    yield from ("Wants=network-online.target", "After=network-online.target")
    yield from _mounts(service)
    yield from ("StartLimitIntervalSec=0", "", "[Service]")


def _unit(service: Service, run: UnitRun) -> Iterator[str]:
    yield from _opening(service)
    # conmon stays, and tells that the container runs; podman ends (podman-run(1), --sdnotify).
    yield from ("Type=notify", "NotifyAccess=all", "KillMode=mixed")
    yield "Environment=PODMAN_SYSTEMD_UNIT=%n"
    more = ("--rm", "--sdnotify=conmon", "--log-driver=passthrough")
    yield f"ExecStart={_command_line(_podman_run(service, run, more))}"
    yield f"ExecStop={_command_line((*PODMAN, 'stop', '--ignore', '--time=10', service.name))}"
    yield f"ExecStopPost=-{_command_line((*PODMAN, 'rm', '--force', '--ignore', service.name))}"
    yield from ("Restart=always", "RestartSec=2", "TimeoutStartSec=60", "TimeoutStopSec=30")
    yield from _limits(run, _OWN_TASKS)
    yield from ("", "[Install]", "WantedBy=multi-user.target")


def _drop_in(service: Service, run: UnitRun) -> Iterator[str]:
    """Over the distribution's unit: our configuration, with what a container is confined to."""
    yield from _head(service)
    yield from ("", "[Unit]", *_mounts(service))
    yield from ("StartLimitIntervalSec=0", "", "[Service]", "ExecStart=")
    yield from _program(service, run)


def _program_unit(service: Service, run: UnitRun) -> Iterator[str]:
    """Of a program that has no unit which we could use: a second process of it, or a third."""
    yield from _opening(service)
    if run.titled:  # nginx ends what it is at, for so long; nginx(8), "Signals"
        yield from ("ExecReload=/bin/kill -HUP $MAINPID", "KillSignal=SIGQUIT", "TimeoutStopSec=3")
    yield from _program(service, run)
    if run.temporary:
        yield f"RuntimeDirectory={run.temporary.removeprefix('/run/')}"
    yield from ("", "[Install]", "WantedBy=multi-user.target")


def _program(service: Service, run: UnitRun) -> Iterator[str]:
    for name, value in (*_marks(service).items(), *run.environment):
        yield f"Environment={_quoted((f'{name}={value}',))}"
    if run.variables:
        yield f"EnvironmentFile={run.variables}"
    yield f"ExecStart={_command_line(_command(service, run))}"
    yield from ("Restart=always", "RestartSec=2")
    # Root without capabilities, as in the container: the files are the same ones. Of systemd 257 an
    # nginx for which that is said, with PrivateDevices, cannot give its workers another user.
    if run.unit:
        yield from ("User=root", "Group=root")
    kept = " ".join(f"CAP_{each}" for each in run.privileges)
    yield from (f"CapabilityBoundingSet={kept}", "AmbientCapabilities=", "NoNewPrivileges=yes")
    yield "ProtectSystem=strict"
    if service.storage:
        # Of a shared one what is inside: the unit does not start while that is not mounted.
        places = (f"{service.storage}/docker",) if service.shared else (service.storage,)
        yield f"ReadWritePaths={_quoted(places)}"
    yield from ("PrivateTmp=yes", "PrivateDevices=yes")
    yield from _limits(run)


def _mounts(service: Service) -> tuple[str, ...]:
    """That the file system of its storage is there first; none where a bucket keeps the images."""
    return (f"RequiresMountsFor={_quoted((service.storage,))}",) if service.storage else ()


def _limits(run: UnitRun, beside: int = 0) -> Iterator[str]:
    yield f"TasksMax={run.pids + beside}"
    if run.memory:
        yield f"MemoryMax={run.memory.upper().removesuffix('B')}"


def _podman_run(service: Service, run: UnitRun, more: Sequence[str]) -> tuple[str, ...]:
    labels = {"regfleet.fleet": service.fleet, "regfleet.registry": service.registry}
    limits: tuple[str, ...] = ()
    if run.own_group:
        memory = (f"--memory={run.memory}",) if run.memory else ()
        limits = ("--cgroups=no-conmon", f"--pids-limit={run.pids}", *memory)
    return (
        *PODMAN,
        *("run", "--detach", "--replace", "--pull=never", f"--name={service.name}"),
        f"--pidfile={pidfile(service.name)}",
        *more,
        *(f"--label={key}={value}" for key, value in labels.items()),
        *(f"--env={key}={value}" for key, value in _marks(service).items()),
        *(f"--volume={':'.join(filter(None, mount))}" for mount in run.mounts),
        *run.arguments,
        *(f"--cap-add={each}" for each in run.privileges),
        *limits,
        *((service.image.reference,) if service.image else ()),
        *_command(service, run),
    )


def _command(service: Service, run: UnitRun) -> tuple[str, ...]:
    """Its command; of an nginx with the marks, as global directives."""
    if not run.titled:
        return run.command
    marks = " ".join(f"env {name}={value};" for name, value in _marks(service).items())
    return (*run.command, "-g", marks)


def pidfile(name: str) -> str:
    """Where the number of the service's own process is kept, where systemd does not know it."""
    return f"/run/{name}.pid"


def _command_line(words: Sequence[str]) -> str:
    """Words as systemd.service(5) reads them under "Command lines"."""
    return _quoted([word.replace("$", "$$") for word in words])


def _quoted(words: Sequence[str]) -> str:
    """Words as systemd.syntax(7) reads them under "Quoting", and specifiers; `$` is `$` there."""
    return " ".join(map(_word, words))


def _word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return word if _PLAIN.fullmatch(word) else f'"{escaped}"'


def _script(service: Service, run: UnitRun) -> Iterator[str]:
    """For init(8) alone (LSB, "Comment Conventions for Init Scripts")."""
    yield "#!/bin/sh"
    yield from _head(service)
    yield from (
        "### BEGIN INIT INFO",
        f"# Provides:          {service.name}",
        "# Required-Start:    $remote_fs $network",
        "# Required-Stop:     $remote_fs $network",
        "# Default-Start:     2 3 4 5",
        "# Default-Stop:      0 1 6",
        f"# Short-Description: registry {service.registry} of {service.fleet}",
        "### END INIT INFO",
    )
    yield from _exported(service, run)
    if service.image:
        start, stop = (f"{each} >/dev/null || exit 1" for each in _by_podman(service, run))
    else:
        start, stop = _by_hand(service, run)
    runs = _runs(service, run)
    yield _SCRIPT.format(runs=runs, start=start, stop=stop)


def _openrc_script(service: Service, run: UnitRun) -> Iterator[str]:
    """For openrc-run(8). Networks of other names than `net` are waited for, none is demanded."""
    yield "#!/sbin/openrc-run"
    yield from _head(service)
    yield f"description={shlex.quote(f'registry {service.registry} of {service.fleet}')}"
    yield from _exported(service, run)
    yield from ("", "depend() {", "  use net", "  after localmount netmount firewall", "}", "")
    if service.image:
        start, stop = _by_podman(service, run)
        runs = _runs(service, run)
        yield _OPENRC_SCRIPT.format(runs=runs, start=start, stop=stop)
        return
    log = f"/var/log/{service.name}.log"
    # The pidfile of OpenRC holds the number of the supervisor, not of the program.
    program = f"echo $$ >{pidfile(service.name)}; exec {shlex.join(_confined(service, run))}"
    if run.temporary:
        program = f"mkdir -p -m 0755 {shlex.quote(run.temporary)}; {program}"
    yield from ("supervisor=supervise-daemon", "command=/bin/sh")
    yield f"command_args={shlex.quote(shlex.join(('-c', program)))}"
    yield f"pidfile=/run/{service.name}.supervisor"
    yield from (f"output_log={log}", f"error_log={log}", "respawn_delay=2", "respawn_max=0")


def _exported(service: Service, run: UnitRun) -> Iterator[str]:
    """Its variables, for a script; those in a file that only root reads are read from there."""
    for name, value in (*_marks(service).items(), *run.environment):
        yield f"export {name}={shlex.quote(value)}"
    if run.variables:
        yield f"if [ -r {run.variables} ]; then set -a; . {run.variables}; set +a; fi"


def _by_podman(service: Service, run: UnitRun) -> tuple[str, str]:
    """The commands that start and stop its container; Podman itself restarts it."""
    log = f"/var/log/{service.name}.log"
    more = ("--restart=always", "--log-driver=k8s-file", f"--log-opt=path={log}")
    start = shlex.join(_podman_run(service, run, (*more, "--log-opt=max-size=10m")))
    stop = shlex.join((*PODMAN, "rm", "--force", "--ignore", "--time=10", service.name))
    return start, stop


def _confined(service: Service, run: UnitRun) -> tuple[str, ...]:
    """The program confined by setpriv(1), which cannot limit memory."""
    bounds = ",".join(("-all", *(f"+{each.lower()}" for each in run.privileges)))
    confined = ("setpriv", "--no-new-privs", "--inh-caps=-all", f"--bounding-set={bounds}")
    return (*confined, *_command(service, run))


def _by_hand(service: Service, run: UnitRun) -> tuple[str, str]:
    start = shlex.join(("setsid", *_confined(service, run)))
    log = shlex.quote(f"/var/log/{service.name}.log")
    before = f"mkdir -p -m 0755 {shlex.quote(run.temporary)}\n    " if run.temporary else ""
    return before + _START.format(start=start, log=log).rstrip(), _STOP.rstrip()


# Its environment is not there at once, by which it is known.
_START = """{start} >>{log} 2>&1 </dev/null &
    echo $! >"$pidfile"
    tries=20
    until runs || [ "$tries" -le 0 ]; do
      tries=$((tries - 1))
      sleep 0.1 2>/dev/null || sleep 1
    done
"""

_STOP = """runs || exit 0
    kill "$pid"
    tries=100
    while [ -d "/proc/$pid" ] && [ "$tries" -gt 0 ]; do
      tries=$((tries - 1))
      sleep 0.1 2>/dev/null || sleep 1
    done
    kill -9 "$pid" 2>/dev/null
    rm -f "$pidfile"
"""


def _runs(service: Service, run: UnitRun) -> str:
    split, of = (r"tr -cs '!-:<-~' '\n'", "cmdline") if run.titled else (r"tr '\0' '\n'", "environ")
    return _RUNS.format(pidfile=pidfile(service.name), split=split, of=of)


_RUNS = """pidfile={pidfile}

runs() {{ # sets `pid`; a number that is another process's by now is none
  pid=$(cat "$pidfile" 2>/dev/null) && [ -n "$pid" ] || return 1
  for moment in 1 2 3 4 5; do
    found=$({split} 2>/dev/null <"/proc/$pid/{of}")
    # A program that is just taking the place of another has none.
    if [ -n "$found" ] || [ ! -d "/proc/$pid" ]; then break; fi
    sleep 0.1 2>/dev/null || sleep 1
  done
  printf '%s\\n' "$found" | grep -q -x "REGFLEET_SERVICE=$REGFLEET_SERVICE"
}}"""

_OPENRC_SCRIPT = """{runs}

start() {{
  ebegin "Starting $REGFLEET_SERVICE"
  {start} >/dev/null
  eend $?
}}

stop() {{
  ebegin "Stopping $REGFLEET_SERVICE"
  {stop} >/dev/null
  eend $?
}}

status() {{
  if runs; then
    einfo "status: started"
  elif service_started; then
    eerror "status: crashed"
    return 32
  else
    einfo "status: stopped"
    return 3
  fi
}}"""

_SCRIPT = """PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
{runs}

case "${{1:-}}" in
  start)
    runs && exit 0
    {start}
    ;;
  stop)
    {stop}
    ;;
  restart | force-reload)
    "$0" stop
    exec "$0" start
    ;;
  status)
    if runs; then
      echo "$REGFLEET_SERVICE runs"
    else
      echo "$REGFLEET_SERVICE does not run"
      exit 3
    fi
    ;;
  *)
    echo "usage: $0 start|stop|restart|status" >&2
    exit 2
    ;;
esac"""
