"""dockerd's HTTP proxy: in daemon.json from 23.0 on, in the environment of older ones. Pure.

Sources: `dockerd` reference, "Daemon configuration file" (`proxies`); release notes of 23.0; docs
"Daemon proxy configuration" (the drop-in). Debian's /etc/default/docker names `export http_proxy`
as the way of service scripts; OpenRC reads /etc/conf.d/docker so. `docker info` shows the proxy
that is in force, with each login as `xxxxx:xxxxx` (moby daemon/config, MaskCredentials).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from regfleet.documents import exports
from regfleet.documents.interface import path
from regfleet.engines import docker_facts as facts
from regfleet.engines import docker_start, edits
from regfleet.engines.interface import ClientNeeds, EngineProxy
from regfleet.engines.proxy import changes, is_drop_in
from regfleet.fleet.values import Json
from regfleet.model.desired import PROXIES, DesiredHost, LoginEntry, WantedSettings
from regfleet.model.files import Directory, File
from regfleet.model.observed import ObservedHost
from regfleet.record import DAEMON_JSON, Owned, OwnedEdit
from regfleet.secret import Secret

KEYS = {"http-proxy": "HTTP_PROXY", "https-proxy": "HTTPS_PROXY", "no-proxy": "NO_PROXY"}
UNIT = "docker"
SCRIPTS = ("/etc/conf.d/docker", "/etc/default/docker")  # of OpenRC; of Debian's script
SINCE = (23,)
_LOGIN = re.compile(r"://[^/@\s]*@")


def settings(proxy: EngineProxy | None) -> tuple[dict[str, Json], frozenset[str]]:
    """The settings in daemon.json, and those of them that are secret."""
    if proxy is None:
        return {}, frozenset()
    given = {
        "http-proxy": proxy.http.reveal(),
        "https-proxy": proxy.https.reveal(),
        "no-proxy": proxy.no_proxy,
    }
    values: dict[str, Json] = {path("proxies", key): each for key, each in given.items() if each}
    secret = {key for key, value in values.items() if _LOGIN.search(str(value))}
    return values, frozenset(secret)


def of_accounts(
    needs: ClientNeeds, engine: str, file: str, whose: str = "root"
) -> tuple[LoginEntry, ...]:
    """What containers and builds of root, and of each account with a login, are told of a proxy.

    Docker docs, "Use a proxy server with the Docker CLI": the client hands it to each container.

    Args:
        engine, file: as in `LoginEntry`.
        whose: whose the engine is.
    """
    proxy = needs.proxy
    if proxy is None or not proxy.containers:
        return ()
    given = {
        "httpProxy": proxy.http.reveal(),
        "httpsProxy": proxy.https.reveal(),
        "noProxy": proxy.no_proxy,
    }
    text = Secret(json.dumps({name: value for name, value in given.items() if value}))
    accounts = dict.fromkeys((whose, *(login.account for login in needs.logins)))
    reason = f"{proxy.reason}.containers"
    return tuple(
        LoginEntry(account, PROXIES, "", text, "", reason, engine, file) for account in accounts
    )


@dataclass(frozen=True, slots=True)
class DockerProxy:
    """What one host's dockerd is told of its proxy, and how.

    Attributes:
        want: the host, with `proxies` only where this dockerd reads it from daemon.json.
        also: the drop-in and its directory, where that is how it is told.
        edited: what becomes of the files that service scripts read.
        restarts: whether something outside daemon.json changes.
        expect, refuse: lines that the live daemon must show, and must not show, afterwards.
        stale: whether the live daemon has another proxy than the wanted one.
    """

    want: DesiredHost
    also: tuple[Directory | File, ...] = ()
    edited: Mapping[str, edits.Edited] = field(default_factory=dict)
    restarts: bool = False
    expect: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()
    stale: bool = False

    @classmethod
    def of(
        cls,
        want: DesiredHost,
        seen: ObservedHost,
        owned: Owned,
        others: Collection[Owned],
    ) -> DockerProxy:
        """By the version that is there, and what starts it.

        Raises:
            HostError: a file of variables cannot be edited.
        """
        whole = want.edits.get(DAEMON_JSON, WantedSettings())
        mine = {key: whole.values.get(path("proxies", key)) for key in KEYS}
        mine = {key: value for key, value in mine.items() if value}
        in_file = facts.version_of(seen.engine.version) >= SINCE
        also: tuple[Directory | File, ...] = ()
        scripts = {file: WantedSettings() for file in SCRIPTS if file in owned.edits}
        if mine and not in_file:
            want = without(want, DAEMON_JSON)
            if seen.init == "systemd":
                also = tuple(each for each in want.conditional if is_drop_in(each.path))
            else:
                scripts[docker_start.of(seen).file] = _exported(mine, whole)
        editor = edits.Editor(exports.parse, want, seen, owned, others)
        edited = {file: editor.edit(file, each) for file, each in scripts.items()}
        files = [each for each in also if isinstance(each, File)]
        expect = tuple(f"{key} {masked(str(value))}" for key, value in mine.items())
        live = {f"{key} {value}" for key, value in seen.engine.proxies.items()}
        gone = {f"{key} {value}" for key, value in _in_force(owned, seen).items()}
        return cls(
            want,
            also,
            edited,
            changes(files, seen, owned) or any(each.changes for each in edited.values()),
            expect,
            tuple(sorted(gone - set(expect))) if not _foreign(seen, gone) else (),
            seen.engine.state == "up" and not set(expect) <= live,
        )

    @property
    def ownership(self) -> dict[str, OwnedEdit]:
        """The fleet's ownership in the files of variables."""
        return {file: each.owned for file, each in self.edited.items()}


