"""Commands and options (Contract); what they do stands in `commands`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem

from regfleet import __version__
from regfleet.cli import quick
from regfleet.errors import EXIT_FAILED, RegfleetError

F = TypeVar("F", bound=Callable[..., object])
FILE = click.Path(path_type=Path)
CONNECTING = {"doctor", "inspect", "rehearse", "runs", "up"}
# Modules whose commands begin to connect at once, and what they import meanwhile.
DIALLING = {
    "inspect": ("regfleet.engines", "rich.console", "regfleet.run.survey"),
    "runs": (
        "cryptography.x509",
        "regfleet.materials",
        "regfleet.engines",
        "regfleet.run.apply",
        "rich.console",
        "jinja2.environment",
        "regfleet.report.html",
    ),
}
ASKING_FIRST = {"rollback"}  # a host's sshd does not wait for people (LoginGraceTime)
UNLOGGED = (0, 1)  # how verbose; at -vv connections are logged, and wait until there is a log


class Commands(click.Group):
    """Commands in the order in which they are met, not in the alphabet's."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As declared."""
        del ctx
        return list(self.commands)


# The mark keeps click from filling the lines (its documentation, "Preventing Rewrapping").
HELP = """Private Docker registries and all their clients, from one TOML file.

\b
regfleet up                 a private registry on this machine
regfleet init fleet.toml    a commented fleet file to start from
regfleet plan fleet.toml    what would change, why, and what it disturbs
regfleet apply fleet.toml   make it so, and prove it
"""


