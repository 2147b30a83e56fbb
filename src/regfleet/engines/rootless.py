"""Docker that an account runs without root: the account's own files, socket and systemd.

All of it is done as the account: its daemon.json and certs.d below ~/.config/docker, `docker info`
at its socket, SIGHUP or `systemctl --user restart`. Root writes nothing in a home. Pure.

Sources: docs.docker.com, Rootless mode, "Tips" (places, units); moby, registry.CertsDir and
homedir.GetConfigHome (XDG_CONFIG_HOME, else ~/.config). A restart ends rootlesskit's namespaces,
and with them all containers, also with live-restore (a test sees it).
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

from regfleet.documents import json_document
from regfleet.documents.interface import path
from regfleet.engines import docker_facts as facts
from regfleet.engines import docker_info, docker_proxy, edits, proxy
from regfleet.engines.docker import (
    containerd_store,
    hosts_tomls,
    refuse_mirror_paths,
    settings,
)
from regfleet.engines.docker_activation import INSECURE, MIRRORS, Activator, snapshotter
from regfleet.engines.interface import ClientNeeds, EnginePlan, EngineWants
from regfleet.engines.trust import certificates
from regfleet.errors import HostError
from regfleet.fleet.clients import EngineName
from regfleet.fleet.values import Json
from regfleet.model.desired import DesiredHost, WantedSettings
from regfleet.model.files import Directory, File, account_of
from regfleet.model.observed import ObservedEngine, ObservedHost, OtherEngine
from regfleet.model.plan import ActivateOwn, Activation, Change, Step
from regfleet.model.resource import Resource
from regfleet.record import Owned

How = Literal["none", "reload", "restart", "start"]
UNIT = "docker"
_PRIVATE = 0o700
# What Python raises on values of another type, size or depth than Docker's.
_UNREADABLE = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RecursionError,
)


class Rootless:
    """The Docker of one account, which `account` of the fleet file names."""

    name: EngineName = "docker-rootless"
    shell: str = "rootless"
    is_docker: bool = False  # a registry does not run on it
    login_file: str = ".docker/config.json"
    load: str = (
        "PATH=$PATH:$HOME/bin DOCKER_HOST=unix:///run/user/$(id -u)/docker.sock docker load -q"
    )
    no_smoke: str = ""

    def wants(self, needs: ClientNeeds) -> EngineWants:
        """CAs in the account's certs.d, settings in its daemon.json, logins of that account."""
        place = _place(needs.account)
        directories, files = certificates(f"{place}/certs.d", needs)
        wanted = settings(needs)
        there = [
            Directory(each, _PRIVATE, needs.reason) for each in (f"~{needs.account}/.config", place)
        ]
        proxies = docker_proxy.of_accounts(needs, self.shell, self.login_file, needs.account)
        conditional = hosts_tomls(f"{place}/certs.d", needs, _PRIVATE)
        for found in proxy.drop_ins(needs.proxy, needs.fleet, (UNIT,), account=needs.account):
            conditional += found
        return EngineWants(
            (*there, *(replace(each, mode=_PRIVATE) for each in directories))
            if files or wanted
            else (),
            tuple(files),
            tuple(conditional),
            edits={f"{place}/daemon.json": wanted} if wanted else {},
            logins=(*needs.logins, *proxies),
        )

    def plan(
        self,
        want: DesiredHost,
        seen: ObservedHost,
        owned: Owned,
        others: Collection[Owned],
    ) -> EnginePlan:
        """An edit of its daemon.json, and the least that has it taken up."""
        found = seen.others.get(self.shell, OtherEngine("missing"))
        _refuse_other_account(want, owned)
        _refuse_unreadable(want, found)
        config = f"{_place(want.account)}/daemon.json"
        engine = _observed(want, found, config)
        if want.engine == self.name:
            _refuse(want, found, engine)
        its = replace(seen, engine=engine)
        proxied = _Proxied.of(want, found, its, owned, config)
        want = proxied.want
        wanted = want.edits.get(config, WantedSettings())
        edited = edits.Editor(json_document.parse, want, its, owned, others).edit(config, wanted)
        activator = Activator.of(want, its, edited.merged, edited.owned)
        _refuse_flags(want, engine, activator)
        refuse_mirror_paths(wanted, want, its)
        changes, steps = self._activated(want, found, edited, activator, proxied)
        also = proxied.also
        if containerd_store(its, snapshotter(activator.after)):
            also += tuple(each for each in want.conditional if not proxy.is_drop_in(each.path))
        return EnginePlan(
            changes,
            also=also,
            configure=(*edited.steps, *steps),
            edits={config: edited.owned},
            expected=edited.expected,
        )

    def _activated(
        self,
        want: DesiredHost,
        found: OtherEngine,
        edited: edits.Edited,
        activator: Activator,
        proxied: _Proxied,
    ) -> tuple[tuple[Change, ...], tuple[Step, ...]]:
        """The changes, and the step that has them taken up."""
        engine, account = activator.seen.engine, want.account
        service = Resource("service", f"docker of {account}")
        if engine.state != "up":
            if engine.state == "down" and want.engine == self.name:
                start = Change(service, "run", "the engine does not run")
                step = ActivateOwn(self.shell, account, engine.config, "start")
                return (*edited.changes, start), (step,)
            return edited.changes, ()
        proxies = _Proxies.of(activator)
        of_proxy = [*proxies.stale(activator), *(("proxy",) if proxied.stale else ())]
        stale = [*activator.stale, *of_proxy]
        if not activator.changed and not stale and not proxied.restarts:
            return edited.changes, ()
        how: How = "restart" if of_proxy or proxied.restarts else activator.how
        by_hand = not found.facts.get("unit")
        if how == "restart" and by_hand:
            keys = ", ".join(dict.fromkeys((*activator.changed, *stale))) or "the proxy"
            raise HostError(
                want.name,
                f"{keys} in {engine.config} needs a restart of the Docker of {account}, which no "
                "systemd of that account runs: it was started by hand",
                f"start it by the account's systemd (`dockerd-rootless-setuptool.sh install` as "
                f"{account}, then `loginctl enable-linger {account}`), or leave that out",
            )
        activation: Activation = "restart" if how == "restart" else "reload"
        changes = [replace(each, activation=activation) for each in edited.changes]
        changes += [
            Change(service, "run", f"it has another value of {key}", activation) for key in stale
        ]
        if proxied.restarts and not proxied.stale:
            changes.append(Change(service, "run", "its proxy is read at the start", activation))
        step = self._step(activator, account, how, by_hand=by_hand)
        expect = (*step.expect, *proxies.expect, *proxied.expect)
        shown = expect, (*step.refuse, *proxies.gone, *proxied.gone)
        return tuple(changes), (replace(step, expect=shown[0], refuse=shown[1]),)

    def _step(self, activator: Activator, account: str, how: How, *, by_hand: bool) -> ActivateOwn:
        engine, after = activator.seen.engine, activator.after
        taken = activator.step("restart" if how == "restart" else "reload")
        drops = any(
            each.holds(facts.version_of(engine.version)) for each in facts.RELOAD_DROPS_INSECURE
        )
        quirk = bool(after.get(MIRRORS) and after.get(INSECURE)) and drops
        return ActivateOwn(
            self.shell,
            account,
            engine.config,
            how,
            taken.expect,
            taken.refuse,
            taken.meanwhile,
            taken.undo,
            may_restart=quirk and not by_hand,
            stops=engine.running,
        )


