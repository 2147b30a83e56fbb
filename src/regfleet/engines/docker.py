"""Docker: daemon.json by ownership, certs.d, a reload where one will do."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Collection
from urllib.parse import urlsplit

from regfleet.desired.model import DaemonSettings, DesiredHost, Directory, File
from regfleet.engines import docker_facts as facts
from regfleet.engines import docker_flags, installation
from regfleet.engines.docker_flags import Migrated
from regfleet.engines.interface import ClientNeeds, EnginePlan, EngineWants, Trust
from regfleet.engines.trust import certificates
from regfleet.errors import HostError
from regfleet.fleet.model import EngineName, Json
from regfleet.look.observed import ObservedHost
from regfleet.plan import daemon_json
from regfleet.plan.model import Activation, Change, EditDaemon, StartEngine, Step
from regfleet.record import Owned

CERTS = "/etc/docker/certs.d"
INSECURE = "insecure-registries"
MIRRORS = "registry-mirrors"
PROGRAM = installation.Program("docker", "Docker", "dockerd", facts.PACKAGES)


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
        plain = tuple(trust.endpoint for trust in needs.trusts if trust.plain)
        conditional: list[Directory | File] = []
        for trust in needs.trusts:
            if trust.plain or trust.ca:
                home, why = f"{CERTS}/{trust.endpoint}", trust.reason
                conditional += [
                    Directory(CERTS, 0o755, why),
                    Directory(home, 0o755, why, own=True),
                    File(f"{home}/hosts.toml", _hosts_toml(trust), 0o444, why),
                ]
        lists = {INSECURE: plain, MIRRORS: needs.mirrors}
        reasons = dict.fromkeys(needs.daemon, f"{needs.reason}.daemon")
        reasons |= {MIRRORS: f"{needs.reason}.mirrors", INSECURE: f"{needs.reason}.registries"}
        return EngineWants(
            (Directory("/etc/docker", 0o755, needs.reason), *directories),
            tuple(files),
            tuple(conditional),
            DaemonSettings(
                {key: entries for key, entries in lists.items() if entries}, needs.daemon, reasons
            ),
            logins=needs.logins,
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
        merged, migrated = _merge(want, seen, owned, others)
        created = any(each.daemon_created for each in (owned, *others)) or seen.daemon_json is None
        edited, configure, may_restart = _daemon(want, seen, merged, migrated)
        if seen.engine.state == "down" and want.engine:
            configure = (*configure, StartEngine())
        return EnginePlan(
            changes=(*changes, *edited),
            also=want.conditional if _containerd_store(seen, merged) else (),
            install=installing,
            configure=configure,
            daemon_created=created and bool(merged.owned_lists or merged.owned_values),
            lists=merged.owned_lists,
            values=merged.owned_values,
            expected=((seen.engine.config, _digest(seen.daemon_json)),) if edited else (),
            may_restart=may_restart,
            new_store=_snapshotter(merged.before) != _snapshotter(merged.after or {}),
        )


def _hosts_toml(trust: Trust) -> bytes:
    """What containerd's resolver reads of a registry, in Docker's own certs.d.

    moby daemon/hosts.go (28.0 and later): with the containerd image store the directory is given
    to containerd's `ConfigureHosts`, which reads no *.crt beside a hosts.toml. Released versions
    have ignored insecure-registries there (moby#51080, docker/cli#6748).
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
        lines.append(f'  ca = "{CERTS}/{trust.endpoint}/ca.crt"')
    return ("\n".join(lines) + "\n").encode()


def _containerd_store(seen: ObservedHost, merged: daemon_json.Merged) -> bool:
    """Whether images will lie in containerd's store once the plan is done."""
    declared = _snapshotter(merged.after or {})
    return declared is True or (declared is None and seen.engine.containerd_store)


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
        return (), (Change("service docker", "run", "the engine does not run"),)
    if engine.state == "up":
        return (), ()
    step = installation.install(PROGRAM, want, seen)
    return (step,), (installation.change(step),)


def _merge(
    want: DesiredHost,
    seen: ObservedHost,
    owned: Owned,
    others: Collection[Owned],
) -> tuple[daemon_json.Merged, Migrated]:
    path = seen.engine.config
    migrated = Migrated({}, {}, ())
    try:
        document = daemon_json.parse(seen.daemon_json)
        merged = daemon_json.merge(document, want.daemon, owned, others)
        held = [change.key for change in merged.changes if change.after is not None]
        in_the_way = docker_flags.conflicts(seen, held)
        if in_the_way and not want.migrate_flags:
            docker_flags.refuse(want, seen, in_the_way)
        if in_the_way:
            migrated = docker_flags.migrate(want, seen, in_the_way)
            merged = daemon_json.merge(document, want.daemon, owned, others, migrated.values)
    except daemon_json.NotJsonError as error:
        raise HostError(
            want.name,
            f"{path} is not what dockerd can read: {error}",
            "mend the file by hand (it was left as it is), then run this again",
        ) from error
    _refuse_mirror_paths(want, seen)
    return merged, migrated


def _refuse_mirror_paths(want: DesiredHost, seen: ObservedHost) -> None:
    version = facts.version_of(seen.engine.version)
    for mirror in want.daemon.lists.get(MIRRORS, ()):
        path = urlsplit(mirror).path.strip("/")
        if path and version and facts.MIRROR_PATH_REFUSED.holds(version):
            raise HostError(
                want.name,
                f"Docker {seen.engine.version} refuses the mirror {mirror}: it has a path",
                "use a mirror without a path, or Docker 24.0.8 or later",
            )


def _daemon(
    want: DesiredHost, seen: ObservedHost, merged: daemon_json.Merged, migrated: Migrated
) -> tuple[tuple[Change, ...], tuple[Step, ...], bool]:
    changed = {change.key: change for change in merged.changes}
    after = merged.after if merged.after is not None else {}
    stale = _stale_keys(seen, merged, set(changed))
    if not changed and not stale:
        return (), (), False
    removed = [key for key in changed if key not in after]
    activation = _activation(want, seen, merged, [*changed, *stale], removed)
    if migrated.gone and activation == "reload":
        activation = "restart"  # flags are read at the start alone
    active = dict(after)
    if activation == "reload":
        active |= {key: facts.EXPLICIT_DEFAULTS[key] for key in removed}
    text = daemon_json.render(active, like=seen.daemon_json)
    final: str | None = daemon_json.render(after, like=seen.daemon_json)
    if not changed:
        text = final = seen.daemon_json or text
    if merged.after is None:
        final = None
    elif not (merged.owned_lists or merged.owned_values):
        final = _original(seen, merged.after) or final  # to the byte, where that is all there is
    changes = [
        Change(
            f"daemon.json {key}",
            "create" if key not in merged.before else "update" if key in after else "delete",
            change.reason,
            activation,
            _diff(key, change.before, change.after),
        )
        for key, change in changed.items()
    ]
    changes += [
        Change(f"daemon.json {key}", "run", "the running daemon has another value", activation)
        for key in stale
    ]
    expect, refuse = _live(seen, after, merged)
    flags = migrated.left(seen.engine.flags) if migrated.gone and seen.engine.flags else None
    version = facts.version_of(seen.engine.version)
    parser = not version or not facts.NO_PARSER.holds(version)
    edit = EditDaemon(
        seen.engine.config, text, final, _undo(merged), activation, expect, refuse, flags, parser
    )
    quirk = bool(after.get(MIRRORS) and after.get(INSECURE))
    may_restart = quirk and any(item.holds(version) for item in facts.RELOAD_DROPS_INSECURE)
    changes += migrated.changes(seen, activation)
    return tuple(changes), (*migrated.steps(), edit), may_restart


def _original(seen: ObservedHost, after: daemon_json.Document) -> str | None:
    """The text before anything of ours, where it says what is to be said now."""
    try:
        same = daemon_json.parse(seen.original_daemon_json) == after
    except daemon_json.NotJsonError:
        return None
    return seen.original_daemon_json if same else None


def _undo(merged: daemon_json.Merged) -> str:
    new = [change.key for change in merged.changes if change.key not in merged.before]
    explicit = {key: facts.EXPLICIT_DEFAULTS[key] for key in new if key in facts.EXPLICIT_DEFAULTS}
    return daemon_json.render({**merged.before, **explicit})


def _activation(
    want: DesiredHost,
    seen: ObservedHost,
    merged: daemon_json.Merged,
    keys: list[str],
    removed: list[str],
) -> Activation:
    if seen.engine.state == "down" or (seen.engine.state == "missing" and not want.engine):
        return "none"  # it starts with the new file, today or another day
    if any(key not in facts.RELOADABLE for key in keys):
        return "restart"
    if _snapshotter(merged.before) != _snapshotter(merged.after or {}):
        return "restart"  # `features` reloads, the image store is chosen when dockerd starts
    if any(key not in facts.EXPLICIT_DEFAULTS for key in removed):
        return "restart"
    return "reload"


def _snapshotter(document: daemon_json.Document) -> Json:
    features = document.get("features")
    return features.get("containerd-snapshotter") if isinstance(features, dict) else None


def _stale_keys(
    seen: ObservedHost, merged: daemon_json.Merged, changed: set[str]
) -> tuple[str, ...]:
    """Keys of ours that the file holds and the live daemon does not."""
    if seen.engine.state != "up":
        return ()
    stale = []
    insecure = merged.owned_lists.get(INSECURE)
    if insecure and not set(insecure.entries) <= seen.engine.insecure:
        stale.append(INSECURE)
    mirrors = merged.owned_lists.get(MIRRORS)
    if mirrors and not {slashed(url) for url in mirrors.entries} <= set(seen.engine.mirrors):
        stale.append(MIRRORS)
    stale += [
        key
        for key, owned in merged.owned_values.items()
        if key in seen.engine.values and seen.engine.values[key] != owned.value
    ]
    return tuple(key for key in stale if key not in changed)


def _live(
    seen: ObservedHost, after: daemon_json.Document, merged: daemon_json.Merged
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What `docker info` has to show after the activation, and what it must not.

    Entries that are not ours are expected only where the daemon held them before: it may spell
    them otherwise (networks are made canonical).
    """
    insecure, mirrors = _strings(after.get(INSECURE)), _strings(after.get(MIRRORS))
    ours = merged.owned_lists.get(INSECURE)
    known = seen.engine.insecure | set(ours.entries if ours else ())
    expect = [f"insecure {entry}" for entry in insecure if entry in known]
    expect += [f"mirror {slashed(url)}" for url in mirrors]
    expect += [
        f"{key} {str(owned.value).lower() if isinstance(owned.value, bool) else owned.value}"
        for key, owned in merged.owned_values.items()
        if key in seen.engine.values
    ]
    gone = set(_strings(merged.before.get(INSECURE))) - set(insecure)
    refuse = [f"insecure {entry}" for entry in sorted(gone)]
    gone_mirrors = {slashed(url) for url in _strings(merged.before.get(MIRRORS))}
    gone_mirrors -= {slashed(url) for url in mirrors}
    refuse += [f"mirror {url}" for url in sorted(gone_mirrors)]
    return tuple(expect), tuple(refuse)


def _strings(value: Json) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list) else []


def slashed(url: str) -> str:
    """A mirror as dockerd shows it: with one slash at its end (registry.ValidateMirror)."""
    return url.rstrip("/") + "/"


def _diff(key: str, before: Json, after: Json) -> str:
    def lines(value: Json) -> list[str]:
        return daemon_json.render({key: value}).splitlines() if value is not None else []

    pairs = difflib.unified_diff(lines(before), lines(after), lineterm="", n=3)
    return "\n".join(list(pairs)[2:])


def _digest(text: str | None) -> str:
    return "absent" if text is None else hashlib.sha256(text.encode()).hexdigest()
