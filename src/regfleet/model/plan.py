"""A plan: the changes that people see, and the steps of the touch that make them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from regfleet.model.desired import LoginEntry
from regfleet.model.files import Directory, File
from regfleet.model.foreign import Foreign
from regfleet.model.observed import ObservedData
from regfleet.model.resource import Resource
from regfleet.model.service import Image, Service
from regfleet.record import Adopted

Action = Literal["create", "update", "delete", "run"]
Activation = Literal["none", "reload", "restart"]

_WEIGHT: dict[Activation, int] = {"none": 0, "reload": 1, "restart": 2}


@dataclass(frozen=True, slots=True)
class InstallEngine:
    """Install packages with the host's package manager, and check that the engine answers.

    Attributes:
        packages: a name that ends in `?` is installed only when the host's sources have it.
        engine: the word for its shell functions; WORD_installed starts it if need be.
        repository: path and content of a file that names the packages' repository, if they are
            not in the distribution's own; empty otherwise.
    """

    manager: str
    packages: tuple[str, ...]
    engine: str
    repository: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class InstallProgram:
    """Install a program's packages, and keep the packages' own service from starting.

    Attributes:
        unit: the packages' own service.
        beside: whether it is left as it is where it is there already: ours is another one.
    """

    manager: str
    packages: tuple[str, ...]
    unit: str
    beside: bool = False


@dataclass(frozen=True, slots=True)
class StartEngine:
    """Start a stopped Docker engine."""


@dataclass(frozen=True, slots=True)
class ActivateUnit:
    """Reload or restart the service of an engine other than Docker, and check that it answers.

    Attributes:
        engine: the word for its shell functions.
        how: `start` for a stopped engine.
        stops: whether a restart stops Docker's containers.
    """

    engine: str
    unit: str
    how: Literal["reload", "restart", "start"]
    stops: bool = True


@dataclass(frozen=True, slots=True)
class ShowSettings:
    """Ask an engine without a daemon for the settings that its commands have, and compare.

    Attributes:
        engine: the word for its shell functions.
        path: the file that has them.
        expect: lines that WORD_shows has to print.
    """

    engine: str
    path: str
    expect: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EditFile:
    """Write a file that others write too. Its mode stays, and its first content is kept.

    Attributes:
        mode: the mode of a new file; 0o600 is also set on an existing one.
        foreign: whether the file exists and regfleet owns nothing in it yet.
        engine: the word of the engine whose WORD_accepts checks the new text before it is put
            in place; empty for no check.
    """

    path: str
    content: str = field(repr=False)
    mode: int = 0o644
    foreign: bool = False
    engine: str = ""


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make a directory, or give it its mode."""

    directory: Directory


@dataclass(frozen=True, slots=True)
class PutFile:
    """Write a file that regfleet owns as a whole."""

    file: File
    foreign: bool  # others made the existing file: it is saved, and restored on removal


@dataclass(frozen=True, slots=True)
class RemovePath:
    """Remove regfleet's file (restoring the one before it), or regfleet's empty directory."""

    path: str
    directory: bool = False


@dataclass(frozen=True, slots=True)
class ActivateDocker:
    """Reload or restart dockerd, and check that the live configuration is the expected one.

    A step before this one writes or removes the file at `path`.

    Attributes:
        path: daemon.json.
        how: `none` for a stopped dockerd, which reads the file when it starts.
        expect: lines that the live daemon must show afterwards.
        refuse: lines that the live daemon must not show afterwards.
        meanwhile: daemon.json for the moment of the reload, with removed keys set to explicit
            empty values (dockerd keeps the old value of an absent key); empty when the file
            itself will do.
        undo: daemon.json for the moment of a rollback's reload: the old text, with added keys
            set to explicit empty values; empty when the old text will do.
        flags: the arguments that dockerd starts with from now on, None when they do not change.
        parser: whether dockerd may have `--validate`, which checks the file without a start.
        may_restart: whether a reload without effect is followed by a restart.
    """

    path: str
    how: Activation
    expect: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()
    meanwhile: str = field(default="", repr=False)
    undo: str = field(default="", repr=False)
    flags: tuple[str, ...] | None = None
    parser: bool = True
    may_restart: bool = False


@dataclass(frozen=True, slots=True)
class ActivateOwn:
    """Have an account's own engine take up its file, or start it: as that account.

    Attributes:
        engine: the word for its shell functions.
        path: its configuration file.
        how: `none` for an engine that does not run.
        expect, refuse, meanwhile, undo, may_restart: as those of `ActivateDocker`.
        stops: the number of running containers that a restart stops.
    """

    engine: str
    account: str
    path: str
    how: Literal["none", "reload", "restart", "start"]
    expect: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()
    meanwhile: str = field(default="", repr=False)
    undo: str = field(default="", repr=False)
    may_restart: bool = False
    stops: int = 0


@dataclass(frozen=True, slots=True)
class SettleDocker:
    """Replace `ActivateDocker.meanwhile` by the final daemon.json, after all is verified."""


@dataclass(frozen=True, slots=True)
class LoadImage:
    """Load an image from the archive that was sent to the host before the touch."""

    image: Image


@dataclass(frozen=True, slots=True)
class PullImage:
    """Pull an image from the registry in its reference."""

    image: Image


