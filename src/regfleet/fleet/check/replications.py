"""Cross-checks of `[replication.NAME]`: what is copied where, and whether that can end well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from regfleet.fleet import defaults, patterns
from regfleet.fleet.check import proxies, tables
from regfleet.fleet.findings import Finding, Place, Table, did_you_mean
from regfleet.fleet.toml_text import place as written
from regfleet.fleet.toml_text import shown


class Edge(NamedTuple):
    """One policy's copies to one target.

    Attributes:
        position: the target's place in `to`.
    """

    policy: str
    source: str
    target: str
    position: int
    repositories: tuple[str, ...]
    exclude: tuple[str, ...]

    @property
    def place(self) -> Place:
        """Where the target is written."""
        return ("replication", self.policy, "to", self.position)


def check(document: Table) -> Iterator[Finding]:
    """The mistakes in the policies that the schema cannot find."""
    registries = dict(tables.named(document, "registry"))
    for name, stage in tables.named(document, "promotion"):
        yield from _promotion(("promotion", name), stage, registries)
    edges: list[Edge] = []
    for name, policy in tables.named(document, "replication"):
        place = ("replication", name)
        yield from _registries(place, policy, registries)
        yield from _deletion(place, policy, registries)
        targets = [target for _, target in tables.items(policy, "to")]
        yield from _logins(place, policy, registries, [policy.get("from"), *targets])
        yield from _timer(place, policy, registries)
        yield from _proxy(
            place, policy, [registries.get(n, {}) for n in (policy.get("from"), *targets)]
        )
        edges += _edges(name, policy, registries)
    yield from _two_for_one(edges)
    yield from _cycles(edges, dict(tables.named(document, "replication")))


def _edges(name: str, policy: Table, registries: Mapping[str, Table]) -> Iterator[Edge]:
    if tables.is_broken(policy, "repositories") or tables.is_broken(policy, "exclude"):
        return
    settings = defaults.with_defaults("replication", policy)
    for index, target in tables.items(policy, "to"):
        both = target in registries and policy.get("from") in registries
        if both and target != policy["from"]:
            yield Edge(
                name,
                policy["from"],
                target,
                index,
                tuple(each for each in settings["repositories"] if each is not None),
                tuple(each for each in settings["exclude"] if each is not None),
            )


def meet(one: Edge, two: Edge) -> bool:
    """Whether both may copy one repository."""

    def left(edge: Edge, other: Edge) -> list[str]:
        """The patterns that the other one's `exclude` does not take away as a whole."""
        return [
            each
            for each in edge.repositories
            if not any(patterns.covers(out, each) for out in (*edge.exclude, *other.exclude))
        ]

    return patterns.meet(left(one, two), left(two, one))


def whole_copies(document: Table, source: str, target: str) -> bool:
    """Whether a host of the fleet copies all that a registry has to another one, and only that.

    A policy that the schema refused counts: what is wrong with it is reported already.
    """
    for _, policy in tables.named(document, "replication"):
        if policy.get("from") != source or target not in (policy.get("to") or ()):
            continue
        settings = defaults.with_defaults("replication", policy)
        all_of = settings["repositories"] == ["*"] == settings["tags"] and not settings["exclude"]
        by_itself = "every" in settings and settings["run_on"] != "controller"
        if all_of and by_itself and not settings["delete"]:
            return True
    return False


def _registries(place: Place, policy: Table, registries: Mapping[str, Table]) -> Iterator[Finding]:
    known = f"declared are {', '.join(registries)}" if registries else "none is declared"
    seen: dict[str, int] = {}
    named = [(("from",), policy["from"])] if policy.get("from") is not None else []
    targets = [(("to", index), target) for index, target in tables.items(policy, "to")]
    for where, name in (*named, *targets):
        if name not in registries:
            message = f"no registry {shown(name)} is declared"
            yield Finding((*place, *where), message, did_you_mean(name, registries, known))
    for index, target in tables.items(policy, "to"):
        where = (*place, "to", index)
        if target == policy.get("from"):
            yield Finding(where, "is the registry that the images come from", "leave it out")
        elif seen.setdefault(target, index) != index:
            message = f"is the same as {written((*place, 'to', seen[target]))}"
            yield Finding(where, message, "leave one out")
        elif "proxy" in registries.get(target, {}):
            message = f"{target} is a pull-through cache: it takes no pushes"
            yield Finding(where, message, "it fetches what it is asked for by itself")


