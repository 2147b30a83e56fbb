"""Commands and options (Contract); the other modules of `cli` implement them."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from regfleet import __version__
from regfleet.cli import options
from regfleet.terminal import interrupts
from regfleet.terminal.streams import FaultStream

CONNECTING = {"backup", "collection", "deletion", "doctor", "history", "importing", "inspect"}
CONNECTING |= {"promote", "pruning", "rehearse", "replicate", "rotate", "runs", "up"}
# Modules whose commands start connecting before their imports, and those imports.
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
LOCKS = {"plan": "", "apply": "apply"}  # what locks the state directory, of what begins early
SUDO_VARIABLE = "REGFLEET_SUDO_PASSWORD"  # as in `run.sudo_password`
UNLOGGED = (
    0,
    1,
)  # values of -v without a connection log; with -vv connections wait until the log is set up


class Commands(click.Group):
    """Lists commands in order of declaration, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in order of declaration."""
        del ctx
        return list(self.commands)


# The mark keeps click from filling the lines (its documentation, "Preventing Rewrapping").
HELP = """Private Docker registries and all their clients, from one TOML file.

\b
regfleet up                 a private registry on this machine
regfleet init fleet.toml    a commented fleet file to start from
regfleet plan fleet.toml    what would change, why, and what it disturbs
regfleet apply fleet.toml   make it so, and prove it

FILE is fleet.toml where none is named, and standard input where it is -.
"""


@click.group(cls=Commands, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="regfleet")
def cli() -> None:
    """Private Docker registries and all their clients, from one TOML file."""


@cli.command(short_help="A private registry on this machine, with one command.")
@click.option("--endpoint", help="What clients type; default: this machine's name and :5000.")
@click.option("--user", default="admin", show_default=True, help="The registry's user.")
@click.option(
    "--directory",
    type=options.FILE,
    default=Path("regfleet-up"),
    show_default=True,
    help="Where the fleet file and its state go.",
)
@options.ask_sudo_password
@options.yes
@options.verbose
def up(**given: object) -> NoReturn:
    """A private registry on this machine: TLS, a user, this machine's client, smoke-tested."""
    _run_command("up", "up", **given)


@cli.command(short_help="Write a commented fleet file.")
@click.argument("file", type=options.FILE, default=Path("fleet.toml"))
def init(**given: object) -> NoReturn:
    """Write a commented fleet file (FILE, default fleet.toml)."""
    _run_command("files", "init", **given)


@cli.command("import", short_help="Write a fleet file of what a host has.")
@click.argument("host")
@click.option("--user", help="Log in as this user; default: as OpenSSH does.")
@click.option("--key", type=options.FILE, help="The private key to log in with.")
@click.option("--known-hosts", type=options.FILE, help="The file with the host's key.")
@click.option("--output", type=options.FILE, help="Write this file instead of printing it.")
@options.verbose
def import_(**given: object) -> NoReturn:
    """Write a fleet file of what HOST has: registries, trust, mirrors, logins; changes nothing."""
    _run_command("importing", "import_host", **given)


@cli.command(short_help="Explain the fleet file, or one section of it.")
@click.argument("section", required=False, shell_complete=options.completion("sections"))
@click.option("--schema", is_flag=True, help="Print the JSON Schema, for editors.")
def docs(**given: object) -> NoReturn:
    """Explain the fleet file, or a SECTION of it: client, registry.tls, client.mirrors."""
    _run_command("docs", "docs", **given)


@cli.command()
@options.fleet_file
@options.as_json
def validate(**given: object) -> NoReturn:
    """Check a fleet file; contacts nothing."""
    _run_command("files", "validate", **given)


@cli.command()
@options.fleet_file
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 3 when there are changes.")
@options.prune
@click.option("--no-secrets", is_flag=True, help="Compare without passwords and keys.")
@options.diff
@options.hosts
def plan(**given: object) -> NoReturn:
    """Look at every host and show what would change; changes nothing."""
    _run_command("runs", "plan", **given)


