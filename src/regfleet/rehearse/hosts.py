"""The hosts of a twin before and after a rehearsal: made like the fleet's, and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from shlex import quote

from regfleet.errors import HostError
from regfleet.rehearse.likeness import Part
from regfleet.rehearse.twin import Twin

# Of each account; the rest of its home is not ours.
_OF_HOMES = (".docker", ".config/containers", ".config/containerd")
_OF_HOSTS = ("/var/lib/regfleet",)

# Where regfleet writes on a host; an engine that it installs brings more of its own.
PLACES = (
    "/etc/docker/certs.d",
    "/etc/docker/daemon.json",
    "/etc/containerd/certs.d",
    "/etc/containers/certs.d",
    "/etc/regfleet",
    "/var/lib/regfleet",
)


def prepare(twin: Twin, parts: Iterable[Part], away: Iterable[str]) -> None:
    """Make the hosts what they have to be: accounts, addresses, what they cannot reach.

    Args:
        twin: its hosts are up.
        parts: one for each host.
        away: names and addresses that none is to reach.

    Raises:
        HostError: something cannot be made.
    """
    parts = tuple(parts)
    owners = {address: part.name for part in parts for address in part.addresses}

    def one(part: Part) -> None:
        calls = [f"engine {quote(part.engine)}"]
        calls += [f"login {quote(part.login)} {'yes' if part.sudo else 'no'}"]
        calls += [f"account {quote(name)}" for name in part.accounts]
        calls += [
            f"{'address' if owner == part.name else 'route'} {quote(address)}"
            for address, owner in owners.items()
        ]
        calls += [f"away {quote(name)}" for name in away]
        calls += [f"upstream {part.upstream_port}"] if part.upstream_port else []
        _run(twin, part, calls)

    _each(one, parts)


def traces(twin: Twin, parts: Iterable[Part]) -> dict[str, str]:
    """What is on each host wherever regfleet could leave something, for `compare`.

    Raises:
        HostError: a host cannot be looked at.
    """

    def one(part: Part) -> str:
        accounts = ("root", part.login, *part.accounts)
        homes = [f'"$(getent passwd {quote(name)} | cut -d: -f6)"' for name in accounts]
        places = [quote(place) for place in (*_OF_HOSTS, *part.storage)]
        places += [f"{home}/{place}" for home in dict.fromkeys(homes) for place in _OF_HOMES]
        return _run(twin, part, [" ".join(["traces", *places])])

    parts = tuple(parts)
    return dict(zip([part.name for part in parts], _each(one, parts), strict=True))


def compare(before: str, after: str, *, installed: bool = False) -> tuple[str, ...]:
    """What is otherwise on a host than it was, each in a few words. Pure.

    Args:
        before: its traces.
        after: its traces later.
        installed: whether its engine was installed in between; then only places count where
            regfleet writes.
    """
    old, new = _things(before), _things(after)
    found = [f"left: {name}" for name in new if name not in old]
    found += [f"gone: {name}" for name in old if name not in new]
    found += [f"changed: {name}" for name in old if name in new and old[name] != new[name]]
    if not installed:
        return tuple(found)
    return tuple(text for text in found if any(f" {place}" in text for place in PLACES))


def _things(text: str) -> Mapping[str, frozenset[str]]:
    """By kind and name. A file has a mode and a content: one thing, by its path."""
    found: dict[str, frozenset[str]] = {}
    for line in text.splitlines():
        name, _, what = line.partition("\t")
        kind, _, rest = name.partition(" ")
        key = rest if kind in ("mode", "file") else name
        found[key] = found.get(key, frozenset()) | {f"{kind} {what}"}
    return found


def _run(twin: Twin, part: Part, calls: Iterable[str]) -> str:
    program = files("regfleet.rehearse").joinpath("hosts.sh").read_text()
    done = twin.hosts[part.name].run("\n".join([program, *calls]))
    if done.returncode != 0:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise HostError(
            part.name,
            f"{part.name} cannot be made like the fleet's host: {said}",
            f"leave it out: --exclude {part.name}",
        )
    return done.stdout


def _each(work: Callable[[Part], str | None], parts: tuple[Part, ...]) -> list[str]:
    with ThreadPoolExecutor(max_workers=8) as pool:
        return [text or "" for text in pool.map(work, parts)]
