"""Run copies now: on their hosts, or from this machine through the ways that `images` uses."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from regfleet import state_paths
from regfleet.errors import HostError, RegfleetError, UsageError
from regfleet.fleet.copies import Copy, copies
from regfleet.fleet.findings import did_you_mean
from regfleet.fleet.machines import Host
from regfleet.fleet.model import Fleet
from regfleet.fleet.policies import Promotion, Replication
from regfleet.fleet.registries import Registry
from regfleet.fleet.values import Json
from regfleet.materials import copies_password
from regfleet.model.copies import CopyOutcome
from regfleet.registry_api.bounds import Allowance, Bounds
from regfleet.registry_api.tunnel import Dial
from regfleet.replication import engine, now, outcome
from regfleet.replication.settings import DEADLINE, proxy, settings
from regfleet.run.asking import Asking
from regfleet.run.known import Known
from regfleet.run.progress import Stage, Verdict, words_of
from regfleet.shell.how_far import Ear, Heard, HowFar
from regfleet.state import StateDirectory

T = TypeVar("T")

_WHOLE = Bounds(2 * DEADLINE, 1 << 60)  # the engine has bounds of its own


class Hosts(Protocol):
    """Connections to hosts: `session.Session`."""

    def run(self, name: str, program: str, seconds: float, heard: Heard | None = None) -> list[str]:
        """Run a program; the lines of its output, and its pieces to `heard` as they come."""

    def tunnel(self, name: str, port: int, address: str = "127.0.0.1") -> Dial | None:
        """A tunnel to a port at an address of the host; None if the host is this machine."""

    def each(
        self, work: Callable[[str], T], names: Iterable[str]
    ) -> Iterator[tuple[str, T | RegfleetError]]:
        """Do the work for each host; an error is that host's result."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one copy.

    Attributes:
        outcome: None if it did not run; then `error` and `hint` say why.
    """

    copy: Copy
    outcome: CopyOutcome | None = None
    error: str = ""
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether the target has everything."""
        return self.outcome is not None and self.outcome.ok


def chosen(fleet: Fleet, name: str, hosts: Sequence[str] | None) -> list[Copy]:
    """The copies to run.

    Args:
        name: a policy, or `POLICY.TARGET`; empty for all.
        hosts: only copies that run on these hosts; None for all, those from here included.

    Raises:
        UsageError: there is no such policy, or none is left.
    """
    every = copies(fleet)
    found = copies(fleet, [name] if name else ())
    if name and not found:
        known = list(dict.fromkeys((*fleet.replications, *(each.name for each in every))))
        raise UsageError(
            f"there is no replication {name} in {fleet.path.name}",
            did_you_mean(name, known, f"declared are {', '.join(known)}" if known else ""),
        )
    if not found:
        raise UsageError(
            f"{fleet.path.name} declares no replication", "write [replication.NAME] with from, to"
        )
    if hosts is None:
        return found
    left = [each for each in found if each.host and each.host.name in hosts]
    if not left:
        runners = sorted({each.host.name for each in found if each.host}) or ["this machine"]
        message = "none of these copies runs on the chosen hosts"
        raise UsageError(message, f"they run on {', '.join(runners)}")
    return left


