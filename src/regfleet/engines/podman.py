"""Podman, and Buildah and Skopeo with it: a drop-in of registries.conf and a certs.d of its own.

Sources: containers-registries.conf(5), containers-registries.conf.d(5), containers-certs.d(5) and
containers-auth.json(5) of github.com/containers/image.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import tomli

from regfleet.desired.model import DesiredHost, Directory, File
from regfleet.engines import installation
from regfleet.engines.docker_facts import version_of
from regfleet.engines.interface import ClientNeeds, EnginePlan, EngineWants, Trust
from regfleet.engines.trust import certificates
from regfleet.errors import HostError
from regfleet.fleet.model import EngineName
from regfleet.look.observed import ObservedHost
from regfleet.record import Owned

CERTS = "/etc/containers/certs.d"
DROP_INS = "/etc/containers/registries.conf.d"
HUB = "docker.io"
OLDEST = "3.0"  # whose library reads drop-ins reliably; Debian 11 has it
PROGRAM = installation.Program(
    "podman",
    "Podman",
    "podman",
    dict.fromkeys(("apt-get", "apk", "dnf", "pacman", "yum", "zypper"), ("podman",)),
)


class Podman:
    """Podman has no daemon: its files are read by each command, and nothing is reloaded."""

    name: EngineName = "podman"
    shell: str = "podman"
    is_docker: bool = False
    # The one that outlives a restart of the machine; the default is in /run.
    login_file: str = ".config/containers/auth.json"
    load: str = "podman load -q -i"
    no_smoke: str = ""

    def wants(self, needs: ClientNeeds) -> EngineWants:
        """CAs under certs.d; plain registries and mirrors in a drop-in of the fleet's own."""
        directories, files = registry_files(needs)
        logins = tuple(
            replace(login, engine=self.shell, file=self.login_file) for login in needs.logins
        )
        return EngineWants(directories, files, logins=logins)

    def plan(
        self,
        want: DesiredHost,
        seen: ObservedHost,
        owned: Owned,
        others: Collection[Owned],
    ) -> EnginePlan:
        """Install it where it is missing; its files are whole files, and planned as such."""
        del owned, others
        if want.engine != self.name:
            return EnginePlan()
        refuse_foreign_registries(want, seen)
        found = seen.others.get(self.shell)
        if found is None or found.state == "missing":
            step = installation.install(PROGRAM, want, seen)
            return EnginePlan(changes=(installation.change(step),), install=(step,))
        installation.too_old(PROGRAM, want, found.version, version_of(found.version), OLDEST)
        return EnginePlan()


def registry_files(needs: ClientNeeds) -> tuple[tuple[Directory, ...], tuple[File, ...]]:
    """Directories and files for whatever reads /etc/containers."""
    reason = needs.reason
    directories, files = certificates(CERTS, needs)
    directories = [Directory("/etc/containers", 0o755, reason), *directories]
    plain = [trust for trust in needs.trusts if trust.plain]
    if plain or needs.mirrors:
        directories.append(Directory(DROP_INS, 0o755, reason))
        why = plain[0].reason if plain else f"{reason}.mirrors"
        text = _drop_in(needs.fleet, plain, needs.mirrors)
        files.append(File(drop_in_path(needs.fleet), text.encode(), 0o644, why))
    return tuple(directories), tuple(files)


def drop_in_path(fleet: str) -> str:
    """The fleet's own drop-in. Later files win, and digits and most names come before `r`."""
    return f"{DROP_INS}/regfleet-{fleet}.conf"


def _drop_in(fleet: str, plain: list[Trust], mirrors: tuple[str, ...]) -> str:
    lines = [f"# Written by regfleet for the fleet {fleet}: changes here are overwritten."]
    for trust in plain:
        lines += ["", "[[registry]]", f"location = {_quoted(trust.endpoint)}", "insecure = true"]
    if mirrors:
        lines += ["", "[[registry]]", f'prefix = "{HUB}"', f'location = "{HUB}"']
    for mirror in mirrors:
        url = urlsplit(mirror)
        location = f"{url.netloc}{url.path}".rstrip("/")
        lines += ["", "[[registry.mirror]]", f"location = {_quoted(location)}"]
        if url.scheme == "http":
            lines.append("insecure = true")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text)  # a JSON string is a TOML basic string


def refuse_foreign_registries(want: DesiredHost, seen: ObservedHost) -> None:
    """Refuse what would undo our drop-in, or be undone by it.

    A `[[registry]]` of the same prefix in another file replaces ours or is replaced by it, as the
    files' names are sorted; the tables of the older format must not stand beside drop-ins of the
    newer one (containers/image, pkg/sysregistriesv2).

    Raises:
        HostError: with the file and what is in it.
    """
    ours = next((file for file in want.files if file.path == drop_in_path(want.fleet)), None)
    if ours is None:
        return
    wanted = set(_prefixes(tomli.loads(ours.content.decode())))
    for path, text in seen.texts.items():
        if not path.startswith("/etc/containers/registries.conf") or path == ours.path:
            continue
        try:
            document = tomli.loads(text)
        except tomli.TOMLDecodeError as error:
            raise HostError(
                want.name,
                f"{path} is not TOML: {error}",
                "mend the file by hand (it was left as it is), then run this again",
            ) from error
        if "registries" in document:
            raise HostError(
                want.name,
                f"{path} is of the older format ([registries.search] and the like), beside which "
                "no drop-in may stand",
                "rewrite it in the format of containers-registries.conf(5), version 2",
            )
        _refuse_prefixes(want, path, wanted & set(_prefixes(document)))


def _refuse_prefixes(want: DesiredHost, path: str, both: set[str]) -> None:
    if path.startswith(f"{DROP_INS}/regfleet-"):
        both = both & {HUB}  # two fleets may well want the same plain registry
    if both:
        names = ", ".join(sorted(both))
        raise HostError(
            want.name,
            f"{path} has a [[registry]] for {names}, too: one of the two would be ignored",
            "declare in the fleet file what it says, and take it out there",
        )


def _prefixes(document: Mapping[str, object]) -> list[str]:
    tables = document.get("registry")
    return [
        str(table.get("prefix") or table.get("location"))
        for table in (tables if isinstance(tables, list) else [])
        if isinstance(table, dict)
    ]