@click.group(cls=Commands, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="regfleet")
def cli() -> None:
    """Private Docker registries and all their clients, from one TOML file."""


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _completion(
    function: str,
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """What `complete` offers; imported at a Tab only."""

    def offer(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        del parameter
        found: list[CompletionItem] = getattr(import_module("regfleet.cli.complete"), function)(
            context, incomplete
        )
        return found

    return offer


_hosts = _completion("hosts")
fleet_file = click.argument("file", type=FILE, shell_complete=_completion("files"))
state_dir = click.option("--state-dir", type=FILE, help="Where CA, passwords and reports are kept.")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
verbose = click.option("-v", "--verbose", count=True, help="Say more; -vv shows pyinfra's log.")
chosen = _options(
    click.option(
        "--limit",
        multiple=True,
        metavar="HOSTS",
        help="Only these hosts or groups.",
        shell_complete=_hosts,
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="HOSTS",
        help="All but these.",
        shell_complete=_hosts,
    ),
    click.option("--parallel", type=click.IntRange(min=1), help="Hosts at the same time."),
    as_json,
    verbose,
)
hosts = _options(chosen, state_dir)
junit = click.option("--junit", type=FILE, help="Write the checks as JUnit XML.")
yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
diff = click.option("--diff", is_flag=True, help="Show what changes inside files.")


@cli.command()
@click.option("--endpoint", help="What clients type; default: this machine's name and :5000.")
@click.option("--user", default="admin", show_default=True, help="The registry's user.")
@click.option(
    "--directory",
    type=FILE,
    default=Path("regfleet-up"),
    show_default=True,
    help="Where the fleet file and its state go.",
)
@yes
@verbose
def up(**options: object) -> NoReturn:
    """A private registry on this machine: TLS, a user, this machine's client, smoke-tested."""
    _end("up", "up", **options)


@cli.command()
@click.argument("file", type=FILE, default=Path("fleet.toml"))
def init(**options: object) -> NoReturn:
    """Write a commented fleet file (FILE, default fleet.toml)."""
    _end("files", "init", **options)


@cli.command()
@click.argument("section", required=False, shell_complete=_completion("sections"))
@click.option("--schema", is_flag=True, help="Print the JSON Schema, for editors.")
def docs(**options: object) -> NoReturn:
    """Explain the fleet file, or a SECTION of it: client, registry.tls, client.mirrors."""
    _end("docs", "docs", **options)


@cli.command()
@fleet_file
@as_json
def validate(**options: object) -> NoReturn:
    """Check a fleet file; contacts nothing."""
    _end("files", "validate", **options)


@cli.command()
@fleet_file
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 3 when there are changes.")
@diff
@hosts
def plan(**options: object) -> NoReturn:
    """Look at every host and show what would change; changes nothing."""
    _end("runs", "plan", **options)


@cli.command()
@fleet_file
@yes
@click.option("--smoke/--no-smoke", default=None, help="Smoke-test all clients, or none.")
@diff
@junit
@hosts
def apply(**options: object) -> NoReturn:
    """Make it so: plan, ask, touch in waves, smoke-test what changed, report."""
    _end("runs", "apply", **options)


@cli.command()
@fleet_file
@junit
@hosts
def smoke(**options: object) -> NoReturn:
    """Tag, push, remove and pull an image on every client."""
    _end("runs", "smoke", **options)


@cli.command()
@fleet_file
@hosts
def status(**options: object) -> NoReturn:
    """Reach, versions, drift, certificates, registries; exit code 1 when something needs care."""
    _end("inspect", "status", **options)


@cli.command()
@click.argument("file", type=FILE, required=False, shell_complete=_completion("files"))
@click.option(
    "--explain",
    is_flag=False,
    flag_value="-",
    metavar="[TEXT]",
    help="Explain an error text instead: given here, or piped.",
)
@hosts
def doctor(**options: object) -> NoReturn:
    """Find what is wrong with hosts and registries, and say how to mend it; changes nothing."""
    _end("doctor", "doctor", **options)


@cli.command()
@fleet_file
@click.argument("what", metavar="[REGISTRY[/REPOSITORY]]", default="")
@state_dir
@as_json
@verbose
def images(**options: object) -> NoReturn:
    """List what registries hold: repositories, tags, digests, sizes, platforms."""
    _end("inspect", "images", **options)


@cli.command()
@fleet_file
@yes
@click.option(
    "--to",
    "generation",
    type=click.IntRange(min=1),
    help="Back to what was there before this generation; default: before the newest.",
)
@hosts
def rollback(**options: object) -> NoReturn:
    """Go back to the generation before, on each host: files, engine, registry."""
    _end("runs", "rollback", **options)


@cli.command()
@fleet_file
@yes
@click.option("--delete-data", is_flag=True, help="Delete the registries' image data, too.")
@diff
@hosts
def destroy(**options: object) -> NoReturn:
    """Take out what regfleet put in, and nothing else."""
    _end("runs", "destroy", **options)


@cli.command()
@fleet_file
@click.option(
    "--suite",
    multiple=True,
    metavar="[HOSTS=]SUITE",
    help="bookworm (default), trixie or sid, for all hosts or for some: engines of other ages.",
)
@click.option(
    "--per-group",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Of hosts that are declared alike; 0 for all.",
)
@click.option("--keep", is_flag=True, help="Leave the hosts up at the end, and say how to get in.")
@click.option("--down", is_flag=True, help="Take down the hosts that --keep left, and end.")
@click.option("--cache", type=FILE, help="Where host images are kept.")
@chosen
def rehearse(**options: object) -> NoReturn:
    """Boot a throwaway twin of the fleet here: apply, smoke-test, apply again, destroy."""
    _end("rehearse", "rehearse", **options)


def _end(module: str, function: str, **options: object) -> NoReturn:
    with quick.importing():
        dialled: Sequence[str] = ()
        if "limit" in options and module in DIALLING and function not in ASKING_FIRST:
            fleet, dialled = import_module("regfleet.run.dial").begin(
                **{name: options[name] for name in ("file", "limit", "exclude", "parallel")}
            )
        if module in CONNECTING:  # pyinfra works with greenlets: before anything opens a socket
            quick.patch()
            quick.defer("invoke")  # paramiko runs the commands of ssh_config's `Match exec` by it
            quick.defer("yaml")  # for engines whose files are YAML
            quick.defer_checks()
        if dialled and options["verbose"] in UNLOGGED:
            import_module("regfleet.run.early").begin(
                fleet, dialled, options["parallel"], DIALLING[module]
            )
        command = getattr(import_module(f"regfleet.cli.{module}"), function)
    sys.exit(command(**options))


def main() -> None:
    """The `regfleet` command: errors become a message and an exit code, never a traceback."""
    try:
        cli.main(prog_name="regfleet", standalone_mode=True)
    except RegfleetError as error:
        _show_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone; there is nobody to tell
        sys.exit(EXIT_FAILED)
    finally:
        quick.ending()


def _show_error(error: RegfleetError) -> None:
    # Imported here: most runs have no error, and completion is to be quick.
    lines, rich = import_module("regfleet.report.lines"), import_module("rich.console")
    lines.show_text(rich.Console(stderr=True, highlight=False), f"error: {error}")