def masked(url: str) -> str:
    """A URL as `docker info` shows it."""
    return _LOGIN.sub("://xxxxx:xxxxx@", url)


def without(want: DesiredHost, file: str) -> DesiredHost:
    """The host without `proxies` in a daemon.json: an older dockerd would not start with it."""
    whole = want.edits[file]
    keys = {path("proxies", key) for key in KEYS}
    values = {key: value for key, value in whole.values.items() if key not in keys}
    left = replace(whole, values=values, secret=whole.secret - keys)
    rest = {path: each for path, each in want.edits.items() if path != file}
    if left.values or left.lists:
        rest[file] = left
    return replace(want, edits=rest)


def _exported(mine: Mapping[str, Json], whole: WantedSettings) -> WantedSettings:
    values = {path(KEYS[key]): value for key, value in mine.items()}
    reasons = {path(KEYS[key]): whole.reasons[path("proxies", key)] for key in mine}
    secret = {path(KEYS[key]) for key in mine if path("proxies", key) in whole.secret}
    return WantedSettings({}, values, reasons, frozenset(secret))


def _in_force(owned: Owned, seen: ObservedHost) -> dict[str, str]:
    """The proxy that the live daemon has by us, as `docker info` shows it."""
    keys = {path("proxies", key) for key in KEYS}
    edit = owned.edits.get(DAEMON_JSON, OwnedEdit())
    ours = not keys.isdisjoint(edit.values) or any(file in owned.edits for file in SCRIPTS)
    if ours or any(is_drop_in(file) for file in owned.files):
        return {key: value for key, value in seen.engine.proxies.items() if value}
    return {}


def _foreign(seen: ObservedHost, gone: Collection[str]) -> bool:
    """Whether another file that starts dockerd names that proxy, too."""
    places = [line.partition("://")[2].rpartition("@")[2] for line in gone if "://" in line]
    texts = [text for file, text in seen.texts.items() if not is_ours(file)]
    return any(place in text for place in places for text in texts)


def is_ours(file: str) -> bool:
    """Whether a file that tells dockerd of a proxy is one of regfleet's, or is edited by it."""
    return "/regfleet-" in file or file in SCRIPTS or file.endswith("daemon.json")
