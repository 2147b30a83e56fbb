"""Podman, and Buildah and Skopeo with it: a drop-in of registries.conf and a certs.d of its own.

Sources: containers-registries.conf(5), containers-registries.conf.d(5), containers-certs.d(5) and
containers-auth.json(5) of github.com/containers/image.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

import tomli

from regfleet.engines import installation
from regfleet.engines.docker_facts import version_of
from regfleet.engines.interface import ClientNeeds, EnginePlan, EngineWants, Trust, by_registry
from regfleet.engines.trust import certificates
from regfleet.errors import HostError
from regfleet.fleet import toml_text
from regfleet.fleet.clients import EngineName, Mirror
from regfleet.http_proxy import variables
from regfleet.model.desired import DesiredHost
from regfleet.model.files import Directory, File
from regfleet.model.observed import ObservedHost, OtherEngine
from regfleet.model.plan import ShowSettings
from regfleet.record import Owned

CERTS = "/etc/containers/certs.d"
DROP_INS = "/etc/containers/registries.conf.d"
# Whose tables count beside ours; root's own drop-ins are read last (sysregistriesv2,
# newConfigWrapper).
_READ = ("/etc/containers/registries.conf", "/root/.config/containers/registries.conf.d/")
CONF_DROP_INS = "/etc/containers/containers.conf.d"
OLDEST = "3.0"  # whose library reads drop-ins reliably; Debian 11 has it
# Which has --log-driver=passthrough and --pidfile (podman-run(1)); services are run with both.
OLDEST_TO_RUN = "4.0"
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
    load: str = "podman --remote=false load -q -i"
    no_smoke: str = ""

    def wants(self, needs: ClientNeeds) -> EngineWants:
        """CAs under certs.d; plain registries and mirrors in a drop-in of the fleet's own."""
        directories, files = registry_files(needs)
        places, proxied = _proxy_files(needs)
        return EngineWants((*directories, *places), (*files, *proxied), logins=needs.logins)

    def plan(
        self,
        want: DesiredHost,
        seen: ObservedHost,
        owned: Owned,
        others: Collection[Owned],
    ) -> EnginePlan:
        """Install it where it is missing; its files are whole files, and planned as such."""
        del owned, others
        if want.engine is None or self.name not in want.engines:
            return EnginePlan()
        refuse_foreign_registries(want, seen)
        _refuse_foreign_environment(want, seen)
        found = seen.others.get(self.shell)
        _refuse_roots_own(want, found)
        if found is None or found.state == "missing":
            step = installation.install(PROGRAM, want, seen)
            change = installation.change(step)
            return EnginePlan((change,), install=(step,), configure=_shown(want, seen))
        runs = any(each.image and each.image.engine == self.shell for each in want.services)
        oldest = OLDEST_TO_RUN if runs else OLDEST
        installation.too_old(PROGRAM, want, found.version, version_of(found.version), oldest)
        notes = (*narrower(want, seen), *_hidden(want, found))
        return EnginePlan(configure=_shown(want, seen), notes=notes)


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


def _drop_in(fleet: str, plain: list[Trust], mirrors: tuple[Mirror, ...]) -> str:
    lines = [f"# Written by regfleet for the fleet {fleet}: changes here are overwritten."]
    for trust in plain:
        endpoint = toml_text.value(trust.endpoint)
        lines += ["", "[[registry]]", f"location = {endpoint}", "insecure = true"]
    for of, group in by_registry(mirrors).items():
        name = toml_text.value(of)
        lines += ["", "[[registry]]", f"prefix = {name}", f"location = {name}"]
        for mirror in group:
            url = urlsplit(mirror.url)
            location = f"{url.netloc}{url.path}".rstrip("/")
            lines += ["", "[[registry.mirror]]", f"location = {toml_text.value(location)}"]
            if url.scheme == "http":
                lines.append("insecure = true")
    return "\n".join(lines) + "\n"


def _shown(want: DesiredHost, seen: ObservedHost) -> tuple[ShowSettings, ...]:
    """What `podman info` has to show once the drop-in is written: the settings in effect."""
    path = drop_in_path(want.fleet)
    file = next((each for each in want.files if each.path == path), None)
    found = seen.paths.get(path)
    if file is None or (found and found.digest == file.digest):
        return ()
    lines = []
    for table in tomli.loads(file.content.decode()).get("registry", ()):
        name = table.get("prefix") or table["location"]
        lines += [f"insecure {name}"] if table.get("insecure") else []
        lines += [f"mirror of {name}: {each['location']}" for each in table.get("mirror", ())]
    return (ShowSettings(Podman.shell, path, tuple(lines)),)


