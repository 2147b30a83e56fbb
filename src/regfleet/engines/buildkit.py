"""BuildKit as a service of its own: buildkitd.toml by ownership, taken up by a restart.

Sources: moby/buildkit docs/buildkitd.toml.md, util/resolver/resolver.go (a mirror is a host
without a scheme; whether it speaks plain HTTP, and its CA, stand in a table of its own),
examples/systemd/system/buildkit.service. No Debian release has a package of it: the file is tested
with its parser, the restart with a stand-in for the service.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from regfleet.documents import toml
from regfleet.documents.interface import path
from regfleet.engines import boot, edits, installation, proxy
from regfleet.engines.docker_facts import version_of
from regfleet.engines.interface import ClientNeeds, EnginePlan, EngineWants, by_registry
from regfleet.engines.trust import certificates
from regfleet.errors import HostError
from regfleet.fleet.clients import EngineName
from regfleet.fleet.values import Json
from regfleet.model.desired import DesiredHost, WantedSettings
from regfleet.model.files import Directory
from regfleet.model.observed import ObservedHost, OtherEngine
from regfleet.model.plan import ActivateUnit, Activation
from regfleet.record import Owned

CONFIG = "/etc/buildkit/buildkitd.toml"
CERTS = "/etc/buildkit/certs.d"
OLDEST = "0.7"  # the first that has `ca` (util/resolver/config)
UNIT = "buildkit"
PROGRAM = installation.Program("buildkit", "BuildKit", "buildkitd", {})


class Buildkit:
    """buildkitd. Those who build bring their logins with them."""

    name: EngineName = "buildkit"
    shell: str = "buildkit"
    is_docker: bool = False
    # It keeps none: buildctl and docker buildx send those of their users.
    login_file: str = ""
    # It has no image store.
    load: str = ""
    # It builds, and keeps no images to tag, push and run.
    no_smoke: str = "BuildKit keeps no images"

    def wants(self, needs: ClientNeeds) -> EngineWants:
        """CAs beside buildkitd.toml, and the rest in it."""
        directories, files = certificates(CERTS, needs)
        directories = [Directory("/etc/buildkit", 0o755, needs.reason), *directories]
        settings = _settings(needs)
        wanted = {CONFIG: settings} if settings.lists or settings.values else {}
        places, proxied = proxy.drop_ins(needs.proxy, needs.fleet, (UNIT,))
        return EngineWants((*directories, *places), (*files, *proxied), edits=wanted)

    def plan(
        self,
        want: DesiredHost,
        seen: ObservedHost,
        owned: Owned,
        others: Collection[Owned],
    ) -> EnginePlan:
        """A restart where buildkitd.toml changes; a build that runs then is cut off."""
        found = seen.others.get(self.shell, OtherEngine("missing"))
        if want.engine == self.name:
            if found.state == "missing":
                raise HostError(
                    want.name,
                    "there is no BuildKit (no buildkitd)",
                    "install it as its documentation says: regfleet configures one that is there",
                )
            installation.too_old(PROGRAM, want, found.version, version_of(found.version), OLDEST)
        restart = found.state == "up"
        activation: Activation = "restart" if restart else "none"
        editor = edits.Editor(toml.parse, want, seen, owned, others)
        settings = want.edits.get(CONFIG, WantedSettings())
        edited = editor.edit(CONFIG, settings, activation=activation)
        steps = edited.steps
        if restart and edited.changes:
            steps = (*steps, ActivateUnit(self.shell, UNIT, "restart", stops=False))
        plan = EnginePlan(
            changes=edited.changes,
            configure=steps,
            edits={CONFIG: edited.owned},
            expected=edited.expected,
        )
        plan = proxy.taken_up(plan, want, seen, owned, engine=self.shell, unit=UNIT, runs=restart)
        return boot.checked(plan, want, found, UNIT) if want.engine == self.name else plan


def _settings(needs: ClientNeeds) -> WantedSettings:
    lists: dict[str, tuple[str, ...]] = {}
    values: dict[str, Json] = {}
    reasons: dict[str, str] = {}
    for of, mirrors in by_registry(needs.mirrors).items():
        key = path("registry", of, "mirrors")
        lists[key] = tuple(urlsplit(mirror.url).netloc for mirror in mirrors)
        reasons[key] = f"{needs.reason}.mirrors"
    for mirror in needs.mirrors:
        url = urlsplit(mirror.url)
        if url.scheme == "http":
            key = path("registry", url.netloc, "http")
            values[key] = True
            reasons[key] = f"{needs.reason}.mirrors"
    for trust in needs.trusts:
        if trust.plain:
            key = path("registry", trust.endpoint, "http")
            values[key] = True
            reasons[key] = trust.reason
        elif trust.ca:
            key = path("registry", trust.endpoint, "ca")
            lists[key] = (f"{CERTS}/{trust.endpoint}/ca.crt",)
            reasons[key] = trust.reason
    return WantedSettings(lists, values, reasons)