@cli.command(short_help="Make it so: plan, ask, change, smoke-test, report.")
@options.fleet_file
@options.yes
@click.option("--smoke/--no-smoke", default=None, help="Smoke-test all clients, or none.")
@click.option(
    "--approved",
    type=options.FILE,
    metavar="PLAN",
    help="Make no change but those of this plan (of `plan --json --diff`); does not ask.",
)
@options.prune
@click.option("--forget", multiple=True, metavar="HOST", help="Forget a host that is gone.")
@click.option(
    "--new-identity",
    is_flag=True,
    envvar="REGFLEET_NEW_IDENTITY",
    help="Make a CA and passwords anew if they are lost.",
)
@options.diff
@options.junit
@options.hosts
def apply(**given: object) -> NoReturn:
    """Make it so: plan, ask, touch in waves, smoke-test what changed, report."""
    _run_command("runs", "apply", **given)


@cli.command()
@options.fleet_file
@options.junit
@options.hosts
def smoke(**given: object) -> NoReturn:
    """Tag, push, remove and pull an image on every client."""
    _run_command("runs", "smoke", **given)


@cli.command(short_help="How hosts, certificates and registries are; 1 if one needs care.")
@options.fleet_file
@options.metrics
@options.hosts
def status(**given: object) -> NoReturn:
    """Reach, versions, drift, certificates, registries; exit code 1 when something needs care."""
    _run_command("inspect", "status", **given)


@cli.command(short_help="Find what is wrong and say how to mend it; changes nothing.")
@click.argument(
    "file", type=options.FILE, required=False, shell_complete=options.completion("files")
)
@click.option(
    "--explain",
    is_flag=False,
    flag_value="-",
    metavar="[TEXT]",
    help="Explain an error text instead: given here, or piped.",
)
@options.hosts
def doctor(**given: object) -> NoReturn:
    """Find what is wrong with hosts and registries, and say how to mend it; changes nothing."""
    _run_command("doctor", "doctor", **given)


@cli.command(short_help="List repositories, tags, digests, sizes and platforms.")
@options.fleet_file
@click.argument("what", metavar="[REGISTRY[/REPOSITORY]]", default="")
@click.option("--all", "every", is_flag=True, help="Also what the smoke test left empty.")
@options.ask_sudo_password
@options.state_dir
@options.as_json
@options.verbose
def images(**given: object) -> NoReturn:
    """List what registries hold: repositories, tags, digests, sizes, platforms."""
    _run_command("inspect", "images", **given)


@cli.command(short_help="Who may pull, push and delete what.")
@options.fleet_file
@click.argument(
    "what",
    metavar="[USER|REPOSITORY]",
    default="",
    shell_complete=options.completion("users_and_projects"),
)
@options.as_json
def who(**given: object) -> NoReturn:
    """Who may pull, push and delete what: all of it, or of one USER or REPOSITORY."""
    _run_command("who", "who", **given)


@cli.command(short_help="Delete tags; other tags of the same image stay.")
@options.fleet_file
@click.argument(
    "images",
    metavar="REGISTRY/REPOSITORY:TAG...",
    nargs=-1,
    shell_complete=options.completion("images"),
)
@options.yes
@options.dry_run
@options.ask_sudo_password
@options.state_dir
@options.as_json
@options.verbose
def delete(**given: object) -> NoReturn:
    """Delete tags, or digests with all their tags (REGISTRY/REPOSITORY@sha256:...)."""
    _run_command("deletion", "delete", **given)


@cli.command(short_help="Copy images between registries, as declared, now.")
@options.fleet_file
@click.argument(
    "name", metavar="[NAME]", default="", shell_complete=options.completion("replications")
)
@options.dry_run
@options.hosts
def replicate(**given: object) -> NoReturn:
    """Run the replication NAME of the fleet file now, or every one: copy what differs."""
    _run_command("replicate", "replicate", **given)


@cli.command(short_help="Bring an image to a stage, through its gates.")
@click.argument(
    "words",
    metavar="[FILE] STAGE IMAGE:TAG",
    nargs=-1,
    shell_complete=options.completion("stages"),
)
@options.yes
@click.option("--approve", is_flag=True, help="Only record that you approve it.")
@options.dry_run
@options.ask_sudo_password
@options.state_dir
@options.as_json
@options.verbose
def promote(**given: object) -> NoReturn:
    """Bring an image to a STAGE of the fleet file: show it, try the gates, ask, copy, record."""
    _run_command("promote", "promote", **given)


