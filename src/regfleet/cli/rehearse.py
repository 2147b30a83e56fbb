"""`regfleet rehearse`: a fleet's whole life on a throwaway twin of it, on this machine."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import gevent
from rich.console import Console
from rich.markup import escape

from regfleet.errors import EXIT_FAILED, EXIT_OK, RegfleetError
from regfleet.fleet.load import load
from regfleet.rehearse import needs, shown
from regfleet.rehearse.casting import cast
from regfleet.rehearse.images import variant_for
from regfleet.rehearse.likeness import engine_of, in_play
from regfleet.rehearse.production import Production
from regfleet.rehearse.rehearsal import Result
from regfleet.rehearse.venue import Venue, default_cache

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
    """Boot the twin, apply, apply again, destroy, compare; then all is taken down."""
    if verbose > 1:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
        logging.getLogger("paramiko").setLevel(logging.INFO)
    console = Console(stderr=as_json, highlight=False)
    told = shown.Told(console, verbose=bool(verbose))
    fleet = load(file, files_needed=False)
    venue = Venue.of(fleet, (cache or default_cache()).absolute(), told.news)
    if down:
        found = venue.take_down()
        console.print("taken down" if found else f"no hosts of {escape(str(file))} were kept")
        return EXIT_OK
    who = cast(fleet, limit=limit, exclude=exclude, suites=suite, per_group=per_group)
    played = in_play(fleet, who)
    kinds = [(suite, variant_for(engine_of(played, name))) for name, suite in who.suites.items()]
    needs.check(venue.cache / "images", kinds)
    console.print(
        f"Rehearsing [bold]{escape(fleet.name)}[/] on {len(who.suites)} of its "
        f"{len(fleet.hosts())} hosts, in containers on this machine",
        soft_wrap=True,
    )
    result = Result(fleet.name)
    with interruptible() as closing:
        production = Production(fleet, who, venue, result, told, keep, parallel, closing)
        try:
            production.run()
        except RegfleetError:
            _say_kept(production, console, file)
            raise
    shown.render(result, console, plan=bool(verbose))
    _last_words(production, console, file)
    _say_kept(production, console, file)
    if as_json:
        click.echo(shown.document(result))
    return EXIT_OK if result.ok else EXIT_FAILED


def _last_words(production: Production, console: Console, file: Path) -> None:
    result = production.result
    if result.ok:
        verdict = "The rehearsal went well."
        following = f"Next: regfleet plan {shlex.quote(str(file))}"
    else:
        stage = next(stage for stage in result.stages if not stage.ok)
        verdict = f"The rehearsal failed: {stage.name}."
        following = "Next: mend the above and rehearse again; --keep leaves the hosts up to look at"
    console.print(f"\n[bold]{verdict}[/]")
    if not production.kept:
        console.print(following, soft_wrap=True)


def _say_kept(production: Production, console: Console, file: Path) -> None:
    if not production.kept:
        return
    directory, host = production.venue.directory, next(iter(production.result.suites))
    console.print(
        "The hosts are kept.\n"
        f"  in:         ssh -F {directory}/ssh_config {escape(host)}\n"
        f"  as a fleet: regfleet status {directory}/fleet.toml\n"
        f"  away:       {escape(shlex.join(_again('--down', str(file))))}",
        soft_wrap=True,
    )


def _again(option: str, file: str) -> list[str]:
    """The command line to take down what this one has left."""
    cache = [word for word in sys.argv if word.startswith("--cache=")]
    if "--cache" in sys.argv[:-1]:
        cache = ["--cache", sys.argv[sys.argv.index("--cache") + 1]]
    return ["regfleet", "rehearse", file, option, *cache]


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Ctrl-C, an end of the session or of the machine: what was begun is taken down, once.

    Yields:
        To be called when that begins: from then on signals are only answered with words.
    """
    main, closing, interrupted = gevent.getcurrent(), False, False

    def close() -> None:
        nonlocal closing
        closing = True

    def throw() -> None:
        if not closing:
            gevent.get_hub().exception_stream = None  # what is cut off has nothing to say
            main.throw(KeyboardInterrupt)

    def received(signum: int, frame: object) -> None:
        nonlocal interrupted
        del signum, frame
        again = interrupted or closing
        interrupted = True
        words = "is being taken down: this takes a few seconds" if again else "is taken down"
        os.write(2, f"interrupted: the twin {words}\n".encode())
        if not again:
            # As gevent's own timeouts do: the handler may run in any greenlet.
            gevent.get_hub().loop.run_callback_threadsafe(throw)

    # What is ignored stays so: `nohup` means it.
    heeded = [each for each in _SIGNALS if signal.getsignal(each) != signal.SIG_IGN]
    before = {number: signal.signal(number, received) for number in heeded}
    try:
        yield close
    except (KeyboardInterrupt, RegfleetError) as error:
        if interrupted:
            raise RegfleetError("interrupted before its end; nothing of it is left") from error
        raise
    finally:
        closing = True
        for number, handler in before.items():
            signal.signal(number, handler)
