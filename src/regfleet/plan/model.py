"""A plan: typed changes, what each needs and disturbs, and the steps that make them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from regfleet.desired.model import Container, Directory, File, Image, LoginEntry

Action = Literal["create", "update", "delete", "run"]
Activation = Literal["none", "reload", "restart"]

_WEIGHT: dict[Activation, int] = {"none": 0, "reload": 1, "restart": 2}


@dataclass(frozen=True, slots=True)
class InstallEngine:
    """Install packages with the host's package manager, and see the engine answer.

    Attributes:
        packages: one that ends in `?` is taken where the host's sources have it.
        engine: the word for its shell functions; WORD_installed starts it where that is needed.
    """

    manager: str
    packages: tuple[str, ...]
    engine: str = "docker"


@dataclass(frozen=True, slots=True)
class StartEngine:
    """Start a Docker engine that does not run."""


@dataclass(frozen=True, slots=True)
class ActivateUnit:
    """Reload or restart an engine's service, other than Docker's, and see the engine answer.

    Attributes:
        engine: the word for its shell functions.
        how: `start` for one that does not run.
        stops: whether a restart stops Docker's containers.
    """

    engine: str
    unit: str
    how: Literal["reload", "restart", "start"]
    stops: bool = True


@dataclass(frozen=True, slots=True)
class EditFile:
    """Replace a file that others write too; its mode stays. What stood there first is kept.

    Attributes:
        mode: of a file that is new; 0o600 is for one that is there as well.
        foreign: it is there and nothing in it is ours yet.
        engine: the word of the engine whose WORD_accepts judges the new text before it is put
            in place; empty for none.
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
    """Write a file that is wholly ours."""

    file: File
    foreign: bool  # it is there and is not ours: kept aside, to come back when ours goes


@dataclass(frozen=True, slots=True)
class RemovePath:
    """Take out a file of ours (what was there before comes back) or an empty directory of ours."""

    path: str
    directory: bool = False


@dataclass(frozen=True, slots=True)
class EditDaemon:
    """Replace daemon.json.

    Attributes:
        active: the text while the daemon takes it up, with explicit empties for removed keys;
            None where the file stays as it is and something else is to be taken up.
        final: the text that stays, or None when the file goes.
        undo: the old text, with explicit empties for keys that are new: what makes the daemon
            forget them when the touch has to be taken back.
        expect: lines that the live daemon must show afterwards, and `refuse` those it must not.
        flags: the arguments that it starts with from now on, None where they are as they were.
        parser: whether the engine may have one that validates and does not start.
    """

    path: str
    active: str | None = field(repr=False)
    final: str | None = field(repr=False)
    undo: str = field(repr=False)
    activation: Activation
    expect: tuple[str, ...]
    refuse: tuple[str, ...]
    flags: tuple[str, ...] | None = None
    parser: bool = True


@dataclass(frozen=True, slots=True)
class PullImage:
    """Get an image from where its name says."""

    image: Image


@dataclass(frozen=True, slots=True)
class RunContainer:
    """Run a container, or replace it by one of another specification."""

    container: Container


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Start a container that is as it should be but does not run."""

    container: Container


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Stop and remove a container of ours; its data stays unless `delete` names the directory."""

    name: str
    fleet: str
    delete: str = ""


@dataclass(frozen=True, slots=True)
class RemoveImage:
    """Remove an image that came with us and that no container of ours uses any more."""

    reference: str


@dataclass(frozen=True, slots=True)
class LogIn:
    """The engine's `login` for one account."""

    login: LoginEntry


@dataclass(frozen=True, slots=True)
class LogOut:
    """The engine's `logout` for one account."""

    account: str
    endpoint: str
    engine: str = "docker"
    file: str = ".docker/config.json"


Step: TypeAlias = (
    InstallEngine
    | StartEngine
    | ActivateUnit
    | EditFile
    | MakeDirectory
    | PutFile
    | RemovePath
    | EditDaemon
    | PullImage
    | RunContainer
    | StartContainer
    | RemoveContainer
    | RemoveImage
    | LogIn
    | LogOut
)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a plan.

    Attributes:
        resource: what changes: `file /etc/...`, `daemon.json insecure-registries`, ...
        reason: why: the place in the fleet file that asks for it, or what drifted.
        diff: what changes inside, as unified diff lines; empty where secret or not text.
    """

    resource: str
    action: Action
    reason: str
    activation: Activation = "none"
    diff: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one touch will do to one host.

    Attributes:
        engines: words of the engines whose shell functions the steps call.
        again: these steps only install: the host is looked at again for the rest.
        changes: what people and JSON see.
        steps: what the touch does, in the order in which it does it.
        record: the ownership record's text afterwards.
        expected: SHA-256 by path of what was looked at and must not have changed since.
        archives: images to send before the touch.
        running: containers that run on the host now; `live_restore`: they survive restarts.
        may_restart: a reload that does not take may be followed by a restart (a known quirk).
    """

    host: str
    changes: tuple[Change, ...] = ()
    steps: tuple[Step, ...] = ()
    record: str = ""
    expected: tuple[tuple[str, str], ...] = ()
    archives: tuple[Image, ...] = ()
    running: int = 0
    live_restore: bool = False
    may_restart: bool = False
    engines: tuple[str, ...] = ("docker",)
    again: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.changes

    @property
    def activation(self) -> Activation:
        """The heaviest activation among the changes."""
        return max(
            (change.activation for change in self.changes), key=_WEIGHT.__getitem__, default="none"
        )

    @property
    def containers_affected(self) -> int:
        """Running containers that stop when the daemon restarts."""
        spared = any(isinstance(step, ActivateUnit) and not step.stops for step in self.steps)
        docker = any(
            isinstance(step, EditDaemon) and step.activation == "restart" for step in self.steps
        )
        if self.activation != "restart" or self.live_restore or (spared and not docker):
            return 0
        return self.running