@cli.command(short_help="Set a tag of a stage back to the image before.")
@click.argument(
    "words",
    metavar="[FILE] STAGE IMAGE:TAG",
    nargs=-1,
    shell_complete=options.completion("stages"),
)
@options.yes
@options.dry_run
@options.ask_sudo_password
@options.state_dir
@options.as_json
@options.verbose
def demote(**given: object) -> NoReturn:
    """Set a tag of a STAGE back to the image that was there before."""
    _run_command("promote", "demote", **given)


@cli.command("prune", short_help="Delete the tags that retention does not keep.")
@options.fleet_file
@click.argument("registry", default="", shell_complete=options.completion("registries"))
@options.yes
@options.dry_run
@options.ask_sudo_password
@options.state_dir
@options.as_json
@options.verbose
def prune_(**given: object) -> NoReturn:
    """Delete the tags that the rules of a REGISTRY, or of all, do not keep; asks first."""
    _run_command("pruning", "prune", **given)


@cli.command("gc", short_help="Free the space of images that no tag leads to.")
@options.fleet_file
@options.yes
@options.dry_run
@options.hosts
def collect(**given: object) -> NoReturn:
    """Delete what no tag leads to. Registries take no pushes for some seconds meanwhile."""
    _run_command("collection", "gc", **given)


@cli.command(short_help="Read all images, and say which cannot be pulled.")
@options.fleet_file
@options.hosts
def audit(**given: object) -> NoReturn:
    """Compare every blob with its digest, and follow every tag; changes nothing."""
    _run_command("collection", "audit", **given)


@cli.group(short_help="Replace keys in steps, without a failed pull.")
def rotate() -> None:
    """Replace keys in steps, each of which is proven before the next."""


@rotate.command("tokens", short_help="The keys by which gateways sign tokens.")
@options.fleet_file
@click.argument("registry", default="", shell_complete=options.completion("registries"))
@options.yes
@options.ask_sudo_password
@options.state_dir
@options.verbose
def rotate_tokens(**given: object) -> NoReturn:
    """Give the gateway of a REGISTRY, or of all, a new key for tokens, by two or three applies.

    Run it again some minutes later: then tokens of the former key are accepted no more.
    """
    _run_command("rotate", "tokens", **given)


@cli.command(short_help="Copy all images of registries to the places of their backups.")
@options.fleet_file
@click.argument(
    "name", metavar="[REGISTRY]", default="", shell_complete=options.completion("backed_up")
)
@click.option("--list", "listed", is_flag=True, help="List the backups that are kept.")
@click.option("--verify", is_flag=True, help="Read all that they keep, and name what is damaged.")
@options.dry_run
@options.hosts
def backup(**given: object) -> NoReturn:
    """Copy what a REGISTRY, or every one with a backup, keeps, while people push to it."""
    _run_command("backup", "backup", **given)


@cli.command(short_help="Bring the images of a backup back.")
@options.fleet_file
@click.argument(
    "name", metavar="[REGISTRY]", default="", shell_complete=options.completion("backed_up")
)
@click.option(
    "--to",
    metavar="HOST",
    default="",
    help="Into the registry on this host; default: its own.",
    shell_complete=options.completion("hosts"),
)
@click.option(
    "--at",
    metavar="N",
    type=click.IntRange(min=1),
    help="This backup (backup --list); default: the newest.",
)
@click.option("--overwrite", is_flag=True, help="Also tags that were pushed anew after the backup.")
@click.option(
    "--state",
    "state_alone",
    is_flag=True,
    help="Bring the kept state directory to this machine instead.",
)
@options.yes
@options.dry_run
@options.hosts
def restore(**given: object) -> NoReturn:
    """Bring what a backup of a REGISTRY has back into it, and audit that; nothing is deleted."""
    _run_command("backup", "restore", **given)


@cli.command(short_help="Write a user's login for Kubernetes, a shell or curl.")
@options.fleet_file
@click.argument("registry", default="")
@click.option("--user", metavar="NAME", help="Of several users, this one.")
@click.option(
    "--format",
    type=click.Choice(["dockerconfigjson", "env", "netrc"]),
    default="dockerconfigjson",
    show_default=True,
    help="For Kubernetes and Docker, for a shell, or for curl.",
)
@click.option("--output", type=options.FILE, help="Write this file, with mode 0600.")
@click.option("--show", is_flag=True, help="Print it, password included.")
@options.state_dir
def credentials(**given: object) -> NoReturn:
    """Write a user's login at a REGISTRY in the format of another program."""
    _run_command("credentials", "credentials", **given)


