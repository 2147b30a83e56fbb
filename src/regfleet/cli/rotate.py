"""The command `rotate tokens`: three steps, each of which `apply` proves before the next."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from regfleet import state_paths
from regfleet.cli.options import file_and_name
from regfleet.cli.runs import apply
from regfleet.errors import EXIT_FAILED, EXIT_OK, UsageError
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet
from regfleet.gateway.policy import TTL
from regfleet.model.names import listed
from regfleet.pki import tokens as keys
from regfleet.report.lines import show_text
from regfleet.state import StateDirectory
from regfleet.terminal.console import people

_LEEWAY = 120  # seconds: a minute that a registry allows, and one that a gateway keeps tokens


def tokens(*, file: Path, registry: str, yes: bool, state_dir: Path | None, verbose: int) -> int:
    """Give gateways new keys for tokens; what was begun is gone on with."""
    file, registry = file_and_name(file, registry)
    fleet = load(file)
    names = _chosen(fleet, registry)
    state = StateDirectory.beside(fleet.path, fleet.name, state_dir)
    applied = partial(_applied, names, file=file, state_dir=state_dir, yes=yes, verbose=verbose)
    with state.lock("rotate"):
        for name in _at(state, names, "one key"):
            keys.accept_next(state, name, datetime.now(timezone.utc))
    if _at(state, names, "both accepted"):
        if not applied("tokens of the next key are accepted, too"):
            return _unfinished()
        with state.lock("rotate"):
            for name in _at(state, names, "both accepted"):
                keys.sign_with_next(state, name)
    if not all(_switched(state, name) for name in names):
        if not applied("the next key signs"):
            return _unfinished()
        with state.lock("rotate"):
            _note_switched(state, names)
    ends = max(_switched(state, name) for name in names) + TTL + _LEEWAY
    if time.time() < ends:
        when = datetime.fromtimestamp(ends + 60, timezone.utc).astimezone().strftime("%H:%M")
        show_text(
            people(),
            "The new key signs. Tokens that the former one signed may be in use for some minutes: "
            f"run this again after {when}, and the registry accepts them no more.",
        )
        return EXIT_OK
    with state.lock("rotate"):
        for name in names:
            keys.forget_former(state, name)
    done = applied("tokens of the former key are accepted no more")
    return EXIT_OK if done else _unfinished()


def _applied(
    names: list[str], what: str, *, file: Path, state_dir: Path | None, yes: bool, verbose: int
) -> bool:
    """Whether all hosts are as the state directory has it now, and proven."""
    show_text(people(), f"{listed(names)}: {what}")
    code = apply(
        yes=yes,
        smoke=None,
        diff=False,
        junit=None,
        file=file,
        limit=(),
        exclude=(),
        parallel=None,
        state_dir=state_dir,
        as_json=False,
        verbose=verbose,
    )
    return code == EXIT_OK


def _chosen(fleet: Fleet, registry: str) -> list[str]:
    """The registries whose gateways get new keys.

    Raises:
        UsageError: there is none, or not that one.
    """
    fronted = [each.name for each in fleet.registries.values() if each.gateway]
    if registry and registry not in fronted:
        there = f"registries with one: {listed(fronted)}" if fronted else "no registry has one"
        raise UsageError(f"{registry} is no registry with a gateway", there)
    if not fronted:
        raise UsageError("no registry of this fleet has a gateway: there are no keys of tokens")
    return [registry] if registry else fronted


def _at(state: StateDirectory, names: list[str], step: keys.Step) -> list[str]:
    return [name for name in names if keys.step(state, name) == step]


def _switched(state: StateDirectory, registry: str) -> int:
    """When the next key had begun to sign; 0 where that is not proven yet."""
    kept = (state.read_text(state_paths.token_switched(registry)) or "").strip()
    return int(kept) if kept.isdigit() and len(kept) < 12 else 0  # noqa: PLR2004 - a time


def _note_switched(state: StateDirectory, names: list[str]) -> None:
    now = str(int(time.time()))
    for name in names:
        if not _switched(state, name):
            state.write_text(state_paths.token_switched(name), now)


def _unfinished() -> int:
    show_text(
        people(stderr=True),
        "The keys are not rotated yet, and every token is accepted as before. Fix the above, and "
        "run this again: it goes on where it was.",
    )
    return EXIT_FAILED
