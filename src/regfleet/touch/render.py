"""A plan as the program for one host: `touch.sh` and a function that calls its steps. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import cache, singledispatch
from importlib.resources import files
from shlex import quote

from regfleet.desired.model import Container
from regfleet.plan.model import (
    EditDaemon,
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

# Steps that come before the swap: they write beside, or make what is needed for that.
_STAGING = (InstallEngine, MakeDirectory, PutFile, EditDaemon)


@cache
def program() -> str:
    """The touch's shell functions."""
    return files("regfleet.touch").joinpath("touch.sh").read_text()


def render(plan: Plan, who: str) -> str:
    """The whole program for standard input.

    Args:
        plan: what to do; not empty.
        who: owner of the lock on the host, such as `ops@control: acme`.
    """
    lines = [_call("begin", who)]
    lines += [_call("expect", path, digest) for path, digest in plan.expected]
    for step in plan.steps:
        if _is_staging(step):
            lines += lines_of(step)
    lines += [_call("record", _encode(plan.record)), _call("swap")]
    edited = any(isinstance(step, EditDaemon) for step in plan.steps)
    if edited:
        may = "yes" if plan.may_restart else "no"
        lines.append(_call("activate", plan.activation, may))
    rest = [step for step in plan.steps if not _is_staging(step)]
    starts = [step for step in rest if isinstance(step, StartEngine)]
    lines += [line for step in starts for line in lines_of(step)]
    # An engine that was down loads nothing before it is started.
    lines += [_call("load", spool_path(image)) for image in plan.archives]
    lines += [line for step in rest if step not in starts for line in lines_of(step)]
    if edited:
        lines.append(_call("settle"))
    body = "\n".join(f"  step {line}" for line in lines)
    return f"{program()}\nplan() {{\n{body}\n}}\ntouch_host </dev/null\n"


def _is_staging(step: Step) -> bool:
    return isinstance(step, _STAGING) or (isinstance(step, RemovePath) and not step.directory)


@singledispatch
def lines_of(step: Step) -> Iterator[str]:
    """A step as calls of touch.sh's functions; a new kind of step registers itself here."""
    raise TypeError(f"no rendering for {type(step).__name__}")


@lines_of.register
def _(step: InstallEngine) -> Iterator[str]:
    yield _call("install_packages", step.manager, *step.packages)


@lines_of.register
def _(_step: StartEngine) -> Iterator[str]:
    yield _call("start_engine")


@lines_of.register
def _(step: MakeDirectory) -> Iterator[str]:
    yield _call("directory", step.directory.path, f"{step.directory.mode:04o}")


@lines_of.register
def _(step: PutFile) -> Iterator[str]:
    file = step.file
    content = base64.b64encode(file.content).decode()
    yield _call("put", file.path, f"{file.mode:04o}", "1" if step.foreign else "0", content)


@lines_of.register
def _(step: RemovePath) -> Iterator[str]:
    yield _call("drop_directory" if step.directory else "drop", step.path)


@lines_of.register
def _(step: EditDaemon) -> Iterator[str]:
    yield from (_call("want", line) for line in step.expect)
    yield from (_call("refuse", line) for line in step.refuse)
    if step.final is None:
        final = "remove"
    elif step.final == step.active:
        final = "same"
    else:
        final = _encode(step.final)
    yield _call("daemon", step.path, _encode(step.active), final, _encode(step.undo))


@lines_of.register
def _(step: PullImage) -> Iterator[str]:
    yield _call("pull", step.image.reference)


@lines_of.register
def _(step: RunContainer) -> Iterator[str]:
    container = step.container
    yield _call("container", *_probe(container), *_run_arguments(container))


@lines_of.register
def _(step: StartContainer) -> Iterator[str]:
    yield _call("start_container", *_probe(step.container))


@lines_of.register
def _(step: RemoveContainer) -> Iterator[str]:
    yield _call("remove_container", step.name, step.delete)


@lines_of.register
def _(step: RemoveImage) -> Iterator[str]:
    yield _call("remove_image", step.reference)


@lines_of.register
def _(step: LogIn) -> Iterator[str]:
    login = step.login
    password = _encode(login.password.reveal())
    yield _call("login", login.account, login.endpoint, login.user, password)


@lines_of.register
def _(step: LogOut) -> Iterator[str]:
    yield _call("logout", step.account, step.endpoint)


def _probe(container: Container) -> tuple[str, str, str]:
    return container.name, str(container.port), "yes" if container.tls else "no"


def _run_arguments(container: Container) -> tuple[str, ...]:
    labels = {
        "regfleet.fleet": container.fleet,
        "regfleet.registry": container.registry,
        "regfleet.specification": container.specification,
    }
    flags = tuple(f"--label={key}={value}" for key, value in labels.items())
    return (
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
