"""A plan as the program for one host: `program/*.sh` and a function that calls its steps. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from functools import singledispatch
from shlex import quote

from regfleet import record, shell
from regfleet.desired.model import Container
from regfleet.plan.model import (
    ActivateUnit,
    EditDaemon,
    EditFile,
    InstallEngine,
    LogIn,
    LogOut,
    MakeDirectory,
    Plan,
    PullImage,
    PutFile,
    RemoveContainer,
    RemoveImage,
    RemovePath,
    RunContainer,
    StartContainer,
    StartEngine,
    Step,
)
from regfleet.touch.archive import spool_path

PROGRAM = tuple(
    f"program/{name}.sh"
    for name in ("1-protocol", "2-engine", "3-files", "4-containers", "5-logins", "6-transaction")
)


def program(*engines: str) -> str:
    """The touch's shell functions, with those of engines (their shell words)."""
    return shell.program("regfleet.touch", *PROGRAM, engines=engines)


def render(plan: Plan, run: str, who: str, hook: str = "") -> str:
    """The whole program for standard input.

    Args:
        plan: what to do; not empty.
        run: this run's mark, by which a controller that was cut off finds the outcome.
        who: owner of the lock on the host, such as `ops@control: acme`.
        hook: shell that fault injection runs at each boundary, with its number and name as
            `$1` and `$2`.
    """
    start = [step for step in plan.steps if isinstance(step, StartEngine)]
    edits = [step for step in plan.steps if isinstance(step, EditDaemon)]
    rest = [step for step in plan.steps if step not in start]
    lines = [
        _call("begin", run, who),
        "settled_before",
        *(_call("expect", path, digest) for path, digest in plan.expected),
        *(line for step in rest for line in before_swap(step)),
        _call("record", _encode(plan.record)),
        "swap",
    ]
    may = "yes" if plan.may_restart else "no"
    lines += [_call("activate", edit.activation, may) for edit in edits]
    # An engine that was down loads nothing before it is started.
    lines += [line for step in start for line in after_swap(step)]
    lines += [_call("load", spool_path(image)) for image in plan.archives]
    lines += [line for step in rest for line in after_swap(step)]
    lines += ["settle" for _ in edits]
    return _whole(lines, plan.engines, hook)


def render_recovery(run: str, who: str, engines: Sequence[str], hook: str = "") -> str:
    """The program that puts back a touch that was cut off.

    Args:
        engines: shell words of the engines that the host may have.
    """
    return _whole([_call("begin", run, who), "recover"], engines, hook)


def render_rollback(generation: int, run: str, who: str, engines: Sequence[str]) -> str:
    """The program that goes back to what was there before a generation; 0 for the newest."""
    lines = [_call("begin", run, who), "recover", _call("go_back", str(generation))]
    return _whole(lines, engines, "")


def render_question(run: str) -> str:
    """The program that waits for a touch to end and says again what it said, if it was this run's.

    A host from which everything was taken out has no record of it left: then nothing of ours is
    there, and that is the answer.
    """
    return f"""\
set -u
base={record.DIRECTORY}
if [ -e "$base/lock" ] && command -v flock >/dev/null 2>&1; then
  flock -w 900 "$base/lock" true
fi
if [ ! -e "$base" ]; then
  echo '@outcome changed'
elif grep -q -x -F '@run {run}' "$base/last" 2>/dev/null; then
  if [ -e "$base/pending" ] || [ -e "$base/making" ]; then
    echo '@failed the touch ended in the middle: was the host restarted?'
    echo '@hint run it again: what was there before comes back first'
    echo '@outcome failed'
  else
    cat "$base/last"
  fi
else
  echo '@failed the host never began: the connection broke before it had its orders'
  echo '@hint run it again; nothing was touched'
  echo '@outcome failed'
fi
"""


def _whole(lines: list[str], engines: Sequence[str], hook: str) -> str:
    body = "\n".join(f"  step {line}" for line in lines)
    redefined = f"hook() {{\n{hook}\n}}\n" if hook else ""
    return f"{program(*engines)}\n{redefined}plan() {{\n{body}\n}}\ntouch_host </dev/null\n"


@singledispatch
def before_swap(step: Step) -> Iterator[str]:
    """What a step does before files are put in place: it writes beside, or makes what that needs.

    A new kind of step registers itself here, at `after_swap`, or at both.
    """
    del step
    yield from ()


@singledispatch
def after_swap(step: Step) -> Iterator[str]:
    """What a step does once the files are in place and the engine has taken them up."""
    del step
    yield from ()


