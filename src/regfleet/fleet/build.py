"""The last stage: a document without mistakes to the dataclasses of `model`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from regfleet.fleet import defaults, hosts
from regfleet.fleet.findings import Table
from regfleet.fleet.model import (
    ALL_AT_ONCE,
    LOCAL,
    Client,
    Fleet,
    Host,
    Login,
    PasswordSource,
    Registry,
    Rollout,
    Smoke,
    Ssh,
    Tls,
    User,
)


def build(document: Table, path: Path) -> Fleet:
    """The fleet that a checked document declares.

    Args:
        document: what schema and cross-checks have found nothing in.
        path: the fleet file, absolute; relative paths begin at its folder.
    """
    return _Builder(document, path).fleet()


class _Builder:
    def __init__(self, document: Table, path: Path) -> None:
        self._document = document
        self._path = path
        self._folder = path.parent
        # Hosts without an ssh table of their own, which is most, share one object.
        self._ssh = {local: self._ssh_of(None, local) for local in ("", LOCAL)}

    def fleet(self) -> Fleet:
        document = self._document
        registries = {
            name: self._registry(name, table)
            for name, table in document.get("registry", {}).items()
        }
        rollout = ALL_AT_ONCE
        if "rollout" in document:
            rollout = Rollout(**defaults.laid_over("rollout", document["rollout"]))
        smoke = defaults.laid_over("smoke", document.get("smoke"))
        return Fleet(
            name=document["name"],
            path=self._path,
            registries=registries,
            clients={
                name: self._client(name, table, registries)
                for name, table in document.get("client", {}).items()
            },
            rollout=rollout,
            smoke=Smoke(
                image=smoke["image"], image_archive=self._local(smoke.get("image_archive"))
            ),
        )

    def _registry(self, name: str, table: Table) -> Registry:
        settings = defaults.laid_over("registry", table)
        return Registry(
            name=name,
            endpoint=defaults.endpoint(table),
            hosts=self._hosts(table),
            external=settings["external"],
            runtime=settings["runtime"],
            image=settings["image"],
            image_archive=self._local(settings.get("image_archive")),
            storage=settings["storage"],
            delete=settings["delete"],
            tls=self._tls(defaults.tls(table)),
            users=tuple(
                User(user, self._password(each["password"]))
                for user, each in settings["users"].items()
            ),
            allow_plaintext_passwords=settings["allow_plaintext_passwords"],
            smoke=settings.get("smoke", not settings["external"] and "proxy" not in settings),
            proxy=settings.get("proxy"),
        )

    def _tls(self, settings: Table) -> Tls:
        return Tls(
            source=settings["source"],
            names=tuple(settings["names"]),
            certificate=self._local(settings.get("certificate")),
            key=self._local(settings.get("key")),
            ca=self._local(settings.get("ca")),
        )

    def _password(self, written: str | Table) -> PasswordSource:
        if isinstance(written, str):
            return PasswordSource("generate")
        if "file" in written:
            return PasswordSource("file", str(self._local(written["file"])))
        if "env" in written:
            return PasswordSource("env", written["env"])
        return PasswordSource("command", written["command"])

    def _client(self, name: str, table: Table, registries: dict[str, Registry]) -> Client:
        settings = defaults.laid_over("client", table)
        return Client(
            name=name,
            hosts=self._hosts(table),
            engine=settings["engine"],
            install=settings["install"],
            registries=tuple(settings["registries"]),
            mirrors=tuple(_mirror(each, registries) for each in settings["mirrors"]),
            logins=tuple(_logins(settings["login"])),
            daemon=dict(settings["daemon"]),
            migrate_flags=settings["migrate_flags"],
        )

    def _hosts(self, table: Table) -> tuple[Host, ...]:
        return tuple(
            Host(host.name, host.address, self._host_ssh(item, host.name))
            for item in table.get("hosts", ())
            for host in hosts.declared(item)
        )

    def _host_ssh(self, item: str | Table, name: str) -> Ssh:
        own = None if isinstance(item, str) else item.get("ssh")
        if own:
            return self._ssh_of(own, name)
        return self._ssh[name if name == LOCAL else ""]

    def _ssh_of(self, own: Table | None, name: str) -> Ssh:
        settings = defaults.ssh(self._document.get("ssh"), own, name)
        return Ssh(
            user=settings.get("user"),
            port=settings["port"],
            key=self._local(settings.get("key")),
            sudo=settings["sudo"],
            host_key_checking=settings["host_key_checking"],
            known_hosts=self._local(settings.get("known_hosts")),
        )

    def _local(self, text: str | None) -> Path | None:
        return None if text is None else defaults.local_path(text, self._folder)


def _mirror(written: str, registries: dict[str, Registry]) -> str:
    registry = registries.get(written)
    if registry is None:
        return written
    scheme = "http" if registry.tls.source == "none" else "https"
    return f"{scheme}://{registry.endpoint}"


def _logins(table: Table) -> Iterator[Login]:
    for registry, written in table.items():
        login = defaults.login(written)
        yield Login(registry, login["user"], tuple(login["for"]))