def _deletion(place: Place, policy: Table, registries: Mapping[str, Table]) -> Iterator[Finding]:
    if not policy.get("delete"):
        broken = any(tables.is_broken(policy, key) for key in ("delete", "max_delete"))
        if "max_delete" in policy and not broken:
            message = "has no effect: delete is false"
            yield Finding((*place, "max_delete"), message, "write delete = true, or leave it out")
        return
    for _, target in tables.items(policy, "to"):
        registry = registries.get(target)
        if registry and not registry.get("external") and registry.get("delete") is False:
            message = f"registry {target} forbids deletion: registry.{target}.delete is false"
            yield Finding((*place, "delete"), message, "allow it there, or leave delete out here")


def _promotion(place: Place, stage: Table, registries: Mapping[str, Table]) -> Iterator[Finding]:
    ends = {key: stage[key] for key in ("from", "to") if stage.get(key) is not None}
    known = f"declared are {', '.join(registries)}" if registries else "none is declared"
    names = {key: end["registry"] for key, end in ends.items() if end.get("registry") is not None}
    for key, name in names.items():
        where = (*place, key, "registry")
        if name not in registries:
            message = f"no registry {shown(name)} is declared"
            yield Finding(where, message, did_you_mean(name, registries, known))
        elif key == "to" and "proxy" in registries[name]:
            yield Finding(
                where, f"{name} is a pull-through cache: it takes no pushes", "name another"
            )
    same = [(end.get("registry"), end.get("prefix", "")) for end in ends.values()]
    if len(same) == len(("from", "to")) and same[0] == same[1] and None not in same[0]:
        yield Finding((*place, "to"), "is where the images come from", "give it another prefix")
    yield from _logins(place, stage, registries, list(names.values()))
    yield from _proxy(place, stage, [registries.get(name, {}) for name in names.values()])


def _logins(
    place: Place,
    policy: Table,
    registries: Mapping[str, Table],
    taking_part: list[str | None],
) -> Iterator[Finding]:
    if tables.is_broken(policy, "login"):
        return
    logins = policy.get("login") or {}
    for name, user in tables.pairs(policy, "login"):
        where = (*place, "login", name)
        if name not in taking_part:
            message = f"{shown(name)} takes no part in this"
            hint = did_you_mean(name, [each for each in taking_part if each], "leave it out")
            yield Finding(where, message, hint)
            continue
        registry = registries.get(name, {})
        users = dict(registry.get("users") or {})
        reads_only = (registry.get("readonly") or {}).get("users") or {}
        if name == policy.get("from"):
            users |= reads_only
        elif user in reads_only:
            message = f"{shown(user)} can only read {name}, at another port"
            yield Finding(where, message, f"name a user of {written(('registry', name))} itself")
            continue
        if name in registries and user not in users and not tables.is_broken(registry, "users"):
            known = f"its users are {', '.join(users)}" if users else "it has no users"
            message = f"{written(('registry', name))} has no user {shown(user)}"
            yield Finding(where, message, did_you_mean(user, users, known))
    for name in dict.fromkeys(str(each) for each in taking_part if each in registries):
        registry = registries[name]
        open_to_all = name == policy.get("from") and registry.get("readonly", {}) not in ({}, None)
        if open_to_all and not registry["readonly"].get("users"):
            continue  # it reads there
        if registry.get("users") and name not in logins and not registry.get("external"):
            first = next(iter(registry["users"]))
            message = f"registry {name} has users, and there is no login for it"
            hint = f'as in login.{name} = "{first}"'
            yield Finding((*place, "login"), message, hint)


