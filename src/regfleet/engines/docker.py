"""Docker: daemon.json by ownership, certs.d, a reload where one will do."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from regfleet.documents import json_document
from regfleet.documents.interface import NotReadableError, path
from regfleet.documents.json_document import NotJsonError
from regfleet.engines import (
    docker_boot,
    docker_elsewhere,
    docker_flags,
    docker_json,
    docker_proxy,
    edits,
    installation,
    proxy,
)
from regfleet.engines import docker_facts as facts
from regfleet.engines.docker_activation import INSECURE, MIRRORS, Activator, Keys, snapshotter
from regfleet.engines.docker_flags import Migrated
from regfleet.engines.docker_proxy import DockerProxy
from regfleet.engines.interface import ClientNeeds, EnginePlan, EngineWants, Trust
from regfleet.engines.trust import certificates
from regfleet.errors import HostError
from regfleet.fleet.clients import EngineName
from regfleet.fleet.values import Json
from regfleet.http_proxy import without_login
from regfleet.model.desired import NOT_DECLARED, DesiredHost, WantedSettings
from regfleet.model.files import Directory, File, account_of
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Action, Activation, Change, StartEngine, Step
from regfleet.model.resource import Resource
from regfleet.record import DAEMON_JSON, Owned

CERTS = "/etc/docker/certs.d"
_NO_EDIT = "cannot be edited"
PROGRAM = installation.Program(
    "docker", "Docker", "dockerd", facts.PACKAGES, facts.PACKAGES_OF, facts.VENDOR_PACKAGES
)


class Docker:
    """dockerd as distributions ship it: /etc/docker/daemon.json and the unit's flags."""

    name: EngineName = "docker"
    shell: str = "docker"
    is_docker: bool = True
    login_file: str = ".docker/config.json"
    load: str = "docker load -q -i"
    no_smoke: str = ""

    def wants(self, needs: ClientNeeds) -> EngineWants:
        """CAs under certs.d (read at every use), plain registries and mirrors in daemon.json."""
        directories, files = certificates(CERTS, needs)
        conditional = hosts_tomls(CERTS, needs)
        for found in proxy.drop_ins(needs.proxy, needs.fleet, (docker_proxy.UNIT,)):
            conditional += found
        wanted = settings(needs)
        return EngineWants(
            (Directory("/etc/docker", 0o755, needs.reason), *directories),
            tuple(files),
            tuple(conditional),
            edits={DAEMON_JSON: wanted} if wanted else {},
            logins=(*needs.logins, *docker_proxy.of_accounts(needs, self.shell, self.login_file)),
        )

    def plan(
        self,
        want: DesiredHost,
        seen: ObservedHost,
        owned: Owned,
        others: Collection[Owned],
    ) -> EnginePlan:
        """Install, start, merge, and the least activation that works."""
        installing, changes = _engine_itself(want, seen)
        proxied = DockerProxy.of(want, seen, owned, others)
        if installing and proxied.expect:  # how it is told depends on the version
            return EnginePlan(changes, install=installing, apart=True)
        want = proxied.want
        edited, migrated = _edited(want, seen, owned, others)
        activator = Activator.of(want, seen, edited.merged, edited.owned)
        more, steps = _activated(activator, edited, migrated, proxied)
        if seen.engine.state == "down" and want.engine:
            steps = (*steps, StartEngine())
        docker_boot.refuse(want, seen, starts=any(map(docker_boot.starts, steps)))
        before, after = activator.before, activator.after
        quirk = bool(after.get(MIRRORS) and after.get(INSECURE) and more)
        version = facts.version_of(seen.engine.version)
        return EnginePlan(
            changes=(*changes, *more),
            also=(*_hosts_tomls(want, seen, snapshotter(after)), *proxied.also),
            install=installing,
            configure=steps,
            edits={DAEMON_JSON: edited.owned, **proxied.ownership},
            notes=docker_boot.notes(want, seen),
            expected=(
                *(((seen.engine.config, _digest(seen.daemon_json)),) if more else ()),
                *(each for edit in proxied.edited.values() for each in edit.expected),
            ),
            may_restart=quirk and any(item.holds(version) for item in facts.RELOAD_DROPS_INSECURE),
            new_store=snapshotter(before) != snapshotter(after),
            places=docker_elsewhere.places(seen),
        )