@cli.command(short_help="Go back to what was there before.")
@options.fleet_file
@options.yes
@click.option(
    "--to",
    metavar="RUN",
    type=click.IntRange(min=1),
    help="Take back this run and all later ones; default: the last.",
)
@click.option(
    "--generation",
    type=click.IntRange(min=1),
    metavar="N",
    help="By a host's own number (history --host).",
)
@options.hosts
def rollback(**given: object) -> NoReturn:
    """Take back the last run, on the hosts that it changed."""
    _run_command("history", "rollback", **given)


@cli.command()
@options.fleet_file
@click.option(
    "--host",
    metavar="HOST",
    help="Also what this host keeps of earlier changes.",
    shell_complete=options.completion("hosts"),
)
@click.option("--promotions", is_flag=True, help="Who promoted what, and whether the log is whole.")
@options.ask_sudo_password
@options.state_dir
@options.as_json
@options.verbose
def history(**given: object) -> NoReturn:
    """List earlier runs: when, who, what changed, result."""
    _run_command("history", "history", **given)


@cli.command()
@options.fleet_file
@options.yes
@click.option("--delete-data", is_flag=True, help="Delete the registries' image data, too.")
@options.diff
@options.hosts
def destroy(**given: object) -> NoReturn:
    """Take out what regfleet put in, and nothing else."""
    _run_command("runs", "destroy", **given)


@cli.command(short_help="Try the whole fleet on a throwaway twin of it on this machine.")
@options.fleet_file
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
@click.option("--cache", type=options.FILE, help="Where host images are kept.")
@options.chosen
def rehearse(**given: object) -> NoReturn:
    """Boot a throwaway twin of the fleet here: apply, smoke-test, apply again, destroy."""
    _run_command("rehearse", "rehearse", **given)


def _run_command(module: str, function: str, **given: object) -> NoReturn:
    # Imported modules are never garbage: letting the collector scan them repeatedly takes a tenth
    # of a run with nothing to do (gc, `freeze`; docs/speed.md).
    gc.disable()
    _take_sudo_password(asked=bool(given.pop("ask_sudo_password", False)))
    with interrupts.later():
        command = _load(module, function, given)
    code = command(**given)
    interrupts.end()
    sys.exit(code)


def _load(module: str, function: str, given: Mapping[str, Any]) -> Callable[..., int]:
    """Import a command, and meanwhile begin what takes other machines' time."""
    fleet: object = None
    dialled: Sequence[str] = ()
    if "limit" in given and module in DIALLING:
        fleet, dialled = import_module("regfleet.ssh.dial").begin(
            **{name: given[name] for name in ("file", "limit", "exclude", "parallel")}
        )
    if fleet and function in LOCKS and given["verbose"] in UNLOGGED:
        _begin_run(function, fleet, given)
    if module in CONNECTING:  # pyinfra works with greenlets: before anything opens a socket
        import_module("gevent.monkey").patch_all()
        import_module("gevent").get_hub().exception_stream = FaultStream()
    if dialled and given["verbose"] in UNLOGGED:
        import_module("regfleet.ssh.early").begin(fleet, dialled, given["parallel"])
    for name in DIALLING.get(module, ()) if fleet else ():
        # This polls sockets; 0 would only switch to greenlets that are ready.
        import_module("gevent").sleep(0.001)
        import_module(name)
    if fleet and function == "apply":
        import_module("regfleet.report.html").prepare()
    command: Callable[..., int] = getattr(import_module(f"regfleet.cli.{module}"), function)
    gc.freeze()
    gc.enable()
    return command


def _begin_run(function: str, fleet: object, given: Mapping[str, Any]) -> None:
    """Begin `plan` or `apply`: with kept connections hosts can be looked at already."""
    if given.get("no_secrets"):
        return
    opening = import_module("regfleet.run.opening")
    options = {name: given[name] for name in ("file", "limit", "exclude", "state_dir", "prune")}
    options |= {"locked": LOCKS[function], "forget": given.get("forget", ())}
    opening.begin(opening.Opening(**options), fleet, given["parallel"])


def _take_sudo_password(*, asked: bool) -> None:
    """Take sudo's password from its variable, or ask for it: before anything connects."""
    if asked or os.environ.get(SUDO_VARIABLE):
        module = import_module("regfleet.ssh.sudo_password")
        module.take_variable()
        if asked:
            module.ask()
