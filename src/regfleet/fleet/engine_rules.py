"""What each engine allows a `[client.NAME]` to declare, read from the schema (`x-engines`).

The rules stand in the schema so that checking a fleet file needs no engine's code, and a new
engine needs no change here.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from regfleet.fleet.clients import EngineName
from regfleet.fleet.schema import definition


@dataclass(frozen=True, slots=True)
class EngineRules:
    """What clients with one engine may declare. The defaults allow everything.

    Attributes:
        daemon: whether the engine reads the settings under `daemon`.
        migrate_flags: whether regfleet can move the engine's flags into its configuration file.
        account: whether it is the engine of one account, which the fleet file names.
        logins: which accounts can have a login: `accounts` (any), `root`, `own` (the engine's) or
            `none`.
        login_instead: a hint that says how to log in when `logins` is `none`.
        mirror_logins: whether the engine sends its login for a mirror to that mirror.
        mirrored: the registries that can have mirrors: Docker Hub (`hub`), each one that is
            `named`, or `any`, with `*` for all the others.
        mirror_paths: whether a mirror's URL may have a path.
        proxy_passwords: whether it has a place for a proxy's password that only root reads.
        proxy_containers: whether regfleet can give its containers the proxy, too.
        images: the directories in which the engine keeps its images; none for an account's.
    """

    daemon: bool = True
    migrate_flags: bool = True
    account: bool = False
    logins: Literal["accounts", "root", "own", "none"] = "accounts"
    login_instead: str = ""
    mirror_logins: bool = True
    mirrored: Literal["hub", "named", "any"] = "any"
    mirror_paths: bool = True
    proxy_passwords: bool = True
    proxy_containers: bool = True
    images: tuple[str, ...] = ()


@functools.cache
def engines() -> dict[EngineName, EngineRules]:
    """The rules of every engine by its name, in the schema's order."""
    key = definition("client")["properties"]["engine"]
    rules = key["x-engines"]
    return {
        name: EngineRules(**{**rules[name], "images": tuple(rules[name]["images"])})
        for name in key["enum"]
    }


def rules_of(engine: EngineName | None) -> EngineRules:
    """The rules of an engine; None, for an engine that the schema refused, allows everything."""
    return EngineRules() if engine is None else engines()[engine]


@functools.cache
def default_engine() -> EngineName:
    """The engine of a client that declares none."""
    return str(definition("client")["properties"]["engine"]["default"])


@functools.cache
def image_directories() -> tuple[str, ...]:
    """The directories in which any engine keeps its images, sorted."""
    return tuple(sorted({path for rules in engines().values() for path in rules.images}))