@dataclass(frozen=True, slots=True)
class _Proxies:
    """Lines of `docker info` about the proxy of daemon.json: the wanted one, and the one before."""

    expect: tuple[str, ...]
    gone: tuple[str, ...]

    @classmethod
    def of(cls, activator: Activator) -> _Proxies:
        both = (activator.before, activator.after)
        before, after = (_shown(each.get("proxies")) for each in both)
        return cls(after, tuple(line for line in before if line not in after))

    def stale(self, activator: Activator) -> list[str]:
        """Whether the file has it as it will be, and the live daemon has another one."""
        live = {f"{key} {value}" for key, value in activator.seen.engine.proxies.items()}
        kept = "proxies" not in activator.changed
        return ["proxies"] if kept and not set(self.expect) <= live else []


@dataclass(frozen=True, slots=True)
class _Proxied:
    """The proxy of a Docker before 23.0, which reads it from its environment: a drop-in.

    Docker docs, "Daemon proxy configuration", systemd unit file, Rootless mode.

    Attributes:
        want: the host, with `proxies` only where this dockerd reads it from daemon.json.
        also: the drop-in and its directories, where that is how it is told.
        restarts: whether the drop-in comes, goes or changes.
        expect, gone: lines of `docker info` that there must be afterwards, and must not be.
        stale: whether the drop-in stays as it is, and the live daemon has another proxy.
    """

    want: DesiredHost
    also: tuple[Directory | File, ...] = ()
    restarts: bool = False
    expect: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    stale: bool = False

    @classmethod
    def of(
        cls, want: DesiredHost, found: OtherEngine, seen: ObservedHost, owned: Owned, config: str
    ) -> _Proxied:
        """By the version that is there.

        Raises:
            HostError: no unit of the account's systemd could have the drop-in.
        """
        engine = seen.engine
        whole = want.edits.get(config, WantedSettings())
        mine = {key: whole.values.get(path("proxies", key)) for key in docker_proxy.KEYS}
        mine = {key: value for key, value in mine.items() if value}
        also: tuple[Directory | File, ...] = ()
        if mine and facts.version_of(engine.version) < docker_proxy.SINCE:
            _refuse_proxy(want, found, engine)
            want = docker_proxy.without(want, config)
            also = tuple(each for each in want.conditional if proxy.is_drop_in(each.path))
        else:
            mine = {}
        files = [each for each in also if isinstance(each, File)]
        restarts = proxy.changes(files, seen, owned)
        expect = _shown(mine)
        live = {f"{key} {value}" for key, value in engine.proxies.items() if value}
        before = live if any(map(proxy.is_drop_in, owned.files)) else set()
        return cls(
            want,
            also,
            restarts,
            expect,
            tuple(sorted(before - set(expect))) if restarts else (),
            engine.state == "up" and not restarts and not set(expect) <= live,
        )