@before_swap.register
def _(step: InstallEngine) -> Iterator[str]:
    yield _call("install_packages", step.manager, *step.packages)
    yield f"{step.engine}_installed"


@before_swap.register
def _(step: ActivateUnit) -> Iterator[str]:
    if step.how != "start":  # one that did not run before need not run on the way back
        yield _call("will_activate", step.engine, step.unit, step.how)


@after_swap.register
def _(step: ActivateUnit) -> Iterator[str]:
    yield _call("activate_unit", step.engine, step.unit, step.how)


@before_swap.register
def _(step: EditFile) -> Iterator[str]:
    foreign = "1" if step.foreign else "0"
    yield _call("edit", step.path, f"{step.mode:04o}", foreign, _encode(step.content))
    if step.engine:
        yield _call("accepted", step.engine, step.path)


@before_swap.register
def _(step: MakeDirectory) -> Iterator[str]:
    yield _call("directory", step.directory.path, f"{step.directory.mode:04o}")


@before_swap.register
def _(step: PutFile) -> Iterator[str]:
    file = step.file
    content = base64.b64encode(file.content).decode()
    yield _call("put", file.path, f"{file.mode:04o}", "1" if step.foreign else "0", content)


@before_swap.register
def _(step: RemovePath) -> Iterator[str]:
    if not step.directory:
        yield _call("drop", step.path)


@after_swap.register
def _(step: RemovePath) -> Iterator[str]:
    if step.directory:
        yield _call("drop_directory", step.path)


@before_swap.register
def _(step: EditDaemon) -> Iterator[str]:
    yield from (_call("want", line) for line in step.expect)
    yield from (_call("refuse", line) for line in step.refuse)
    if step.flags is not None:
        yield _call("will_run_with", *step.flags)
    if not step.parser:
        yield "without_parser"
    if step.active is None:
        yield _call("daemon_stays", step.path, step.activation)
        return
    if step.final is None:
        final = "remove"
    elif step.final == step.active:
        final = "same"
    else:
        final = _encode(step.final)
    texts = (_encode(step.active), final, _encode(step.undo))
    yield _call("daemon", step.path, *texts, step.activation)


@after_swap.register
def _(_step: StartEngine) -> Iterator[str]:
    yield "start_engine"


@after_swap.register
def _(step: PullImage) -> Iterator[str]:
    yield _call("pull", step.image.reference)


@before_swap.register
def _(step: RunContainer) -> Iterator[str]:
    # Kept on the host, so that a later change can go back to this container.
    _, *words = _container(step.container)
    text = " ".join(map(quote, words)) + "\n"
    path = f"{record.CONTAINERS}/{step.container.name}"
    yield _call("stage", path, "0600", _encode(text))


@after_swap.register
def _(step: RunContainer) -> Iterator[str]:
    yield _call("container", *_container(step.container))


@after_swap.register
def _(step: StartContainer) -> Iterator[str]:
    yield _call("start_container", *_probe(step.container))


@before_swap.register
def _(step: RemoveContainer) -> Iterator[str]:
    yield _call("drop", f"{record.CONTAINERS}/{step.name}")


@after_swap.register
def _(step: RemoveContainer) -> Iterator[str]:
    yield _call("remove_container", step.name, step.fleet, step.delete)


@after_swap.register
def _(step: RemoveImage) -> Iterator[str]:
    yield _call("remove_image", step.reference)


@after_swap.register
def _(step: LogIn) -> Iterator[str]:
    login = step.login
    password = _encode(login.password.reveal())
    who = (login.engine, login.file, login.account)
    yield _call("login", *who, login.endpoint, login.user, password)


@after_swap.register
def _(step: LogOut) -> Iterator[str]:
    yield _call("logout", step.engine, step.file, step.account, step.endpoint)


def _probe(container: Container) -> tuple[str, str, str]:
    return container.name, str(container.port), "yes" if container.tls else "no"


def _container(container: Container) -> tuple[str, ...]:
    """Name, port, whether TLS is spoken, and the arguments of `docker run` behind the name."""
    labels = {
        "regfleet.fleet": container.fleet,
        "regfleet.registry": container.registry,
        "regfleet.specification": container.specification,
    }
    flags = tuple(f"--label={key}={value}" for key, value in labels.items())
    return (
        *_probe(container),
        "--restart=always",
        *flags,
        *container.arguments,
        container.image.reference,
        *container.command,
    )


def _call(function: str, *arguments: str) -> str:
    return " ".join([function, *map(quote, arguments)])


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
