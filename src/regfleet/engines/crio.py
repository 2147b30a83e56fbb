"""CRI-O: the same files as Podman's, taken up by a reload.

Sources: crio.conf(5), "Live configuration reload" (SIGHUP reads registries.conf again);
containers-registries.conf.d(5) and containers-certs.d(5), which CRI-O reads through the same
library. No Debian release has a package of it: its files are tested with Podman's reader, the
reload with a stand-in for its service.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from regfleet.engines import boot, proxy
from regfleet.engines.interface import ClientNeeds, EnginePlan, EngineWants
from regfleet.engines.podman import (
    drop_in_path,
    narrower,
    refuse_foreign_registries,
    registry_files,
)
from regfleet.errors import HostError
from regfleet.fleet.clients import EngineName
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import ActivateUnit, Change
from regfleet.model.resource import Resource
from regfleet.record import Owned

UNIT = "crio"


class Crio:
    """CRI-O under Kubernetes. Pods keep running through a reload."""

    name: EngineName = "cri-o"
    shell: str = "crio"
    is_docker: bool = False
    # It has no login: Kubernetes gives it one with each pod (imagePullSecrets).
    login_file: str = ""
    # It has no command for that.
    load: str = ""
    no_smoke: str = "CRI-O has no command that pushes"

    def wants(self, needs: ClientNeeds) -> EngineWants:
        """CAs under certs.d; plain registries and mirrors in a drop-in of the fleet's own."""
        directories, files = registry_files(needs)
        places, proxied = proxy.drop_ins(needs.proxy, needs.fleet, (UNIT,))
        return EngineWants((*directories, *places), (*files, *proxied))

    def plan(
        self,
        want: DesiredHost,
        seen: ObservedHost,
        owned: Owned,
        others: Collection[Owned],
    ) -> EnginePlan:
        """A reload where the drop-in changes; CRI-O itself comes with Kubernetes, not with us."""
        del others
        found = seen.others.get(self.shell)
        state = found.state if found else "missing"
        if want.engine == self.name:
            refuse_foreign_registries(want, seen)
            if found and (elsewhere := found.facts.get("elsewhere")):
                raise HostError(
                    want.name,
                    f"CRI-O reads its registries elsewhere there: {elsewhere}",
                    "take that out of its service, so that it reads /etc/containers",
                )
            if state == "missing":
                raise HostError(
                    want.name,
                    "there is no CRI-O (no crio)",
                    "install it as your Kubernetes does; regfleet configures one that is there",
                )
        plan = EnginePlan(notes=narrower(want, seen) if want.engine == self.name else ())
        if state == "up" and _drop_in_changes(want, seen, owned):
            change = Change(
                Resource("service", UNIT),
                "run",
                f"takes up {drop_in_path(want.fleet)}",
                activation="reload",
            )
            step = ActivateUnit(self.shell, UNIT, "reload")
            plan = replace(plan, changes=(change,), configure=(step,))
        # One that is down reads its files when it starts.
        runs = state == "up"
        plan = proxy.taken_up(plan, want, seen, owned, engine=self.shell, unit=UNIT, runs=runs)
        return boot.checked(plan, want, found, UNIT) if want.engine == self.name else plan


def _drop_in_changes(want: DesiredHost, seen: ObservedHost, owned: Owned) -> bool:
    path = drop_in_path(want.fleet)
    wanted = next((file.digest for file in want.files if file.path == path), None)
    if wanted is None:
        return path in owned.files
    found = seen.paths.get(path)
    return found is None or found.digest != wanted