def _shown(proxies: Json) -> tuple[str, ...]:
    given = proxies if isinstance(proxies, dict) else {}
    return tuple(
        f"{key} {docker_proxy.masked(str(given[key]))}"
        for key in docker_proxy.KEYS
        if given.get(key)
    )


def _place(account: str) -> str:
    return f"~{account}/.config/docker"


def _observed(want: DesiredHost, found: OtherEngine, config: str) -> ObservedEngine:
    """The account's dockerd in the words of a host's.

    Raises:
        HostError: what it says of itself is no answer of Docker's.
    """
    engine = ObservedEngine(
        found.state,
        version=found.version,
        detail=found.detail,
        flags=tuple(found.facts.get("flags", "").split()),
        config=config,
    )
    if found.state != "up":
        return engine
    try:
        info: dict[str, Any] = json.loads(found.facts.get("info", ""))
        return docker_info.with_info(engine, info)
    except _UNREADABLE as error:
        raise HostError(
            want.name,
            f"the Docker of {want.account} says of itself what cannot be read: {error}",
            f"see what `docker info` says as {want.account}",
        ) from error


def _refuse_other_account(want: DesiredHost, owned: Owned) -> None:
    paths = (*owned.files, *owned.directories, *owned.edits)
    for other in dict.fromkeys(filter(None, map(account_of, paths))):
        if want.account != other:
            raise HostError(
                want.name,
                f"this fleet set up the Docker of {other} there, and the fleet file names "
                f"{want.account or 'no account'}",
                f'declare `account = "{other}"` again, `regfleet destroy FILE --limit '
                f"{want.name}`, then declare the other one and apply",
            )


def _refuse_unreadable(want: DesiredHost, found: OtherEngine) -> None:
    if trouble := found.facts.get("unread"):
        raise HostError(
            want.name,
            f"the configuration of the Docker of {want.account} cannot be read: {trouble}",
            f"mend that file as {want.account}, then run this again",
        )


def _refuse(want: DesiredHost, found: OtherEngine, engine: ObservedEngine) -> None:
    """Refuse an account's Docker that cannot be set up as it is, by name.

    Raises:
        HostError: it is one.
    """
    account = want.account
    if "no-account" in found.facts:
        raise HostError(
            want.name,
            f"the account {account} does not exist on the host",
            "create it, or name another one as `account`",
        )
    if engine.state == "missing":
        why = "docker.service of its"
        if "manager" in found.facts:
            why = "systemd of its that runs"
        raise HostError(
            want.name,
            f"{account} runs no Docker of its own there (no dockerd of that account, and no {why})",
            f"run `loginctl enable-linger {account}` and, as {account}, "
            "`dockerd-rootless-setuptool.sh install` (docs.docker.com, Rootless mode); then run "
            "this again",
        )
    if engine.state == "silent":
        raise HostError(
            want.name,
            f"the Docker of {account} runs but does not answer ({engine.detail})",
            f"see `journalctl --user -u docker` as {account}, and restart it when it is safe",
        )
    flags = [flag for flag in engine.flags if flag.startswith("--config-file")]
    elsewhere = found.facts.get("elsewhere") or " ".join(flags)
    if elsewhere:
        raise HostError(
            want.name,
            f"the Docker of {account} reads its configuration elsewhere ({elsewhere}), not in "
            "~/.config/docker",
            "start it without --config-file and XDG_CONFIG_HOME, or set it up by hand as "
            f"{account}",
        )


def _refuse_flags(want: DesiredHost, engine: ObservedEngine, activator: Activator) -> None:
    given = facts.flag_keys(engine.flags)
    for key in activator.changed:
        if key in given and key in activator.after:
            raise HostError(
                want.name,
                f"the Docker of {want.account} has the flag `{given[key]}`, which cannot stand "
                f'beside "{key}" in {engine.config}: it would not start again',
                f"take it out of what starts it (`systemctl --user cat docker` as {want.account}), "
                "restart it, then run this again",
            )


def _refuse_proxy(want: DesiredHost, found: OtherEngine, engine: ObservedEngine) -> None:
    unit = found.facts.get("unit")
    if unit != f"{UNIT}.service":
        raise HostError(
            want.name,
            f"Docker {engine.version or '(unknown)'} of {want.account} reads its proxy from its "
            f"environment, and {unit or 'no systemd of that account'} starts it, not "
            f"{UNIT}.service (from Docker 23.0 on, daemon.json has it)",
            "set HTTP_PROXY, HTTPS_PROXY and NO_PROXY where it is started, and take proxy out of "
            "the fleet file",
        )
