"""The program that looks at one host: `look.sh` and the calls for what is wanted of it. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from shlex import quote

from regfleet import shell, timers
from regfleet.engines import ENGINES, REGISTRY_ENGINE
from regfleet.model.desired import PROXIES, STORE_DIRECTORIES, DesiredHost, LoginEntry
from regfleet.model.files import Directory, File, account_of
from regfleet.model.observed import IPV6
from regfleet.services import KINDS, shell_of
from regfleet.services.container import API_IMAGE, API_IMAGES
from regfleet.shell import frame

# What stands in `ObservedHost.logins` before the reason why an account's file cannot be read.
OBSTACLE = "obstacle "


def program(
    *engines: str,
    kinds: Sequence[str] = (),
    data: bool = False,
    timers: bool = False,
    python: bool = False,
) -> str:
    """The look's shell functions, with those of engines (their shell words).

    Args:
        kinds: of the services that it looks at.
        data: whether it is to count what registries keep.
        timers: whether it is to tell what the host does by itself at times.
        python: whether it is to find a Python for that.
    """
    names = ("look.sh", "data.sh") if data else ("look.sh",)
    whole = shell.program("regfleet.look", *names, engines=engines, services=kinds)
    more = [shell.text("regfleet.look", "timers.sh")] if timers else []
    of_python = ("python.sh", "look.sh") if python else ()
    more += [shell.text("regfleet.replication", name) for name in of_python]
    return "\n".join([whole, *more])


def render(want: DesiredHost, salt: str, mark: str) -> str:
    """The whole program for standard input; see `define`.

    Args:
        mark: this look's own, which frames its answer.
    """
    return define(want, salt) + frame.around(mark, "look </dev/null")


def define(want: DesiredHost, salt: str) -> str:
    """The program up to its shell function `look`, which is not called yet.

    Args:
        want: what the host should have; the look asks about just that.
        salt: the fleet's salt for the digests of logins.
    """
    things: tuple[Directory | File, ...] = (*want.directories, *want.files, *want.conditional)
    paths = dict.fromkeys(thing.path for thing in things)
    paths |= dict.fromkeys(
        f"{service.storage}{below}"
        for service in want.services
        if service.storage
        for below in STORE_DIRECTORIES
    )
    paths |= dict.fromkeys(
        path for service in want.services for path in KINDS[service.kind].paths(service)
    )
    paths |= dict.fromkeys(path for timer in want.timers for path in timers.paths(timer))
    if any(service.without_ipv6 for service in want.services):
        paths |= {IPV6: None}
    words = [ENGINES[name].shell for name in want.engines]
    images = {
        (service.image.engine, service.image.reference)
        for service in want.services
        if service.image
    }
    images |= {(words[-1], image.reference) for image in want.images}
    homes = [path for path in paths if account_of(path)]
    paths = {path: None for path in paths if path not in homes}
    calls = ["look_host", " ".join(["look_paths", *map(quote, paths)])]
    calls += [" ".join(["look_home", *map(quote, homes)])] if homes else []
    calls += [f"look_users {quote(file.path)}" for file in want.files if file.users]
    calls += [f"look_roles {quote(file.path)}" for file in want.files if file.roles]
    calls += [f"look_port {service.port}" for service in want.services]
    storages = sorted({each.storage for each in want.services if each.storage})
    calls += [" ".join(["look_space", *map(quote, storages)])] if storages else []
    runs = ENGINES[REGISTRY_ENGINE].shell
    asked = [f"{API_IMAGES}{name}{API_IMAGE}" for word, name in sorted(images) if word == runs]
    asked += [path for each in want.services for path in KINDS[each.kind].asked(each)]
    calls += [" ".join([f"{runs}_wants", *map(quote, asked)])] if asked else []
    calls += [
        " ".join(["look_login", *map(quote, (each.account, each.endpoint, salt, each.file))])
        for each in want.logins
    ]
    calls += [f"engine_account={quote(want.account)}"] if want.account else []
    # Engines that share their shell functions are told apart by name. Docker tells of itself at
    # once with all that was asked for before it.
    calls += [
        f"{word}_look" if word == name else f"{word}_look {quote(name)}"
        for word, name in zip(words, want.engines, strict=True)
    ]
    calls += [call for each in want.services for call in KINDS[each.kind].looks(each)]
    by_itself = [each for each in want.timers if each.schedule.every]
    python = any(each.python for each in by_itself)
    calls += ["look_cron"] if by_itself else []
    calls += ["look_read_only"] if want.timers else []
    calls += ["look_python"] if python else []
    calls += [f"look_timer {quote(each.name)} {quote(each.record)}" for each in want.timers]
    calls += [f"look_image {word} {quote(reference)}" for word, reference in sorted(images)]
    calls += [f"look_data {quote(path)}" for path in want.delete_storage]
    body = "\n  ".join([*calls, "answer_requests", "say end"])
    kinds = {service.kind for service in want.services}
    functions = program(
        *words,
        kinds=shell_of(sorted(kinds)),
        data=bool(want.delete_storage),
        timers=bool(want.timers),
        python=python,
    )
    return f"{functions}\nlook() {{\n  {body}\n}}\n"


def login_digest(login: LoginEntry, salt: str) -> str:
    """What the look says of a login that is in place: SHA-256 of a line, salt and `auth` value.

    `auth` is base64 of `user:password` (Docker's config.json, `docker login` reference).
    """
    if login.endpoint == PROXIES:
        return hashlib.sha256(f"{salt}{login.password.reveal()}\n".encode()).hexdigest()
    auth = base64.b64encode(f"{login.user}:{login.password.reveal()}".encode()).decode()
    return hashlib.sha256(f"{salt}{auth}\n".encode()).hexdigest()
