"""The fleet file that `regfleet import` writes. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from regfleet.fleet import toml_text
from regfleet.model.foreign import Foreign
from regfleet.model.imported import Imported, OwnDocker

_ENDPOINT = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_WIDTH = 96


@dataclass(slots=True)
class _Registry:
    """A table `[registry.NAME]`: its keys, and lines of comments before it."""

    endpoint: str
    keys: dict[str, object]
    notes: list[str] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=dict)


def render(found: Imported, host: str, address: str, ssh: Mapping[str, object], when: str) -> str:
    """A commented fleet file of what a host has.

    Args:
        host: the host's name in the file.
        address: what it was reached at.
        ssh: keys of `[ssh]`.
        when: the moment, for people.
    """
    registries = _registries(found, host, address)
    lines = [
        *_comment(f"What {address} has, as `regfleet import` found it on {when}."),
        *_comment(
            "Passwords, hashes and keys were not read. A password that is named by a variable has "
            "to be given before `apply`: the one that clients use now, or a new one."
        ),
        *_comment("Check it, then: regfleet validate FILE, regfleet plan FILE."),
        "version = 1",
        f"name = {toml_text.value(_word(host))}",
        *([] if not ssh else ["", "[ssh]", *_pairs(ssh)]),
    ]
    for service, fleet in found.ours.items():
        lines += ["", *_comment(f"{service} is of the fleet {fleet}, and left out: see its file.")]
    place = address if host == address else {"name": host, "address": address}
    for name, each in registries.items():
        lines += ["", *(line for note in each.notes for line in _comment(note))]
        keys = each.keys if each.keys.get("external") else {"hosts": [place], **each.keys}
        lines += [f"[registry.{toml_text.key(name)}]", *_pairs(keys)]
        for user, variable in each.users.items():
            password = {"password": {"env": variable}}
            lines.append(f"users.{toml_text.key(user)} = {toml_text.value(password)}")
    clients = [*_clients(found, host, place, registries)]
    lines += clients
    if not (registries or clients):
        lines += ["", *_comment("No registry, trust, mirror or login was found there.")]
    return "\n".join(lines) + "\n"


def _registries(found: Imported, host: str, address: str) -> dict[str, _Registry]:
    named: dict[str, _Registry] = {}
    for each in found.registries:
        name = "main" if not named else f"main{len(named) + 1}"
        named[name] = _here(each, found, address, name)
    known = {each.endpoint for each in named.values()}
    for endpoint in (*found.insecure, *(name for own in found.own for name in own.insecure)):
        if endpoint not in known and _ENDPOINT.fullmatch(endpoint):
            known.add(endpoint)
            keys: dict[str, object] = {"tls": {"source": "none"}}
            note = "In insecure-registries: without TLS, or with a certificate that is not checked."
            named[_name(endpoint, named)] = _external(endpoint, note, keys)
    own = (pair for each in found.own for pair in each.trusted.items())
    for endpoint, file in (*found.trusted.items(), *own):
        if endpoint not in known and _ENDPOINT.fullmatch(endpoint):
            known.add(endpoint)
            note = (
                f"Its CA is {file} on {host}. Copy that beside this file and write "
                'tls = { source = "files", ca = "FILE" }; as it stands here, regfleet adds no CA.'
            )
            named[_name(endpoint, named)] = _external(endpoint, note, {})
    for _, endpoint, user in found.logins:
        if endpoint not in known and _ENDPOINT.fullmatch(endpoint):
            known.add(endpoint)
            named[_name(endpoint, named)] = _external(endpoint, "Accounts are logged in to it.", {})
        _add_user(named, endpoint, user)
    return named


def _add_user(named: dict[str, _Registry], endpoint: str, user: str) -> None:
    for name, each in named.items():
        if each.endpoint == endpoint and user != "-":
            each.users.setdefault(user, _variable(name, user))
            _allow_plaintext(each)


def _allow_plaintext(each: _Registry) -> None:
    if each.keys.get("tls") == {"source": "none"} and "allow_plaintext_passwords" not in each.keys:
        each.keys["allow_plaintext_passwords"] = True
        each.notes.append("Its users' passwords go over the network in plain text.")


def _here(registry: Foreign, found: Imported, address: str, name: str) -> _Registry:
    """A registry that runs on the host."""
    endpoint = _endpoint(registry.port or 5000, found, address)
    image = f", image {registry.image}" if registry.image else ""
    notes = [f"The {registry.kind} {registry.name}{image}: {registry.words}."]
    if not registry.port:
        notes.append("Its port could not be found out: 5000 is assumed.")
    if not endpoint.startswith(f"{address}:"):
        notes.append(f"{endpoint} is what the host itself calls it.")
    keys: dict[str, object] = {"endpoint": endpoint, "adopt": True}
    if registry.kind == "unit":
        keys["runtime"] = "package"
    if registry.obstacle:
        notes.append(f"It cannot be adopted: {registry.obstacle}. To do: {registry.advice}.")
    elif not registry.source or registry.volume:
        notes.append("Its images are copied to `storage` when it is adopted.")
    if registry.source and not registry.volume:
        keys["storage"] = registry.source
    made = _Registry(endpoint, keys, notes)
    _serve_alike(made, registry)
    made.users = {user: _variable(name, user) for user in registry.users}
    if made.users:
        _allow_plaintext(made)
    return made


def _endpoint(port: int, found: Imported, address: str) -> str:
    """What the host itself calls a registry of its own; its address where it has no name for it."""
    known = (*found.insecure, *found.trusted, *(endpoint for _, endpoint, _ in found.logins))
    same = [
        each
        for each in dict.fromkeys(known)
        if each.endswith(f":{port}") and _ENDPOINT.fullmatch(each)
    ]
    named = [each for each in same if re.split("[.:]", each)[0] == found.name.partition(".")[0]]
    if f"{address}:{port}" in same or not (named or len(same) == 1):
        return f"{address}:{port}"
    return (named or same)[0]


def _serve_alike(made: _Registry, registry: Foreign) -> None:
    """TLS, upstream and deletion as they are now, or what cannot be kept."""
    if registry.certificate:
        made.notes.append(
            f"Its certificate is {registry.certificate}, as it sees that. To keep it, copy it and "
            "its key beside this file and write tls = { source = "
            '"files", certificate = "FILE", key = "FILE" }; as it stands here, it gets a new one.'
        )
    else:
        made.keys["tls"] = {"source": "none"}
    if registry.upstream:
        made.keys["proxy"] = registry.upstream
        made.notes.append("It is a pull-through cache; a login at its upstream was not read.")
    elif not registry.deletes:
        made.keys["delete"] = False


def _external(endpoint: str, note: str, keys: dict[str, object]) -> _Registry:
    return _Registry(endpoint, {"external": True, "endpoint": endpoint, **keys}, [note])


def _clients(
    found: Imported, host: str, place: object, registries: Mapping[str, _Registry]
) -> Iterator[str]:
    """The tables of the host's own Docker and of accounts'; a file has one engine of a host."""
    theirs = {each.account for each in found.own}
    taken = found.engine
    if taken:
        its = tuple(each for each in found.logins if each[0] not in theirs)
        only = {name for own in found.own for name in (*own.insecure, *own.trusted)}
        only |= {endpoint for account, endpoint, _ in found.logins if account in theirs}
        only -= {*found.insecure, *found.trusted, *(endpoint for _, endpoint, _ in its)}
        names = [
            name
            for name, each in registries.items()
            if not (each.keys.get("external") and each.endpoint in only)
        ]
        if names or found.mirrors:
            yield ""
            yield from _client(found, _head(host, place), names, registries, its)
    for own in found.own:
        its = tuple(each for each in found.logins if each[0] == own.account)
        used = {*own.insecure, *own.trusted, *(endpoint for _, endpoint, _ in its)}
        names = [name for name, each in registries.items() if each.endpoint in used]
        head = _head(f"{host}-{own.account}", place)
        table = [*_client(own, head, names, registries, its)]
        yield ""
        if taken:
            yield from _comment(
                f"{own.account} runs a Docker without root there. A fleet file has one engine of a "
                "host: declare this one in a file of its own, with its registries."
            )
            table = [line if line.startswith("#") else f"# {line}" for line in table]
        yield from table
        taken = True


def _head(group: str, place: object) -> tuple[str, str]:
    return f"[client.{toml_text.key(_word(group))}]", f"hosts = {toml_text.value([place])}"


def _client(
    found: Imported | OwnDocker,
    head: Sequence[str],
    names: Sequence[str],
    registries: Mapping[str, _Registry],
    kept: Sequence[tuple[str, str, str]],
) -> Iterator[str]:
    """A table of one Docker.

    Args:
        head: its first lines.
        names: of the registries that it uses.
        kept: the logins that are used with it: account, endpoint and user.
    """
    by_endpoint = {each.endpoint: name for name, each in registries.items()}
    left = [each for each in found.insecure if each not in by_endpoint]
    if left:
        yield from _comment(f"In insecure-registries too, and left alone: {', '.join(left)}.")
    if found.obstacle:
        yield from _comment(f"daemon.json could not be read: {found.obstacle}.")
    logins: dict[str, dict[str, object]] = {}
    for account, endpoint, user in kept:
        name = by_endpoint.get(endpoint)
        if name is None or user == "-":
            why = "a credential helper keeps it" if user == "-" else "it is no endpoint"
            yield from _comment(f"{account} is logged in to {endpoint}; left out: {why}.")
        elif logins.setdefault(name, {"user": user, "for": []})["user"] != user:
            yield from _comment(f"{account} is logged in to {endpoint} as {user} too: left out.")
        else:
            accounts = logins[name]["for"]
            if isinstance(accounts, list):
                accounts.append(account)
    yield from head
    if isinstance(found, OwnDocker):  # its logins are its account's
        yield from _pairs({"engine": found.engine, "account": found.account})
        logins = {name: {"user": each["user"]} for name, each in logins.items()}
    yield f"registries = {toml_text.value(list(names))}"
    if found.mirrors:
        yield f"mirrors = {toml_text.value([each.rstrip('/') for each in found.mirrors])}"
    if logins:
        yield f"login = {toml_text.value(logins)}"


def _name(endpoint: str, taken: Mapping[str, object]) -> str:
    """A registry's name, of its endpoint: `hub-example-com`."""
    base = name = _word(endpoint.partition(":")[0])
    number = 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name


def _word(text: str) -> str:
    """The text as a name of the fleet file: lower case, digits and hyphens."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-") or "host"


def _variable(registry: str, user: str) -> str:
    return re.sub("[^A-Z0-9]+", "_", f"{registry}_{user}_PASSWORD".upper())


def _pairs(keys: Mapping[str, object]) -> Iterator[str]:
    for key, value in keys.items():
        yield f"{toml_text.key(key)} = {toml_text.value(value)}"


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(" ".join(text.split()), _WIDTH - 2, break_long_words=False):
        yield f"# {line}"
