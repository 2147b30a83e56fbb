"""containerd: hosts.toml files by ownership, and `config_path` in config.toml where it is not set.

Sources: containerd docs/hosts.md, docs/cri/registry.md; remotes/docker/config/hosts.go (up to 1.7
it reads no hosts.toml without a `[host]` table; a directory HOST_PORT_ comes before HOST:PORT);
pkg/cri/config and plugins/cri/images (conflicts and defaults of the CRI plugin's `registry`).
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from regfleet.documents import toml
from regfleet.documents.interface import path
from regfleet.engines import boot, containerd_config, edits, installation, proxy
from regfleet.engines.containerd_config import CERTS
from regfleet.engines.docker_facts import version_of
from regfleet.engines.interface import ClientNeeds, EnginePlan, EngineWants, Trust, by_registry
from regfleet.errors import HostError
from regfleet.fleet.clients import EngineName, Mirror
from regfleet.fleet.values import Json
from regfleet.model.desired import DesiredHost, LoginEntry, WantedSettings
from regfleet.model.files import Directory, File
from regfleet.model.observed import ObservedHost, OtherEngine
from regfleet.model.plan import ActivateUnit, Change, RemovePath
from regfleet.model.resource import Resource
from regfleet.record import Owned

_DEFAULT_HOST = "_default"  # asked for every registry that has no directory (docs/hosts.md)
OLDEST = "1.5"  # the first that reads hosts.toml
UNIT = "containerd"
PROGRAM = installation.Program(
    "containerd",
    "containerd",
    "containerd",
    dict.fromkeys(("apt-get", "apk", "dnf", "pacman", "yum", "zypper"), ("containerd",)),
    dict.fromkeys(installation.RED_HAT, ()),
    ("containerd.io",),
)


class Containerd:
    """containerd as Kubernetes, nerdctl and ctr use it."""

    name: EngineName = "containerd"
    shell: str = "containerd"
    is_docker: bool = False
    # It has no login command: a login is a header in hosts.toml.
    login_file: str = ""
    # Into the smoke test's namespace: nobody else's gets the image.
    load: str = "ctr -n regfleet-smoke images import"
    no_smoke: str = ""

    def wants(self, needs: ClientNeeds) -> EngineWants:
        """CAs beside the hosts.toml files, and these, read at every pull.

        They are planned for the usual directory; where CRI has another, they go there.
        """
        trusts = {trust.endpoint: trust for trust in needs.trusts}
        logins = {login.endpoint: login for login in needs.logins}
        wanted = {
            f"{CERTS}/{endpoint}/hosts.toml": _registry(trusts.get(endpoint), logins.get(endpoint))
            for endpoint in (*trusts, *(each for each in logins if each not in trusts))
        }
        wanted = {file: settings for file, settings in wanted.items() if settings.values}
        mirrored = set()
        for of, mirrors in by_registry(needs.mirrors).items():
            file = f"{CERTS}/{_DEFAULT_HOST if of == '*' else of}/hosts.toml"
            mirrored.add(file)
            wanted[file] = _with(_mirrors(needs, mirrors), wanted.get(file))
        directories = [Directory("/etc/containerd", 0o755, needs.reason)]
        directories += [Directory(CERTS, 0o755, needs.reason)] if wanted else []
        for file, settings in wanted.items():
            directory = file.rpartition("/")[0]
            why = _reason(settings)
            directories.append(Directory(directory, 0o755, why, own=file not in mirrored))
        files = tuple(
            File(_ca_path(trust.endpoint), trust.ca, 0o444, trust.reason)
            for trust in needs.trusts
            if trust.ca
        )
        places, proxied = proxy.drop_ins(needs.proxy, needs.fleet, (UNIT,))
        return EngineWants((*directories, *places), (*files, *proxied), edits=wanted)

    def plan(
        self,
        want: DesiredHost,
        seen: ObservedHost,
        owned: Owned,
        others: Collection[Owned],
    ) -> EnginePlan:
        """Install, merge, and restart where config.toml has changed; a restart stops no container.

        hosts.toml is read at every pull.
        """
        found = seen.others.get(self.shell, OtherEngine("missing"))
        if want.engine == self.name:
            if found.state == "missing":
                return _installation(want, seen)
            _refuse(want, found)
        config = found.facts.get("config", "/etc/containerd/config.toml")
        registries = containerd_config.Registries.of(want, found, config)
        wanted = {
            _place(file, registries.hosts, seen): settings for file, settings in want.edits.items()
        }
        file = containerd_config.winner(want, seen, config)
        wanted[file] = containerd_config.settings(
            want, seen, registries, (owned, *others), file=file, config=config
        )
        configs = {config, file, *containerd_config.imports(found)}
        editor = edits.Editor(toml.parse, want, seen, owned, others)
        plan = _merged(editor, found, configs, wanted)
        runs = found.state == "up"
        plan = proxy.taken_up(plan, want, seen, owned, engine=self.shell, unit=UNIT, runs=runs)
        return boot.checked(plan, want, found, UNIT) if want.engine == self.name else plan


def _registry(trust: Trust | None, login: LoginEntry | None) -> WantedSettings:
    """hosts.toml of one registry. Empty for one that needs nothing said."""
    if trust and not (trust.ca or trust.plain or login):
        return WantedSettings()
    endpoint = trust.endpoint if trust else login.endpoint if login else ""
    url = f"{'http' if trust and trust.plain else 'https'}://{endpoint}"
    reason = trust.reason if trust else login.reason if login else ""
    values: dict[str, Json] = {
        path("server"): url,
        path("host", url, "capabilities"): ["pull", "resolve", "push"],
    }
    if trust and trust.ca:
        values[path("host", url, "ca")] = _ca_path(endpoint)
    secret = _login(url, login)
    reasons = dict.fromkeys(values, reason) | dict.fromkeys(secret, login.reason if login else "")
    return WantedSettings({}, {**values, **secret}, reasons, frozenset(secret))


def _mirrors(needs: ClientNeeds, mirrors: Iterable[Mirror]) -> WantedSettings:
    """hosts.toml of a registry with mirrors. Without `server` it is itself asked last."""
    values: dict[str, Json] = {}
    secret: dict[str, Json] = {}
    trusts = {trust.registry: trust for trust in needs.trusts}
    logins = {login.registry: login for login in needs.logins}
    for mirror in mirrors:
        url = mirror.url.rstrip("/")
        values[path("host", url, "capabilities")] = ["pull", "resolve"]
        trust = trusts.get(mirror.registry or "")
        if trust and trust.ca:
            values[path("host", url, "ca")] = _ca_path(trust.endpoint)
        secret |= _login(url, logins.get(mirror.registry or ""))
    reasons = dict.fromkeys((*values, *secret), f"{needs.reason}.mirrors")
    return WantedSettings({}, {**values, **secret}, reasons, frozenset(secret))


def _with(mirrors: WantedSettings, itself: WantedSettings | None) -> WantedSettings:
    """Both in one file: hosts are asked in its order, so the mirrors come first."""
    if itself is None:
        return mirrors
    return WantedSettings(
        {},
        {**mirrors.values, **itself.values},
        {**mirrors.reasons, **itself.reasons},
        mirrors.secret | itself.secret,
    )


def _login(url: str, login: LoginEntry | None) -> dict[str, Json]:
    """The header that is sent along.

    Its first letter's case matters: a token takes its place where the registry gives one
    (remotes/docker/authorizer.go).
    """
    if login is None:
        return {}
    basic = base64.b64encode(f"{login.user}:{login.password.reveal()}".encode()).decode()
    return {path("host", url, "header", "Authorization"): f"Basic {basic}"}


def _reason(settings: WantedSettings) -> str:
    return next(iter(settings.reasons.values()))


def _ca_path(endpoint: str) -> str:
    return f"{CERTS}/{endpoint}/ca.crt"


def _installation(want: DesiredHost, seen: ObservedHost) -> EnginePlan:
    """A touch of its own: config.toml comes with the package."""
    step = installation.install(PROGRAM, want, seen)
    changes = [installation.change(step)]
    for file, settings in want.edits.items():
        changes.append(Change(Resource("file", file), "create", _reason(settings)))
    return EnginePlan(changes=tuple(changes), install=(step,), apart=True)


def _refuse(want: DesiredHost, found: OtherEngine) -> None:
    if found.state == "silent":
        raise HostError(
            want.name,
            "containerd runs but does not answer",
            "see `journalctl -u containerd` on the host, and restart it when it is safe",
        )
    installation.too_old(PROGRAM, want, found.version, version_of(found.version), OLDEST)


def _place(file: str, hosts: str, seen: ObservedHost) -> str:
    """Where a hosts.toml of the usual directory goes on this host."""
    file = hosts + file.removeprefix(CERTS)
    directory, _, name = file.rpartition("/")
    stem, colon, port = directory.rpartition(":")
    first = f"{stem}_{port}_/{name}" if colon else file
    return first if first in seen.texts else file


def _merged(
    editor: edits.Editor,
    found: OtherEngine,
    configs: Collection[str],
    wanted: Mapping[str, WantedSettings],
) -> EnginePlan:
    """All files of ours, and what containerd's own `configs` need when one has changed."""
    whole = EnginePlan()
    runs = found.state == "up"
    restart = False
    for file in dict.fromkeys((*editor.owned.edits, *wanted)):
        is_config = file in configs
        edited = editor.edit(
            file,
            wanted.get(file, WantedSettings()),
            activation="restart" if is_config and runs else "none",
            engine="containerd" if is_config and found.state != "missing" else "",
        )
        restart |= bool(edited.changes) and is_config and runs
        steps = edited.steps
        if (
            steps
            and isinstance(steps[0], RemovePath)
            and not is_config
            and not file.startswith(CERTS)
        ):
            # A directory elsewhere that was made for it goes with it, when it is empty.
            steps = (*steps, RemovePath(file.rpartition("/")[0], directory=True))
        whole = replace(
            whole,
            changes=(*whole.changes, *edited.changes),
            configure=(*whole.configure, *steps),
            edits={**whole.edits, file: edited.owned},
            expected=(*whole.expected, *edited.expected),
        )
    if editor.want.engine == "containerd" and found.state == "down":
        start = Change(Resource("service", "containerd"), "run", "the engine does not run")
        activate = ActivateUnit("containerd", UNIT, "start")
        return replace(
            whole, changes=(*whole.changes, start), configure=(*whole.configure, activate)
        )
    if restart:
        activate = ActivateUnit("containerd", UNIT, "restart", stops=False)
        return replace(whole, configure=(*whole.configure, activate))
    return whole
