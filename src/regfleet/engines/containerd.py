"""containerd: hosts.toml files by ownership, and `config_path` in config.toml where it is not set.

Sources: containerd docs/hosts.md, docs/cri/registry.md; remotes/docker/config/hosts.go (up to 1.7
it reads no hosts.toml without a `[host]` table; a directory HOST_PORT_ comes before HOST:PORT);
pkg/cri/config and plugins/cri/images (conflicts and defaults of the CRI plugin's `registry`).
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import tomli

from regfleet.desired.model import DaemonSettings, DesiredHost, Directory, File, LoginEntry
from regfleet.documents import toml
from regfleet.documents.interface import NotReadableError, path
from regfleet.engines import edits, installation
from regfleet.engines.docker_facts import version_of
from regfleet.engines.interface import ClientNeeds, EnginePlan, EngineWants, Trust
from regfleet.errors import HostError
from regfleet.fleet.model import EngineName, Json
from regfleet.look.observed import ObservedHost, OtherEngine
from regfleet.plan.model import ActivateUnit, Change, RemovePath
from regfleet.record import Owned

CERTS = "/etc/containerd/certs.d"
HUB = "docker.io"
OLDEST = "1.5"  # the first that reads hosts.toml
UNIT = "containerd"
PROGRAM = installation.Program(
    "containerd",
    "containerd",
    "containerd",
    dict.fromkeys(("apt-get", "apk", "dnf", "pacman", "yum", "zypper"), ("containerd",)),
)

# Where the CRI plugin keeps its registries, by the version that config.toml says it is of.
_PLUGINS = {
    1: ("plugins", "cri"),
    2: ("plugins", "io.containerd.grpc.v1.cri"),
    3: ("plugins", "io.containerd.cri.v1.images"),
}
_CRI_NAMES = frozenset({"cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"})

# What `config_path` is where nothing sets it, from 2.2 on (plugins/cri/images/plugin.go).
_DEFAULT_SINCE = (2, 2)
_DEFAULT = f"{CERTS}:/etc/docker/certs.d"


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
        if needs.mirrors:
            wanted[f"{CERTS}/{HUB}/hosts.toml"] = _mirrors(needs, trusts, logins)
        directories = [Directory("/etc/containerd", 0o755, needs.reason)]
        directories += [Directory(CERTS, 0o755, needs.reason)] if wanted else []
        for file, settings in wanted.items():
            directory = file.rpartition("/")[0]
            why = _reason(settings)
            directories.append(Directory(directory, 0o755, why, own=not directory.endswith(HUB)))
        files = tuple(
            File(_ca_path(trust.endpoint), trust.ca, 0o444, trust.reason)
            for trust in needs.trusts
            if trust.ca
        )
        return EngineWants(tuple(directories), files, edits=wanted)

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
        registries = _Registries.of(want, found, config)
        wanted = {
            _place(file, registries.hosts, seen): settings for file, settings in want.edits.items()
        }
        wanted[config] = _config_settings(want, seen, registries, config, (owned, *others))
        return _merged(edits.Editor(toml.parse, want, seen, owned, others), found, config, wanted)


@dataclass(frozen=True, slots=True)
class _Registries:
    """What the CRI plugin's `registry` section comes to, with all that config.toml imports.

    Attributes:
        enabled: whether there is a CRI plugin at all; Docker's own package turns it off.
        config_path: its directories of hosts.toml files, separated by colons.
        hosts: the first of them, or the usual one.
        conflicts: tables that must not stand beside `config_path`.
    """

    enabled: bool
    config_path: str
    hosts: str
    conflicts: tuple[str, ...]

    @classmethod
    def of(cls, want: DesiredHost, found: OtherEngine, config: str) -> _Registries:
        """From what the look found.

        Raises:
            HostError: containerd itself cannot read its file.
        """
        if "refused" in found.facts and want.edits:
            raise HostError(
                want.name,
                f"containerd cannot read {config}: {found.facts['refused']}",
                "mend the file by hand (it was left as it is), then run this again",
            )
        dump = _dump(found)
        plugins = _table(dump, "plugins")
        registry: Mapping[str, object] = {}
        for name in _CRI_NAMES:
            registry = _table(_table(plugins, name), "registry") or registry
        mirrors = list(_table(registry, "mirrors"))
        configs = _table(registry, "configs")
        conflicts = [f"registry.mirrors ({', '.join(mirrors)})"] if mirrors else []
        tls = [name for name in configs if _table(_table(configs, name), "tls")]
        conflicts += [f"registry.configs.*.tls ({', '.join(tls)})"] if tls else []
        given = registry.get("config_path")
        config_path = given if isinstance(given, str) else ""
        if not config_path and not mirrors and version_of(found.version) >= _DEFAULT_SINCE:
            config_path = _DEFAULT
        disabled = dump.get("disabled_plugins")
        off = isinstance(disabled, list) and not _CRI_NAMES.isdisjoint(map(str, disabled))
        return cls(not off, config_path, config_path.partition(":")[0] or CERTS, tuple(conflicts))


def _registry(trust: Trust | None, login: LoginEntry | None) -> DaemonSettings:
    """hosts.toml of one registry. Empty for one that needs nothing said."""
    if trust and not (trust.ca or trust.plain or login):
        return DaemonSettings()
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
    return DaemonSettings({}, {**values, **secret}, reasons, frozenset(secret))


def _mirrors(
    needs: ClientNeeds, trusts: Mapping[str, Trust], logins: Mapping[str, LoginEntry]
) -> DaemonSettings:
    """hosts.toml of Docker Hub. Without `server` the Hub itself is what is asked last."""
    values: dict[str, Json] = {}
    secret: dict[str, Json] = {}
    for mirror in needs.mirrors:
        url = mirror.rstrip("/")
        endpoint = url.partition("://")[2].partition("/")[0]
        values[path("host", url, "capabilities")] = ["pull", "resolve"]
        if endpoint in trusts and trusts[endpoint].ca:
            values[path("host", url, "ca")] = _ca_path(endpoint)
        secret |= _login(url, logins.get(endpoint))
    reasons = dict.fromkeys((*values, *secret), f"{needs.reason}.mirrors")
    return DaemonSettings({}, {**values, **secret}, reasons, frozenset(secret))


def _login(url: str, login: LoginEntry | None) -> dict[str, Json]:
    """The header that is sent along.

    Its first letter's case matters: a token takes its place where the registry gives one
    (remotes/docker/authorizer.go).
    """
    if login is None:
        return {}
    basic = base64.b64encode(f"{login.user}:{login.password.reveal()}".encode()).decode()
    return {path("host", url, "header", "Authorization"): f"Basic {basic}"}


def _reason(settings: DaemonSettings) -> str:
    return next(iter(settings.reasons.values()))


def _ca_path(endpoint: str) -> str:
    return f"{CERTS}/{endpoint}/ca.crt"


def _installation(want: DesiredHost, seen: ObservedHost) -> EnginePlan:
    """A touch of its own: config.toml comes with the package."""
    step = installation.install(PROGRAM, want, seen)
    changes = [installation.change(step)]
    for file, settings in want.edits.items():
        changes.append(Change(f"file {file}", "create", _reason(settings)))
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


def _config_settings(
    want: DesiredHost,
    seen: ObservedHost,
    registries: _Registries,
    config: str,
    fleets: Collection[Owned],
) -> DaemonSettings:
    """`config_path`, where CRI has none of its own."""
    if not want.edits or not registries.enabled:
        return DaemonSettings()
    text = seen.texts.get(config)
    key, version = _config_path_key(want, seen, config)
    ours = any(key in fleet.edits[config].values for fleet in fleets if config in fleet.edits)
    if registries.config_path and not (ours and registries.hosts == CERTS):
        return DaemonSettings()  # somebody else's choice: respected
    if registries.conflicts:
        raise HostError(
            want.name,
            f"{config} has {' and '.join(registries.conflicts)}, beside which containerd takes no "
            "config_path: its CRI plugin would not start",
            "say in hosts.toml files (containerd docs/hosts.md), or in the fleet file, what those "
            "tables say, and take them out; or set config_path there by hand",
        )
    values: dict[str, Json] = {key: CERTS}
    made = any(
        path("version") in fleet.edits[config].values for fleet in fleets if config in fleet.edits
    )
    if version and (made or text is None or path("version") not in toml.parse(text)):
        values = {path("version"): version, **values}
    reason = _reason(next(iter(want.edits.values())))
    return DaemonSettings({}, values, dict.fromkeys(values, reason))


def _config_path_key(want: DesiredHost, seen: ObservedHost, config: str) -> tuple[str, int]:
    """The key of `config_path`, and the version to be written where the file is to get one."""
    found = seen.others["containerd"]
    newest = 3 if version_of(found.version) >= (2,) else 2
    try:
        document = toml.parse(seen.texts.get(config))
    except NotReadableError as error:
        raise HostError(
            want.name,
            f"{config} is not what containerd can read: {error}",
            "mend the file by hand (it was left as it is), then run this again",
        ) from error
    version = document.get(path("version"))
    if isinstance(version, int):
        plugin, write = _PLUGINS[max(1, min(version, 3))], version
    elif len(document):
        plugin, write = _PLUGINS[1], 0  # without a version it is of the first
    else:
        plugin, write = _PLUGINS[newest], newest
    return path(*plugin, "registry", "config_path"), write


def _merged(
    editor: edits.Editor, found: OtherEngine, config: str, wanted: Mapping[str, DaemonSettings]
) -> EnginePlan:
    """All files of ours, and what config.toml needs when it has changed."""
    whole = EnginePlan()
    runs = found.state == "up"
    restart = False
    for file in dict.fromkeys((*editor.owned.edits, *wanted)):
        is_config = file == config
        edited = editor.edit(
            file,
            wanted.get(file, DaemonSettings()),
            activation="restart" if is_config and runs else "none",
            engine="containerd" if is_config and found.state != "missing" else "",
        )
        restart |= bool(edited.changes) and is_config and runs
        steps = edited.steps
        if steps and isinstance(steps[0], RemovePath) and not file.startswith((CERTS, config)):
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
        start = Change("service containerd", "run", "the engine does not run")
        activate = ActivateUnit("containerd", UNIT, "start")
        return replace(
            whole, changes=(*whole.changes, start), configure=(*whole.configure, activate)
        )
    if restart:
        activate = ActivateUnit("containerd", UNIT, "restart", stops=False)
        return replace(whole, configure=(*whole.configure, activate))
    return whole


def _dump(found: OtherEngine) -> Mapping[str, object]:
    """What `containerd config dump` says of registries; it is TOML."""
    text = base64.b64decode(found.facts.get("dump", "")).decode(errors="replace")
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError:
        return {}


def _table(tree: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = tree.get(name)
    return found if isinstance(found, dict) else {}
