"""Options and arguments that several commands share (Contract)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import click
from click.shell_completion import CompletionItem

from regfleet.errors import UsageError

F = TypeVar("F", bound=Callable[..., object])
FILE = click.Path(path_type=Path)
USUAL_FILE = Path("fleet.toml")  # what `init` writes


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def file_and_name(file: Path, name: str) -> tuple[Path, str]:
    """The fleet file and a registry's name, where the file may be left out before the name."""
    if name or str(file) == "-" or file.suffix == ".toml" or file.exists():
        return file, name
    return USUAL_FILE, str(file)


def file_and_names(file: Path, names: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """The fleet file and the names behind it, where the file may be left out before them.

    Raises:
        UsageError: there is no name.
    """
    if str(file) == "-" or file.suffix == ".toml" or file.is_file():
        found = (file, tuple(names))
    else:
        found = (USUAL_FILE, (str(file), *names))
    if not found[1]:
        raise UsageError("name what to delete", "REGISTRY/REPOSITORY:TAG, or …@sha256:…")
    return found


def completion(
    function: str,
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """A completion function of `complete`, imported only when the user presses Tab."""

    def offer(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        del parameter
        found: list[CompletionItem] = getattr(import_module("regfleet.cli.complete"), function)(
            context, incomplete
        )
        return found

    return offer


_hosts = completion("hosts")
fleet_file = click.argument(
    "file",
    type=FILE,
    default=USUAL_FILE,
    metavar="[FILE]",
    shell_complete=completion("files"),
)
state_dir = click.option("--state-dir", type=FILE, help="Where CA, passwords and reports are kept.")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
verbose = click.option("-v", "--verbose", count=True, help="Say more; -vv shows pyinfra's log.")
chosen = _options(
    click.option(
        "--limit",
        multiple=True,
        metavar="HOSTS",
        help="Only these hosts or groups: web1,build[01:20],db*,!db3",
        shell_complete=_hosts,
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="HOSTS",
        help="Not these hosts or groups.",
        shell_complete=_hosts,
    ),
    click.option(
        "--parallel", type=click.IntRange(min=1), metavar="N", help="Hosts at the same time."
    ),
    as_json,
    verbose,
)
ask_sudo_password = click.option(
    "--ask-sudo-password",
    is_flag=True,
    help="Ask once for sudo's password on the hosts; it is kept in memory alone.",
)
hosts = _options(chosen, ask_sudo_password, state_dir)
junit = click.option("--junit", type=FILE, help="Write the checks as JUnit XML.")
metrics = click.option(
    "--metrics", type=FILE, help="Also write it for Prometheus, as its textfile collector reads it."
)
prune = click.option(
    "--prune", is_flag=True, help="Also take out hosts that are no longer in the file."
)
dry_run = click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
diff = click.option("--diff", is_flag=True, help="Show what changes inside files.")