def settings(needs: ClientNeeds) -> WantedSettings:
    """What is to be in daemon.json."""
    plain = tuple(trust.endpoint for trust in needs.trusts if trust.plain)
    mirrors = tuple(mirror.url for mirror in needs.mirrors)
    lists = {path(INSECURE): plain, path(MIRRORS): mirrors}
    values = {path(key): value for key, value in needs.daemon.items()}
    reasons = dict.fromkeys(values, f"{needs.reason}.daemon")
    proxied, secret = docker_proxy.settings(needs.proxy)
    values |= proxied
    reasons |= dict.fromkeys(proxied, needs.proxy.reason if needs.proxy else "")
    reasons[path(MIRRORS)] = f"{needs.reason}.mirrors"
    reasons[path(INSECURE)] = f"{needs.reason}.registries"
    lists = {key: entries for key, entries in lists.items() if entries}
    return WantedSettings(lists, values, reasons, secret)


def hosts_tomls(certs: str, needs: ClientNeeds, mode: int = 0o755) -> list[Directory | File]:
    """What containerd's resolver reads of each registry, in Docker's own certs.d.

    moby daemon/hosts.go (28.0 and later): with the containerd image store the directory is given
    to containerd's `ConfigureHosts`, which reads no *.crt beside a hosts.toml. Released versions
    have ignored insecure-registries there (moby#51080, docker/cli#6748).

    Args:
        certs: that directory.
        mode: of the directories.
    """
    found: list[Directory | File] = []
    for trust in needs.trusts:
        if trust.plain or trust.ca:
            place, why = f"{certs}/{trust.endpoint}", trust.reason
            found += [
                Directory(certs, mode, why),
                Directory(place, mode, why, own=True),
                File(f"{place}/hosts.toml", _hosts_toml(trust, place), 0o444, why),
            ]
    return found


def _hosts_toml(trust: Trust, place: str) -> bytes:
    """A hosts.toml.

    Where an account's home is, is not known here: containerd takes the CA's path to be relative to
    the file then (containerd, docs/hosts.md, "ca field").
    """
    url = f"{'http' if trust.plain else 'https'}://{trust.endpoint}"
    lines = [
        "# Written by regfleet: changes here are overwritten.",
        f'server = "{url}"',
        "",
        f'[host."{url}"]',
        '  capabilities = ["pull", "resolve", "push"]',
    ]
    if trust.ca:
        lines.append(f'  ca = "{"" if account_of(place) else f"{place}/"}ca.crt"')
    return ("\n".join(lines) + "\n").encode()


def containerd_store(seen: ObservedHost, declared: Json) -> bool:
    """Whether images will lie in containerd's store once the plan is done."""
    return declared is True or (declared is None and seen.engine.containerd_store)


def _hosts_tomls(
    want: DesiredHost, seen: ObservedHost, declared: Json
) -> tuple[Directory | File, ...]:
    """What is wanted only where images lie in containerd's store."""
    if not containerd_store(seen, declared):
        return ()
    return tuple(each for each in want.conditional if not proxy.is_drop_in(each.path))


def _engine_itself(
    want: DesiredHost, seen: ObservedHost
) -> tuple[tuple[Step, ...], tuple[Change, ...]]:
    engine = seen.engine
    if want.engine is None and engine.state != "silent":
        return (), ()  # everything of ours goes: an engine is neither installed nor started for it
    if engine.state == "silent":
        raise HostError(
            want.name,
            f"dockerd runs but does not answer ({engine.detail or 'no error text'})",
            "see `journalctl -u docker` on the host, and restart it when it is safe",
        )
    if engine.state == "down":
        if engine.instead:  # one of an account's own
            raise docker_elsewhere.refused(want, engine.instead)
        return (), (Change(Resource("service", "docker"), "run", "the engine does not run"),)
    if engine.state == "up":
        return (), ()
    step = installation.install(PROGRAM, want, seen)
    return (step,), (installation.change(step),)