@dataclass(frozen=True, slots=True)
class RunService:
    """Run a service, or replace the service of that name.

    Attributes:
        replaces: the kind of the existing service; the new one's kind when there is none.
    """

    service: Service
    replaces: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Have another host take the address of a service before what that depends on is away.

    Attributes:
        service: the one that moves the address; see `Service.drains`.
    """

    service: Service


@dataclass(frozen=True, slots=True)
class StartService:
    """Start a stopped service whose specification has not changed."""

    service: Service


@dataclass(frozen=True, slots=True)
class ReloadService:
    """Have a service read its files again, while it goes on with what it is at."""

    service: Service


@dataclass(frozen=True, slots=True)
class RemoveService:
    """Stop and remove regfleet's service; its data stays unless `delete` names its directory.

    Attributes:
        kind: the service's kind.
        made: whether regfleet made that directory and removes it when it is empty.
        data: the contents of that directory.
    """

    name: str
    kind: str
    delete: str = ""
    made: bool = False
    data: ObservedData | None = None


@dataclass(frozen=True, slots=True)
class Adopt:
    """Stop a registry made by hand, keep it aside, and give its images to the one that follows.

    Attributes:
        registry: the registry.
        storage: the directory that gets its images; empty when they stay where they are.
    """

    registry: Foreign
    storage: str = ""


@dataclass(frozen=True, slots=True)
class ReturnAdopted:
    """Bring back a registry that stands aside."""

    registry: Adopted


@dataclass(frozen=True, slots=True)
class RemoveImage:
    """Remove an image that regfleet brought and none of its services uses any more.

    Attributes:
        engine: the shell word of the engine that has the image.
    """

    reference: str
    engine: str = "docker"


@dataclass(frozen=True, slots=True)
class LogIn:
    """Run the engine's `login` for one account."""

    login: LoginEntry


@dataclass(frozen=True, slots=True)
class LogOut:
    """Run the engine's `logout` for one account."""

    account: str
    endpoint: str
    engine: str
    file: str


@dataclass(frozen=True, slots=True)
class SettleTimers:
    """Start the timers whose files are there, stop those whose files are gone."""

    names: tuple[str, ...]


Step: TypeAlias = (
    InstallEngine
    | InstallProgram
    | StartEngine
    | ActivateUnit
    | ShowSettings
    | EditFile
    | MakeDirectory
    | PutFile
    | RemovePath
    | ActivateDocker
    | ActivateOwn
    | SettleDocker
    | LoadImage
    | PullImage
    | RunService
    | Drain
    | StartService
    | ReloadService
    | RemoveService
    | Adopt
    | ReturnAdopted
    | RemoveImage
    | LogIn
    | LogOut
    | SettleTimers
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a file's change, for people: a user, a user's password."""

    resource: Resource
    action: Action


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a plan.

    Attributes:
        resource: what changes.
        reason: the place in the fleet file that asks for it, or what drifted.
        diff: the change of the content as unified diff lines; empty when secret or not text.
        parts: the parts that people see instead of the whole, when those say more.
    """

    resource: Resource
    action: Action
    reason: str
    activation: Activation = "none"
    diff: str = ""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one touch will do to one host.

    Attributes:
        engines: words of the engines whose shell functions the steps call.
        services: kinds of services whose shell functions the steps call.
        again: whether these steps only install an engine, and the run looks at the host again
            to plan the rest.
        changes: the changes that people and JSON see.
        steps: the touch's steps, in the order in which it runs them: engines that are installed,
            all files, activation of the engines, images and containers, logins.
        record: the text of the ownership record after the touch.
        expected: SHA-256 by path of files that must not have changed since the look.
        running: the number of containers that run on the host now.
        live_restore: whether containers keep running while the daemon restarts.
        may_restart: whether the touch may restart dockerd when a reload has no effect, as some
            versions need it.
        notes: what people should know and the touch does not change.
        reserved: directories in which other registries on the host keep their images.
    """

    host: str
    changes: tuple[Change, ...] = ()
    steps: tuple[Step, ...] = ()
    record: str = ""
    expected: tuple[tuple[str, str], ...] = ()
    running: int = 0
    live_restore: bool = False
    may_restart: bool = False
    engines: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    again: bool = False
    reserved: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def archives(self) -> tuple[Image, ...]:
        """Images to send before the touch."""
        return tuple(step.image for step in self.steps if isinstance(step, LoadImage))

    @property
    def data(self) -> tuple[ObservedData, ...]:
        """The contents of each storage that the plan deletes."""
        return tuple(
            step.data for step in self.steps if isinstance(step, RemoveService) and step.data
        )

    @property
    def empty(self) -> bool:
        """Whether the plan changes nothing."""
        return not self.changes

    @property
    def activation(self) -> Activation:
        """The activation that disturbs most among the changes: restart, reload or none."""
        return max(
            (change.activation for change in self.changes), key=_WEIGHT.__getitem__, default="none"
        )

    @property
    def containers_affected(self) -> int:
        """Running containers that stop when the daemon restarts."""
        own = [step for step in self.steps if isinstance(step, ActivateOwn)]
        stopped = sum(step.stops for step in own if step.how == "restart")
        spared = any(isinstance(step, ActivateUnit) and not step.stops for step in self.steps)
        docker = any(
            isinstance(step, ActivateDocker) and step.how == "restart" for step in self.steps
        )
        if self.activation != "restart" or self.live_restore or ((spared or own) and not docker):
            return stopped
        return self.running + stopped
