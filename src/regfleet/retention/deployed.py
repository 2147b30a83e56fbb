"""What clients of a registry hold and run: a program for each engine, and its answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from shlex import quote

from regfleet import shell
from regfleet.errors import HostError
from regfleet.fleet.model import Fleet
from regfleet.fleet.patterns import meet
from regfleet.fleet.registries import Registry
from regfleet.registry_api import answers
from regfleet.shell import frame
from regfleet.shell.frame import framed, stray

_FIELDS = 4  # of a line `@held REPOSITORY TAG DIGEST`


def served_at(fleet: Fleet, registry: Registry) -> list[Registry]:
    """Where clients get a registry's images that are lost for them with a tag of it. Pure.

    That is the registry; gateways before it; what serves it read-only; caches of it; and copies of
    it that its deletions follow to, with all of theirs.
    """
    of = [
        each
        for rule in registry.retention.rules
        if rule.keep_deployed
        for each in rule.repositories
    ]
    found = {registry.name: registry}
    left = [registry]
    while left:
        one = left.pop()
        more = [
            each
            for each in fleet.registries.values()
            if one.name in (each.read_only_of, *each.before) or fleet.upstream_of(each) is one
        ]
        more += [
            fleet.registries[target]
            for policy in fleet.replications.values()
            if policy.source == one.name and policy.delete and meet(policy.repositories, of)
            for target in policy.targets
        ]
        new = [each for each in more if each.name not in found]
        found |= {each.name: each for each in new}
        left += new
    return list(found.values())


def can_be_asked(engine: str) -> bool:
    """Whether an engine (its shell word) can be asked what it holds."""
    return files("regfleet.engines").joinpath(f"{engine}.retention.sh").is_file()


def render(engine: str, mark: str, account: str = "", accounts: Sequence[str] = ()) -> str:
    """The program for standard input.

    Args:
        account: whose engine it is; empty for the host's own.
        accounts: those that may hold images of their own beside root.
    """
    functions = shell.program("regfleet.retention", engines=(engine,))
    given = f"engine={quote(engine)} engine_account={quote(account)}"
    given += f" held_accounts={quote(' '.join(accounts))}"
    own = shell.text("regfleet.retention", "deployed.sh")
    return frame.around(mark, f"{functions}\n{given}\n{own}")


def parse(
    host: str, lines: Iterable[str], mark: str, endpoints: Iterable[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """What the host holds: names of one registry, and all digests, as `decide.Deployed` has them.

    By its digest an image counts whatever its name: it may have come by a mirror, or under a name
    that the registry had before.

    Args:
        endpoints: where the registry's images are had, as images name it.

    Raises:
        HostError: its engine cannot be asked.
    """
    answer = framed(lines, mark)
    said = [line.rstrip("\n") for line in answer.lines]
    if not answer.ended or "@all" not in said:
        raise HostError(
            host,
            f"its engine does not say which images it holds ({stray(answer) or 'no output'})",
            "see whether the engine runs there; until then everything stays",
        )
    names: set[str] = set()
    digests: set[str] = set()
    prefixes = tuple(f"{each}/" for each in endpoints)
    for line in said:
        fields = line.split(" ")
        if len(fields) != _FIELDS or fields[0] != "@held":
            continue
        _, repository, tag, digest = fields
        if answers.is_tag(tag):
            its = (each for each in prefixes if repository.startswith(each))
            names |= {f"{repository.removeprefix(each)}:{tag}" for each in its}
        # Podman takes all names from an image whose tag is pulled anew, while containers run it
        # (podman-images(1), EXAMPLES).
        if answers.is_digest(digest):
            digests.add(digest)
    return frozenset(names), frozenset(digests)
