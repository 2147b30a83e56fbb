"""k3s and RKE2: registries.yaml by ownership, taken up by a restart of their service.

They write the configuration of the containerd that they bring from it, when they start. Sources:
k3s docs/installation/private-registry.md, k3s pkg/agent/containerd/config.go; RKE2's documentation
of the same file. No distribution has a package of either: the file is tested with its parser, the
restart with a stand-in for the service.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from urllib.parse import urlsplit

from regfleet.documents.interface import Document, path
from regfleet.engines import boot, edits, installation, proxy
from regfleet.engines.docker_facts import version_of
from regfleet.engines.interface import ClientNeeds, EnginePlan, EngineWants, by_registry
from regfleet.engines.trust import certificates
from regfleet.errors import HostError
from regfleet.fleet.clients import EngineName, Mirror
from regfleet.fleet.values import Json
from regfleet.model.desired import DesiredHost, WantedSettings
from regfleet.model.files import Directory
from regfleet.model.observed import ObservedHost, OtherEngine
from regfleet.model.plan import ActivateUnit, Activation, Step
from regfleet.record import Owned

OLDEST = "1.0"  # k3s: the first that reads registries.yaml; RKE2 began with it
# Each server or agent is a unit of its own; a host runs one of them.
_UNITS = {"k3s": ("k3s", "k3s-agent"), "rke2": ("rke2-server", "rke2-agent")}
# What begins so is handed on to containerd alone: the kubelet and the API keep their own way (k3s
# docs, "Configuring an HTTP proxy"; RKE2's, the same).
_FOR_CONTAINERD = "CONTAINERD_"
WORD = "rancher"  # their shell files are the same: no host has both


class Rancher:
    """One of the two.

    Args:
        name: `k3s` or `rke2`, also the directory of its files below /etc/rancher.
        title: for people.
    """

    shell: str = WORD
    is_docker: bool = False
    # Logins are part of registries.yaml.
    login_file: str = ""
    no_smoke: str = ""

    def __init__(self, name: EngineName, title: str) -> None:
        self.name = name
        self._title = title
        # With the `ctr` that it brings, into the smoke test's namespace.
        socket = "--address /run/k3s/containerd/containerd.sock"
        places = '"$PATH:/usr/local/bin:/var/lib/rancher/rke2/bin"'
        self._units = _UNITS[name]
        ctr = "k3s ctr" if name == "k3s" else f"ctr {socket}"
        self.load = f"env PATH={places} {ctr} -n regfleet-smoke images import"

    @property
    def registries(self) -> str:
        """The file that it reads when it starts."""
        return f"/etc/rancher/{self.name}/registries.yaml"

    def wants(self, needs: ClientNeeds) -> EngineWants:
        """CAs beside registries.yaml, and the rest in it."""
        certs = f"/etc/rancher/{self.name}/certs.d"
        directories, files = certificates(certs, needs)
        directories = [
            Directory("/etc/rancher", 0o755, needs.reason),
            Directory(f"/etc/rancher/{self.name}", 0o755, needs.reason),
            *directories,
        ]
        settings = _settings(needs, certs)
        wanted = {self.registries: settings} if settings.lists or settings.values else {}
        places, proxied = proxy.drop_ins(needs.proxy, needs.fleet, self._units, _FOR_CONTAINERD)
        return EngineWants((*directories, *places), (*files, *proxied), edits=wanted)

    def plan(
        self,
        want: DesiredHost,
        seen: ObservedHost,
        owned: Owned,
        others: Collection[Owned],
    ) -> EnginePlan:
        """A restart where registries.yaml changes; pods run on through it."""
        found = seen.others.get(WORD, OtherEngine("missing"))
        product = found.facts.get("product", "")
        if want.engine == self.name:
            self._refuse(want, found, product)
            _refuse_ignored(want, found, self._title)
        unit = found.facts.get("unit", "")
        restart = found.state in {"up", "silent"} and product == self.name and bool(unit)
        activation: Activation = "restart" if restart else "none"
        editor = edits.Editor(_parse, want, seen, owned, others)
        place = found.facts.get("registries", self.registries)
        # It may have been another file when ours was written.
        before = [each for each in owned.edits if each.endswith(".yaml") and each in seen.texts]
        edited = {
            file: editor.edit(
                file,
                want.edits.get(self.registries, WantedSettings())
                if file == place
                else WantedSettings(),
                activation=activation,
            )
            for file in dict.fromkeys((*before, place))
        }
        changes = tuple(change for each in edited.values() for change in each.changes)
        steps: tuple[Step, ...] = tuple(step for each in edited.values() for step in each.steps)
        if restart and changes:
            steps = (*steps, ActivateUnit(WORD, unit, "restart", stops=False))
        plan = EnginePlan(
            changes=changes,
            configure=steps,
            edits={file: each.owned for file, each in edited.items()},
            expected=tuple(pair for each in edited.values() for pair in each.expected),
        )
        plan = proxy.taken_up(plan, want, seen, owned, engine=WORD, unit=unit, runs=restart)
        return boot.checked(plan, want, found, unit) if want.engine == self.name else plan

    def _refuse(self, want: DesiredHost, found: OtherEngine, product: str) -> None:
        """One that is not there, is the other one, or is too old.

        Raises:
            HostError: with what was found.
        """
        if found.state == "missing" or product != self.name:
            instead = f"; there is {product}" if product else ""
            raise HostError(
                want.name,
                f"there is no {self._title} engine (no {self.name}){instead}",
                f"install {self._title} as its documentation says: regfleet configures one that "
                "is there",
            )
        program = installation.Program(WORD, self._title, self.name, {})
        installation.too_old(program, want, found.version, version_of(found.version), OLDEST)


def _refuse_ignored(want: DesiredHost, found: OtherEngine, title: str) -> None:
    """One that does not read registries.yaml, or writes nothing of it for its containerd.

    Raises:
        HostError: with the setting or the file.
    """
    template, endpoint = found.facts.get("template"), found.facts.get("endpoint")
    if found.facts.get("docker") == "true":
        raise HostError(
            want.name,
            f"{title} runs Docker there (its setting `docker`): it does not read registries.yaml",
            'declare `engine = "docker"` for this group',
        )
    if endpoint:
        raise HostError(
            want.name,
            f"{title} uses another runtime there (container-runtime-endpoint: {endpoint}), and "
            "does not read registries.yaml",
            "declare that runtime's engine for this group",
        )
    if template:
        raise HostError(
            want.name,
            f"{template} takes the place of what {title} writes for containerd, and has nothing of "
            "registries.yaml",
            'begin it with `{{ template "base" . }}`, and take out what that says already',
        )


def _settings(needs: ClientNeeds, certs: str) -> WantedSettings:
    lists: dict[str, tuple[str, ...]] = {}
    values: dict[str, Json] = {}
    reasons: dict[str, str] = {}
    for of, mirrors in by_registry(needs.mirrors).items():
        key = path("mirrors", of, "endpoint")
        lists[key] = tuple(map(_endpoint, mirrors))
        reasons[key] = f"{needs.reason}.mirrors"
    for trust in needs.trusts:
        if trust.plain:
            key = path("mirrors", trust.endpoint, "endpoint")
            lists[key] = (f"http://{trust.endpoint}",)
            reasons[key] = trust.reason
        elif trust.ca:
            key = path("configs", trust.endpoint, "tls", "ca_file")
            values[key] = f"{certs}/{trust.endpoint}/ca.crt"
            reasons[key] = trust.reason
    secret = set()
    for login in needs.logins:
        auth = {"username": login.user, "password": login.password.reveal()}
        for name, value in auth.items():
            key = path("configs", login.endpoint, "auth", name)
            values[key] = value
            reasons[key] = login.reason
        secret.add(path("configs", login.endpoint, "auth", "password"))
    return WantedSettings(lists, values, reasons, frozenset(secret))


def _endpoint(mirror: Mirror) -> str:
    """A mirror's URL; with a path of its own it is taken as it is, so `/v2` has to be said."""
    url = mirror.url.rstrip("/")
    return f"{url}/v2" if urlsplit(url).path else url


def _parse(text: str | None) -> Document:
    # Imported here: PyYAML takes longer than all engines, and few hosts need it.
    found: Document = import_module("regfleet.documents.yaml").parse(text)
    return found