def _proxy(place: Place, policy: Table, taking_part: list[Table]) -> Iterator[Finding]:
    """The mistakes in the HTTP proxy of copies, which is for external registries alone."""
    proxy = policy.get("http_proxy")
    if not isinstance(proxy, dict):
        return
    place = (*place, "http_proxy")
    yield from proxies.check(place, proxy)
    for key in ("http", "https"):
        url = proxy.get(key)  # no text where it is a mistake by itself
        if isinstance(url, str) and url.partition("://")[0] != "http":
            message = "a proxy of copies is reached by http://"
            yield Finding((*place, key), message, "as in http://proxy.example.com:3128")
    outside = [each for each in taking_part if each.get("external")]
    if not outside:
        message = "has no effect: the fleet's own registries are reached directly"
        yield Finding(place, message, "leave it out")
        return
    asked = {"http" if _is_plain(each) else "https" for each in outside}
    given = {key for key in ("http", "https") if key in proxy}
    if given and not asked & given:
        lacking = asked.pop()
        message = f"has no effect: what it is for speaks {lacking}://, and {lacking} is not set"
        yield Finding(place, message, f'as in {lacking} = "http://proxy.example.com:3128"')


def _is_plain(registry: Table) -> bool:
    tls = registry.get("tls")
    return isinstance(tls, dict) and tls.get("source") == "none"


def _timer(place: Place, policy: Table, registries: Mapping[str, Table]) -> Iterator[Finding]:
    """`every` where no host of the fleet could run it."""
    if policy.get("every") is None:
        return
    run_on = defaults.with_defaults("replication", policy)["run_on"]
    if run_on == "controller":
        message = 'does not go with run_on = "controller": regfleet runs only when it is called'
        hint = f"call `regfleet replicate FILE {place[1]}` by cron there, or leave every out"
        yield Finding((*place, "every"), message, hint)
        return
    asked = (
        [policy.get("from")]
        if run_on == "source"
        else [target for _, target in tables.items(policy, "to")]
    )
    for name in asked:
        if registries.get(str(name), {}).get("external"):
            message = f"registry {name} is external: regfleet has no host there to run it"
            other = "source" if run_on == "target" else "target"
            yield Finding(
                (*place, "every"), message, f'write run_on = "{other}", or leave every out'
            )


def _two_for_one(edges: list[Edge]) -> Iterator[Finding]:
    for number, edge in enumerate(edges):
        for before in edges[:number]:
            if before.target == edge.target and before.policy != edge.policy and meet(before, edge):
                message = (
                    f"{edge.target} gets the same repositories by replication.{before.policy}:"
                    " one would overwrite and delete what the other has brought"
                )
                hint = "give them other repositories, or write exclude in one of the two"
                yield Finding(edge.place, message, hint)


def _cycles(edges: list[Edge], policies: Mapping[str, Table]) -> Iterator[Finding]:
    told: set[frozenset[tuple[str, str]]] = set()

    def walk(path: tuple[Edge, ...]) -> Iterator[tuple[Edge, ...]]:
        for following in edges:
            if following.source != path[-1].target or not meet(path[-1], following):
                continue
            if following.target == path[0].source:
                yield (*path, following)
            elif following.target not in {each.source for each in path}:
                yield from walk((*path, following))

    for edge in edges:
        for cycle in walk((edge,)):
            key = frozenset((each.policy, each.target) for each in cycle)
            if key in told or (len(cycle) == 2 and _agree(cycle, policies)):  # noqa: PLR2004
                continue
            told.add(key)
            way = " -> ".join((cycle[0].source, *(each.target for each in cycle)))
            message = f"images would go round for ever: {way}"
            hint = (
                "two registries may copy each other where both policies have delete = false and"
                " say conflict; longer circles need repositories of their own"
            )
            yield Finding(cycle[-1].place, message, hint)


def _agree(cycle: tuple[Edge, ...], policies: Mapping[str, Table]) -> bool:
    """Whether two policies that copy back and forth say which side wins, and delete nothing."""
    both = [policies[edge.policy] for edge in cycle]
    return all("conflict" in each and not each.get("delete") for each in both)
