"""A plan as the program for one host: `program/*.sh` and a function that calls its steps. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import singledispatch
from shlex import quote

from regfleet import shell
from regfleet.fleet import storage
from regfleet.model.files import account_of
from regfleet.model.plan import (
    ActivateDocker,
    ActivateOwn,
    ActivateUnit,
    Adopt,
    Drain,
    EditFile,
    InstallEngine,
    InstallProgram,
    LoadImage,
    LogIn,
    LogOut,
    MakeDirectory,
    Plan,
    PullImage,
    PutFile,
    ReloadService,
    RemoveImage,
    RemovePath,
    RemoveService,
    ReturnAdopted,
    RunService,
    SettleDocker,
    SettleTimers,
    ShowSettings,
    StartEngine,
    StartService,
    Step,
)
from regfleet.model.resource import Resource, note_of
from regfleet.model.service import Service
from regfleet.services import KINDS
from regfleet.shell import frame
from regfleet.touch.archive import spool_path
from regfleet.touch.protocol import call, encode, noted, whole


def render(plan: Plan, run: str, who: str, hook: str = "", *, number: int = 0) -> str:
    """The whole program for standard input.

    It goes through the plan's steps twice, in their order. Before any file is put in place, each
    step writes beside its target, and those that act later say what they will replace, so that
    there is a way back (`before_swap`). Then all files are put in place at once, and each step acts
    that has something to do behind that (`after_swap`). In a plan the steps that only write come
    first, so both passes together do what its steps say from top to bottom.

    Args:
        plan: what to do; not empty.
        run: this touch's own mark, which frames what it says and by which a controller that was
            cut off finds the outcome; another for each touch of a host, also within one run.
        who: owner of the lock on the host, such as `ops@control: acme`.
        hook: shell that fault injection runs at each boundary, with its number and name as
            `$1` and `$2`.
        number: of the run that the touch is part of, for the host's generation; 0 for none.
    """
    lines = [
        call("begin", run, who, *map(spool_path, plan.archives)),
        noted(number, run, who, _notes(plan)),
        "settled_before",
        *(call("expect", path, digest) for path, digest in plan.expected),
        *_storages(plan),
        *(line for step in plan.steps for line in before_swap(step)),
        call("record", encode(plan.record)),
        "swap",
        *(line for step in plan.steps for line in after_swap(step)),
    ]
    return whole(run, lines, plan.engines, hook, services=plan.services)


def render_generations(run: str) -> str:
    """The program that lists what a host keeps of earlier changes (see `generations.parse`)."""
    listing = shell.program("regfleet.touch", "generations.sh")
    return frame.around(run, listing)


def _notes(plan: Plan) -> str:
    """Lines of action and resource, as a host keeps them for the way back."""
    changes = [(change.action, change.resource) for change in plan.changes]
    changes += [
        ("delete", Resource("image", step.reference))
        for step in plan.steps
        if isinstance(step, RemoveImage)
    ]
    return "".join(
        f"{action} {' '.join(note_of(resource).split())}\n" for action, resource in changes
    )


def _storages(plan: Plan) -> Iterator[str]:
    """Checks, on the host and before anything is made, of where images are kept or deleted."""
    services = [step.service for step in plan.steps if isinstance(step, (RunService, StartService))]
    # Once: a registry and what serves it read-only have one storage.
    kept = list(dict.fromkeys(each.storage for each in services if each.storage))
    made = [step.directory for step in plan.steps if isinstance(step, MakeDirectory)]
    mounted = [each.storage for each in services if each.shared]
    for path in dict.fromkeys((*mounted, *(each.mounted for each in made if each.mounted))):
        yield call("mounted", path)
    if kept or plan.data:
        system, wholly = " ".join(storage.SYSTEM), " ".join(storage.WHOLLY)
        yield call("protect", system, wholly, *plan.reserved)
    yield from (call("storage", path) for path in kept)


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
    path, text = step.repository
    if path:
        yield call("add_repository", path, encode(text))
    yield call("install_packages", step.manager, *step.packages)
    yield f"{step.engine}_installed"


@before_swap.register
def _(step: InstallProgram) -> Iterator[str]:
    how = "install_beside" if step.beside else "install_program"
    yield call(how, step.manager, step.unit, *step.packages)


@before_swap.register
def _(step: ActivateUnit) -> Iterator[str]:
    if step.how != "start":  # one that did not run before need not run on the way back
        yield call("will_activate", step.engine, step.unit, step.how)


@after_swap.register
def _(step: ActivateUnit) -> Iterator[str]:
    yield call("activate_unit", step.engine, step.unit, step.how)


@after_swap.register
def _(step: ShowSettings) -> Iterator[str]:
    yield call("show_settings", step.engine, step.path, encode("\n".join(step.expect)))


@before_swap.register
def _(step: ActivateOwn) -> Iterator[str]:
    if step.how in ("reload", "restart"):
        yield call("will_activate", step.engine, step.account, step.how)


@after_swap.register
def _(step: ActivateOwn) -> Iterator[str]:
    lines = ["\n".join(lines) for lines in (step.expect, step.refuse)]
    texts = map(encode, (*lines, step.meanwhile, step.undo))
    restart = "yes" if step.may_restart else "no"
    yield call(f"{step.engine}_activate", step.account, step.how, restart, step.path, *texts)


@before_swap.register
def _(step: EditFile) -> Iterator[str]:
    if account_of(step.path):
        return
    foreign = "1" if step.foreign else "0"
    yield call("edit", step.path, f"{step.mode:04o}", foreign, encode(step.content))
    if step.engine:
        yield call("accepted", step.engine, step.path)


# What is in a home is written at once, by its account, after it was saved for the way back.


@after_swap.register
def _(step: EditFile) -> Iterator[str]:
    if account_of(step.path):
        foreign = "1" if step.foreign else "0"
        yield call("home_edit", step.path, f"{step.mode:04o}", foreign, encode(step.content))


@before_swap.register
def _(step: MakeDirectory) -> Iterator[str]:
    if not account_of(step.directory.path):
        yield call("directory", step.directory.path, f"{step.directory.mode:04o}")


@after_swap.register
def _(step: MakeDirectory) -> Iterator[str]:
    if account_of(step.directory.path):
        yield call("home_directory", step.directory.path, f"{step.directory.mode:04o}")


@before_swap.register
def _(step: PutFile) -> Iterator[str]:
    if not account_of(step.file.path):
        yield call("put", *_file(step))


@after_swap.register
def _(step: PutFile) -> Iterator[str]:
    if account_of(step.file.path):
        yield call("home_put", *_file(step))


@before_swap.register
def _(step: RemovePath) -> Iterator[str]:
    if not (step.directory or account_of(step.path)):
        yield call("drop", step.path)


@after_swap.register
def _(step: RemovePath) -> Iterator[str]:
    home = "home_" if account_of(step.path) else ""
    if step.directory:
        yield call(f"{home}drop_directory", step.path)
    elif home:
        yield call("home_drop", step.path)


@before_swap.register
def _(step: ActivateDocker) -> Iterator[str]:
    yield from (call("want", line) for line in step.expect)
    yield from (call("refuse", line) for line in step.refuse)
    if step.flags is not None:
        yield call("will_run_with", *step.flags)
    if not step.parser:
        yield "without_parser"
    texts = (encode(step.undo), encode(step.meanwhile))
    yield call("will_take_up", step.path, step.how, *texts)


@after_swap.register
def _(step: ActivateDocker) -> Iterator[str]:
    yield call("activate", step.how, "yes" if step.may_restart else "no")


@after_swap.register
def _(_step: SettleDocker) -> Iterator[str]:
    yield "settle"


@after_swap.register
def _(step: LoadImage) -> Iterator[str]:
    yield call("load", step.image.engine, spool_path(step.image))


@after_swap.register
def _(_step: StartEngine) -> Iterator[str]:
    yield "start_engine"


@after_swap.register
def _(step: PullImage) -> Iterator[str]:
    yield call("pull", step.image.engine, step.image.reference)


@before_swap.register
def _(step: RunService) -> Iterator[str]:
    yield _kept(step.service)


@before_swap.register
def _(step: ReloadService) -> Iterator[str]:
    yield _kept(step.service)  # its probe asks for what it is to take up


@after_swap.register
def _(step: ReloadService) -> Iterator[str]:
    service = step.service
    yield call("reload_service", service.kind, service.name, service.where, service.probe.word)


@after_swap.register
def _(step: RunService) -> Iterator[str]:
    service = step.service
    replaces = step.replaces
    yield call("run_service", service.kind, service.name, replaces, *_words(service))


@after_swap.register
def _(step: Drain) -> Iterator[str]:
    yield call("drain", step.service.drains, step.service.address)


@after_swap.register
def _(step: StartService) -> Iterator[str]:
    service = step.service
    yield call("start_service", service.kind, service.name, service.where, service.probe.word)


@before_swap.register
def _(step: RemoveService) -> Iterator[str]:
    yield call("drop_service", step.name)


@after_swap.register
def _(step: RemoveService) -> Iterator[str]:
    made = "yes" if step.made else "no"
    yield call("remove_service", step.kind, step.name, step.delete, made)


@after_swap.register
def _(step: Adopt) -> Iterator[str]:
    found = step.registry
    yield call("adopt", found.kind, found.key, found.name, found.restart)
    if step.storage:
        yield call("adopt_images", found.key, found.source, found.root, step.storage)


@after_swap.register
def _(step: ReturnAdopted) -> Iterator[str]:
    found = step.registry
    yield call("return_adopted", found.kind, found.key, found.name, found.restart)


@after_swap.register
def _(step: RemoveImage) -> Iterator[str]:
    yield call("remove_image", step.engine, step.reference)


@after_swap.register
def _(step: LogIn) -> Iterator[str]:
    login = step.login
    password = encode(login.password.reveal())
    who = (login.engine, login.file, login.account)
    yield call("login", *who, login.endpoint, login.user, password)


@after_swap.register
def _(step: LogOut) -> Iterator[str]:
    yield call("logout", step.engine, step.file, step.account, step.endpoint)


def _file(step: PutFile) -> tuple[str, str, str, str]:
    file = step.file
    content = base64.b64encode(file.content).decode()
    return file.path, f"{file.mode:04o}", "1" if step.foreign else "0", content


def _kept(service: Service) -> str:
    """The call that keeps on the host how a service is run, so that a later change can go back."""
    text = " ".join(map(quote, (service.kind, *_words(service)))) + "\n"
    return call("keep_service", service.name, encode(text))


def _words(service: Service) -> tuple[str, ...]:
    """Where it answers, what it is asked there, and what it is run from."""
    return (service.where, service.probe.word, *KINDS[service.kind].words(service))


@before_swap.register
def _(step: SettleTimers) -> Iterator[str]:
    yield call("will_settle", *step.names)


@after_swap.register
def _(step: SettleTimers) -> Iterator[str]:
    yield call("settle_timers", *step.names)