def _edited(
    want: DesiredHost,
    seen: ObservedHost,
    owned: Owned,
    others: Collection[Owned],
) -> tuple[edits.Edited, Migrated]:
    """What becomes of daemon.json, and the flags that move into it."""
    config = seen.engine.config
    try:
        docker_json.read(seen)
    except NotReadableError as error:
        problem = "is not what dockerd can read" if isinstance(error, NotJsonError) else _NO_EDIT
        hint = error.hint or "mend the file by hand (it was left as it is), then run this again"
        raise HostError(want.name, f"{config} {problem}: {error}", hint) from error
    editor = edits.Editor(json_document.parse, want, seen, owned, others)
    settings = want.edits.get(DAEMON_JSON, WantedSettings())
    edited = editor.edit(DAEMON_JSON, settings, at=config)
    activator = Activator.of(want, seen, edited.merged, edited.owned)
    held = [key for key in activator.changed if key in activator.after]
    if held:
        docker_flags.refuse_unread(want, seen)
    if "proxies" in held:  # dockerd compares the keys inside (moby, findConfigurationConflicts)
        held += docker_proxy.KEYS
    in_the_way = docker_flags.conflicts(seen, held)
    migrated = Migrated({}, {}, ())
    if in_the_way and not want.migrate_flags:
        docker_flags.refuse(want, seen, in_the_way)
    if in_the_way:
        migrated = docker_flags.migrate(want, seen, in_the_way)
        moved = {path(key): value for key, value in migrated.values.items()}
        edited = editor.edit(DAEMON_JSON, settings, at=config, moved=moved)
    refuse_mirror_paths(settings, want, seen)
    return edited, migrated


def refuse_mirror_paths(wanted: WantedSettings, want: DesiredHost, seen: ObservedHost) -> None:
    """Refuse mirrors with a path where this dockerd refuses them.

    Raises:
        HostError: there is one.
    """
    version = facts.version_of(seen.engine.version)
    for mirror in wanted.lists.get(path(MIRRORS), ()):
        further = urlsplit(mirror).path.strip("/")
        if further and version and facts.MIRROR_PATH_REFUSED.holds(version):
            raise HostError(
                want.name,
                f"Docker {seen.engine.version} refuses the mirror {mirror}: it has a path",
                "use a mirror without a path, or Docker 24.0.8 or later",
            )


def _activated(
    activator: Activator, edited: edits.Edited, migrated: Migrated, proxied: DockerProxy
) -> tuple[tuple[Change, ...], tuple[Step, ...]]:
    """A change for each key of daemon.json, and the steps that make them and have them taken up."""
    seen, changed, stale = activator.seen, activator.changed, activator.stale
    if not changed and not stale and not proxied.restarts and not proxied.stale:
        return (), ()
    how = activator.how
    if how == "reload" and (proxied.restarts or proxied.stale):
        how = "restart"  # the environment, and `proxies`, are read at the start alone
    flags = None
    if migrated.gone:
        how = "restart" if how == "reload" else how  # flags are read at the start alone
        flags = migrated.left(seen.engine.flags) if seen.engine.flags else None
    settings = activator.want.edits.get(DAEMON_JSON, WantedSettings())
    changes = [_change(activator, key, settings, how) for key in changed]
    changes += [
        Change(Resource("daemon.json", key), "run", "the running daemon has another value", how)
        for key in stale
    ]
    changes += migrated.changes(seen, how)
    changes += _proxy_changes(proxied, how)
    step = activator.step(how, flags)
    step = replace(
        step,
        expect=(*step.expect, *proxied.expect),
        refuse=(*step.refuse, *proxied.refuse),
    )
    beside = tuple(each for edit in proxied.edited.values() for each in edit.steps)
    return tuple(changes), (*migrated.steps(), *edited.steps, *beside, step)


def _proxy_changes(proxied: DockerProxy, how: Activation) -> Iterator[Change]:
    for edit in proxied.edited.values():
        yield from (replace(change, activation=how) for change in edit.changes)
    if proxied.restarts:
        yield Change(Resource("service", "docker"), "run", "its proxy is read at the start", how)
    elif proxied.stale:
        yield Change(
            Resource("service", "docker"), "run", "the running daemon has another proxy", how
        )


def _change(activator: Activator, key: str, settings: WantedSettings, how: Activation) -> Change:
    before, after = activator.before, activator.after
    action: Action = "create" if key not in before else "update" if key in after else "delete"
    reason = settings.reasons.get(path(key), NOT_DECLARED)
    diff = difflib.unified_diff(_shown(before, key), _shown(after, key), lineterm="", n=3)
    return Change(Resource("daemon.json", key), action, reason, how, "\n".join(list(diff)[2:]))


def _shown(keys: Keys, key: str) -> list[str]:
    value = {key: keys[key]} if key in keys else None
    text = json.dumps(value, indent=2, ensure_ascii=False) if value else ""
    return without_login(text).splitlines()


def _digest(text: str | None) -> str:
    return "absent" if text is None else hashlib.sha256(text.encode()).hexdigest()