def _proxy_files(needs: ClientNeeds) -> tuple[tuple[Directory, ...], tuple[File, ...]]:
    """The environment of every podman command, and whether containers get it.

    containers.conf(5), `[engine] env` and `[containers] http_proxy`. All accounts read the file,
    so a password is refused before (schema, `proxy_passwords`).
    """
    if needs.proxy is None:
        return (), ()
    env = [f"{name}={value}" for name, value in variables(needs.proxy).items()]
    lines = (
        f"# Written by regfleet for the fleet {needs.fleet}: changes here are overwritten.",
        "[engine]",
        f"env = {toml_text.value(env)}",
        "",
        "[containers]",
        f"http_proxy = {toml_text.value(needs.proxy.containers)}",
    )
    text = "\n".join(lines) + "\n"
    path, reason = _conf_path(needs.fleet), needs.proxy.reason
    directory = Directory(CONF_DROP_INS, 0o755, reason)
    return (directory,), (File(path, text.encode(), 0o644, reason),)


def _conf_path(fleet: str) -> str:
    return f"{CONF_DROP_INS}/regfleet-{fleet}.conf"


def _refuse_roots_own(want: DesiredHost, found: OtherEngine | None) -> None:
    """Refuse root's own registries.conf, which Podman reads in place of all in /etc/containers.

    containers/image, pkg/sysregistriesv2, newConfigWrapper.

    Raises:
        HostError: with the file.
    """
    own = found.facts.get("own") if found else None
    ours = drop_in_path(want.fleet)
    if own and any(file.path == ours for file in want.files):
        raise HostError(
            want.name,
            f"root's Podman reads {own} alone, and nothing of /etc/containers/registries.conf.d",
            f"move what it says to a file in {DROP_INS}, and remove it",
        )


def _hidden(want: DesiredHost, found: OtherEngine) -> list[str]:
    """Notes of accounts whose own registries.conf stands in the place of all in /etc/containers.

    No refusal: it is their file, and would stop the fleet's work on the host.
    """
    if not any(file.path == drop_in_path(want.fleet) for file in want.files):
        return []
    return [
        f"the Podman of {account} reads ~{account}/.config/containers/registries.conf and nothing "
        "of /etc/containers/registries.conf.d: no plain registry or mirror of the fleet's holds "
        f"for it. Have {account} move that file to ~/.config/containers/registries.conf.d/"
        for account in found.facts.get("hidden", "").split()
    ]


def _refuse_foreign_environment(want: DesiredHost, seen: ObservedHost) -> None:
    """Refuse an `env` of somebody else's: of several files one alone counts.

    Raises:
        HostError: with the file.
    """
    ours = _conf_path(want.fleet)
    if not any(file.path == ours for file in want.files):
        return
    for path, text in seen.texts.items():
        if "/containers.conf" not in path or path == ours:
            continue
        try:
            engine = tomli.loads(text).get("engine")
        except tomli.TOMLDecodeError:
            continue  # Podman itself says so
        if isinstance(engine, dict) and engine.get("env"):
            raise HostError(
                want.name,
                f"{path} sets `env` under [engine], too: one of the two would be ignored",
                "take it out there; what it says of a proxy may stand in the fleet file",
            )


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
    mine = tomli.loads(ours.content.decode())
    wanted = set(_prefixes(mine))
    mirrored = {str(table["prefix"]) for table in mine.get("registry", ()) if "prefix" in table}
    for path, text in seen.texts.items():
        if not path.startswith(_READ) or path == ours.path:
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
        # Two fleets may well want the same plain registry.
        shared = wanted if not path.startswith(f"{DROP_INS}/regfleet-") else mirrored
        _refuse_prefixes(want, path, shared & set(_prefixes(document)))


def narrower(want: DesiredHost, seen: ObservedHost) -> tuple[str, ...]:
    """Notes of tables in others' files for a part of what ours are of: the longest prefix wins.

    containers-registries.conf(5), "Choosing a [[registry]] TOML table".
    """
    ours = next((file for file in want.files if file.path == drop_in_path(want.fleet)), None)
    if ours is None:
        return ()
    wanted = _prefixes(tomli.loads(ours.content.decode()))
    notes = []
    for path, text in seen.texts.items():
        if path.startswith(_READ) and path != ours.path:
            parts = _prefixes(tomli.loads(text))
            found = [part for part in parts for name in wanted if part.startswith(f"{name}/")]
            notes += [
                f"{path} has a [[registry]] for {part}: it holds for that, not the fleet's"
                for part in dict.fromkeys(found)
            ]
    return tuple(notes)


def _refuse_prefixes(want: DesiredHost, path: str, both: set[str]) -> None:
    if both:
        names = ", ".join(sorted(both))
        raise HostError(
            want.name,
            f"{path} has a [[registry]] for {names}, too: one of the two would be ignored",
            "declare in the fleet file what it says, and take it out there",
        )


def _prefixes(document: Mapping[str, object]) -> list[str]:
    """What its `[[registry]]` tables are of; a slash at the end is nothing (parseLocation)."""
    tables = document.get("registry")
    return [
        str(table.get("prefix") or table.get("location")).rstrip("/")
        for table in (tables if isinstance(tables, list) else [])
        if isinstance(table, dict)
    ]