@dataclass(frozen=True, slots=True)
class Copying:
    """Runs copies.

    Attributes:
        stage: shows how far they are, by their names.
        dry: whether they only compare.
    """

    known: Known
    hosts: Hosts
    state: StateDirectory
    stage: Stage
    dry: bool

    def all(self, chosen_copies: Sequence[Copy]) -> list[Result]:
        """Those of each host one after another, hosts in parallel, then those from here."""
        by_host: dict[str, list[Copy]] = {}
        for each in chosen_copies:
            if each.host:
                by_host.setdefault(each.host.name, []).append(each)

        def on_host(name: str) -> list[Result]:
            return [self.one(each) for each in by_host[name]]

        results: dict[str, Result] = {}
        for name, found in self.hosts.each(on_host, list(by_host)):
            ended = (
                [Result(each, None, found.message, found.hint) for each in by_host[name]]
                if isinstance(found, RegfleetError)
                else found
            )
            results |= {each.copy.name: each for each in ended}
        for copy in chosen_copies:
            if copy.name not in results:
                results[copy.name] = self.one(copy)
        return [results[each.name] for each in chosen_copies]

    def one(self, copy: Copy) -> Result:
        """Run one copy."""
        return self.stage.watched(lambda _: self._result(copy), "copying", _verdict)(copy.name)

    def _result(self, copy: Copy) -> Result:
        def tell(far: HowFar) -> None:
            self.stage.step(copy.name, words_of(far))

        try:
            if copy.host:
                return Result(copy, _on_host(copy, self.known, self.hosts, dry=self.dry, tell=tell))
            found = _from_here(copy, self.known, self.hosts, self.state, dry=self.dry, tell=tell)
            return Result(copy, found)
        except RegfleetError as error:
            return Result(copy, None, error.message, error.hint)


def _verdict(name: str, result: Result) -> Verdict:
    del name
    return "done" if result.ok else "failed"


def check_known(known: Known, registries: Iterable[Registry], logins: Mapping[str, str]) -> None:
    """Raise why a CA or a password is not known, if one that is needed is not."""
    for registry in registries:
        known.registries[registry.name].trusted()
    for name, user in logins.items():
        found = known.registries[name]
        if user not in found.passwords:
            raise next(
                iter(found.password_errors),
                UsageError(f"the password of {user} at registry {name} is not known", ""),
            )


def way_out(known: Known, policy: Replication | Promotion, host: Host | None) -> dict[str, Json]:
    """The HTTP proxy of a policy, as of `settings.proxy`.

    Raises:
        PasswordError: its password cannot be read.
    """
    return proxy(known.fleet, policy.http_proxy, copies_password(policy), host)


def _on_host(
    copy: Copy, known: Known, hosts: Hosts, *, dry: bool, tell: Callable[[HowFar], None]
) -> CopyOutcome:
    check_known(known, (copy.source, copy.target), dict(copy.users))
    if copy.host is None:
        raise TypeError(copy.name)
    mark = secrets.token_hex(8)
    by = way_out(known, copy.policy, copy.host)
    program = now.render(settings(copy, known.materials().registries, by=by), mark, dry=dry)
    lines = hosts.run(copy.host.name, program, DEADLINE + 120, Ear(mark, tell).hear)
    return now.parse(copy.host.name, lines, mark)


def _from_here(
    copy: Copy,
    known: Known,
    hosts: Hosts,
    state: StateDirectory,
    *,
    dry: bool,
    tell: Callable[[HowFar], None],
) -> CopyOutcome:
    check_known(known, (copy.source, copy.target), dict(copy.users))
    asking = Asking(known.registries, hosts)
    found = settings(
        copy,
        known.materials().registries,
        state=str(state.path_of(state_paths.REPLICATION)),
        connect={},
        by=way_out(known, copy.policy, None),
    )
    dials = tuple(
        None if each.external else dial(asking, each) for each in (copy.source, copy.target)
    )
    try:
        run = engine.Run(
            found,
            dry,
            lambda done, of, size: tell(HowFar("tags", done, of, size)),
            (dials[0], dials[1]),
        )
        return outcome.parse(run.run())
    except (engine.Problem, OSError, ValueError) as error:
        raise HostError(copy.name, f"the copy did not run: {error}") from error


def dial(asking: Asking, registry: Registry) -> Callable[[], object]:
    """Opens connections to a registry of the fleet for the engine, which knows OSError alone."""
    target = asking.target(registry)

    def connect() -> object:
        allowance = Allowance(_WHOLE, registry.endpoint)
        try:
            return (
                target.connect_tls(allowance=allowance) if target.tls else target.connect(allowance)
            )
        except RegfleetError as error:
            raise OSError(error.message) from error

    return connect
