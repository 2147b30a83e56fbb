"""`regfleet rehearse`: try a fleet on a throwaway twin of it on this machine."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
from rich.console import Console
from rich.text import Text

from regfleet.errors import EXIT_FAILED, EXIT_OK, InterruptedCommandError, RegfleetError
from regfleet.fleet.load import load
from regfleet.model.names import counted
from regfleet.rehearse import needs, shown
from regfleet.rehearse.casting import cast
from regfleet.rehearse.images import variant_for
from regfleet.rehearse.likeness import engine_of, in_play
from regfleet.rehearse.production import Production
from regfleet.rehearse.rehearsal import Result
from regfleet.rehearse.venue import Venue, default_cache
from regfleet.report.lines import show, show_text, show_whole
from regfleet.terminal import streams
from regfleet.terminal.console import beside_document

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def rehearse(
    *,
    file: Path,
    limit: tuple[str, ...],
    exclude: tuple[str, ...],
    suite: tuple[str, ...],
    per_group: int,
    keep: bool,
    down: bool,
    cache: Path | None,
    parallel: int | None,
    as_json: bool,
    verbose: int,
) -> int:
    """Boot the twin, apply, apply again, destroy, compare, take the twin down."""
    if verbose > 1:
        streams.log()
    console = beside_document(as_json=as_json)
    told = shown.Told(console, verbose=bool(verbose))
    fleet = load(file, files_needed=False)
    venue = Venue.of(fleet, (cache or default_cache()).absolute(), told.news)
    if down:
        found = venue.take_down()
        show_text(console, "taken down" if found else f"no hosts of {file} were kept")
        return EXIT_OK
    who = cast(fleet, limit=limit, exclude=exclude, suites=suite, per_group=per_group)
    played = in_play(fleet, who)
    kinds = [(suite, variant_for(engine_of(played, name))) for name, suite in who.suites.items()]
    needs.check(venue.cache / "images", kinds)
    several = f"{len(who.suites)} of its {counted(len(fleet.hosts()))}"
    show(
        console,
        "",
        Text.assemble(
            "Rehearsing ",
            (fleet.name, "bold"),
            f" on {several}, in containers on this machine",
        ),
    )
    result = Result(fleet.name)
    with interruptible() as closing:
        production = Production(fleet, who, venue, result, told, keep, parallel, closing)
        try:
            production.run()
        except RegfleetError:
            _show_kept(production, console, file)
            raise
    shown.render(result, console, plan=bool(verbose))
    _show_verdict(production, console, file)
    _show_kept(production, console, file)
    if as_json:
        streams.print_document(shown.document(result))
    return EXIT_OK if result.ok else EXIT_FAILED


def _show_verdict(production: Production, console: Console, file: Path) -> None:
    result = production.result
    if result.ok:
        verdict = "The rehearsal went well."
        following = f"Next: regfleet plan {shlex.quote(str(file))}"
    else:
        stage = next(stage for stage in result.stages if not stage.ok)
        verdict = f"The rehearsal failed: {stage.name}."
        following = "Next: fix the above and rehearse again; --keep leaves the hosts up to look at"
    show(console, "")
    show(console, "", Text(verdict, "bold"))
    if not production.kept:
        show(console, "", following)


def _show_kept(production: Production, console: Console, file: Path) -> None:
    if not production.kept:
        return
    directory, host = production.venue.directory, next(iter(production.result.suites))
    enter = shlex.join(["ssh", "-F", f"{directory}/ssh_config", host])
    look = shlex.join(["regfleet", "status", f"{directory}/fleet.toml"])
    show(console, "", "The hosts are kept.")
    show_whole(console, f"  in:         {enter}")
    show_whole(console, f"  as a fleet: {look}")
    cache = production.venue.cache
    option = [] if cache == default_cache().absolute() else ["--cache", str(cache)]
    away = shlex.join(["regfleet", "rehearse", str(file), "--down", *option])
    show_whole(console, f"  away:       {away}")


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Take the twin down, once, on Ctrl-C, SIGTERM or SIGHUP.

    Yields:
        A function to call when taking down begins: from then on signals only print a message.
    """
    main, closing, interrupted = gevent.getcurrent(), False, False

    def close() -> None:
        nonlocal closing
        closing = True

    def throw() -> None:
        if not closing:
            gevent.get_hub().exception_stream = None  # no tracebacks of interrupted greenlets
            main.throw(KeyboardInterrupt)

    def received(signum: int, frame: object) -> None:
        nonlocal interrupted
        del signum, frame
        again = interrupted or closing
        interrupted = True
        words = "is being taken down: this takes a few seconds" if again else "is taken down"
        streams.say_at_once(f"interrupted: the twin {words}")
        if not again:
            # As gevent's own timeouts do: the handler may run in any greenlet.
            gevent.get_hub().loop.run_callback_threadsafe(throw)

    # Ignored signals stay ignored, as `nohup` wants.
    heeded = [each for each in _SIGNALS if signal.getsignal(each) != signal.SIG_IGN]
    before = {number: signal.signal(number, received) for number in heeded}
    try:
        yield close
    except (KeyboardInterrupt, RegfleetError) as error:
        if interrupted:
            raise InterruptedCommandError(
                "the rehearsal was interrupted; nothing of it is left"
            ) from error
        raise
    finally:
        closing = True
        for number, handler in before.items():
            signal.signal(number, handler)
