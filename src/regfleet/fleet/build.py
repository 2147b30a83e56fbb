"""The last stage: builds the dataclasses of `model` from a document without mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from regfleet.fleet import defaults, hosts
from regfleet.fleet.addresses import split_listen
from regfleet.fleet.clients import Client, Login, Mirror
from regfleet.fleet.findings import Table
from regfleet.fleet.formats import age_seconds
from regfleet.fleet.machines import LOCAL, Host, Ssh
from regfleet.fleet.model import Fleet
from regfleet.fleet.policies import ALL_AT_ONCE, Promotion, Replication, Rollout, Smoke, Stage
from regfleet.fleet.registries import (
    S3,
    Backup,
    Gateway,
    Limits,
    Member,
    PasswordSource,
    Project,
    Proxy,
    Registry,
    Retention,
    Rule,
    Tls,
    User,
    read_only_name,
)
from regfleet.fleet.schedules import interval_seconds, schedule


def build(document: Table, path: Path) -> Fleet:
    """The fleet that a checked document declares.

    Args:
        document: the fleet file's TOML, after the schema and the cross-checks found no mistake.
        path: the fleet file, absolute; relative paths begin at its folder.
    """
    return _Builder(document, path).fleet()


class _Builder:
    def __init__(self, document: Table, path: Path) -> None:
        self._document = document
        self._path = path
        self._folder = path.parent
        # Most hosts have no ssh table of their own: they share one object.
        self._ssh = {local: self._build_ssh(None, local) for local in ("", LOCAL)}

    def fleet(self) -> Fleet:
        document = self._document
        registries = {
            each.name: each
            for name, table in document.get("registry", {}).items()
            for each in self._build_registries(name, table)
        }
        rollout = ALL_AT_ONCE
        if "rollout" in document:
            rollout = Rollout(**defaults.with_defaults("rollout", document["rollout"]))
        smoke = defaults.with_defaults("smoke", document.get("smoke"))
        return Fleet(
            name=document["name"],
            path=self._path,
            registries=registries,
            clients={
                name: self._build_client(name, table, registries)
                for name, table in document.get("client", {}).items()
            },
            rollout=rollout,
            smoke=Smoke(
                image=smoke["image"], image_archive=self._resolve_path(smoke.get("image_archive"))
            ),
            ca_permitted=tuple(defaults.with_defaults("ca", document.get("ca"))["permitted"]),
            replications={
                name: replace(
                    _build_replication(name, table),
                    http_proxy=self._build_proxy(table.get("http_proxy")),
                )
                for name, table in document.get("replication", {}).items()
            },
            promotions={
                name: replace(
                    _build_promotion(name, table),
                    http_proxy=self._build_proxy(table.get("http_proxy")),
                )
                for name, table in document.get("promotion", {}).items()
            },
        )

    def _build_registries(self, name: str, table: Table) -> Iterator[Registry]:
        """The registry, and what serves it read-only."""
        registry = self._build_registry(name, table)
        yield registry
        if "readonly" in table:
            yield self._build_read_only(registry, table["readonly"])

    def _build_read_only(self, registry: Registry, table: Table) -> Registry:
        settings = defaults.with_defaults("readonly", table)
        port = settings["port"]
        archive = self._resolve_path(settings.get("image_archive"))
        return replace(
            registry,
            name=read_only_name(registry.name),
            endpoint=defaults.with_port(registry.endpoint, port),
            listen=(registry.listen[0], port) if registry.listen else None,
            image=settings.get("image", registry.image),
            image_archive=archive if archive or "image" in table else registry.image_archive,
            users=self._build_users(settings["users"]),
            delete=False,
            smoke=False,
            adopt=False,
            retention=Retention(),
            backup=None,
            read_only_of=registry.name,
        )

    def _build_users(self, table: Table) -> tuple[User, ...]:
        return tuple(
            User(user, self._password_source(each["password"])) for user, each in table.items()
        )

    def _build_registry(self, name: str, table: Table) -> Registry:
        settings = defaults.with_defaults("registry", table)
        upstream = defaults.upstream(table)
        before = settings["gateway"].get("before", ())
        return Registry(
            name=name,
            endpoint=defaults.endpoint(table),
            hosts=self._build_hosts(table),
            external=settings["external"],
            runtime=settings["runtime"],
            image=settings["image"],
            image_archive=self._resolve_path(settings.get("image_archive")),
            storage="" if before else defaults.directory(settings["storage"]),
            shared=defaults.is_shared(settings["storage"]),
            s3=self._build_s3(defaults.s3(settings)),
            adopt=settings["adopt"],
            # Of two that copy each other, one would bring back what is deleted in the other.
            delete=settings["delete"] and len(before) < 2,  # noqa: PLR2004
            tls=self._build_tls(defaults.tls(table)),
            users=self._build_users(settings["users"]),
            allow_plaintext_passwords=settings["allow_plaintext_passwords"],
            smoke=settings.get("smoke", not settings["external"] and "proxy" not in settings),
            proxy=upstream["url"],
            proxy_user=(
                User(upstream["user"], self._password_source(upstream["password"]))
                if "user" in upstream
                else None
            ),
            proxy_ttl=upstream.get("ttl", ""),
            http_proxy=self._build_proxy(table.get("http_proxy")),
            serves_docker_hub=defaults.serves_docker_hub(settings),
            listen=split_listen(settings["listen"]) if "listen" in settings else None,
            limits=Limits(
                **{"memory": None, **defaults.with_defaults("limits", settings.get("limits"))}
            ),
            retention=_build_retention(settings["retention"]),
            backup=self._build_backup(settings["backup"]) if "backup" in settings else None,
            admins=tuple(settings["admins"]),
            projects=tuple(_build_projects(settings["projects"])),
            gateway=(
                self._build_gateway(settings["gateway"])
                if settings["projects"] or "gateway" in table
                else None
            ),
        )

    def _build_backup(self, table: Table) -> Backup:
        settings = defaults.with_defaults("backup", table)
        return Backup(
            to=defaults.backup_directory(settings["to"]),
            mounted=isinstance(settings["to"], dict),
            keep=settings["keep"],
            schedule=schedule(settings),
            key=self._password_source(settings["key"]) if "key" in settings else None,
        )

    def _build_s3(self, table: Table | None) -> S3 | None:
        if table is None:
            return None
        settings = defaults.with_defaults("s3", table)
        return S3(
            bucket=settings["bucket"],
            region=settings["region"],
            endpoint=settings.get("endpoint", "").removesuffix("/"),
            keys=(
                (
                    self._password_source(settings["access_key"]),
                    self._password_source(settings["secret_key"]),
                )
                if "access_key" in settings
                else None
            ),
            prefix=settings.get("prefix", ""),
            ca=self._resolve_path(settings.get("ca")),
            redirect=settings["redirect"],
        )

    def _build_gateway(self, table: Table) -> Gateway:
        settings = defaults.with_defaults("gateway", table)
        return Gateway(
            settings["image"],
            self._resolve_path(settings.get("image_archive")),
            settings["port"],
            self._build_hosts(settings),
            settings.get("vip", ""),
            tuple(settings.get("before", ())),
            dict(settings["login"]),
        )

    def _build_tls(self, settings: Table) -> Tls:
        return Tls(
            source=settings["source"],
            names=tuple(settings["names"]),
            certificate=self._resolve_path(settings.get("certificate")),
            key=self._resolve_path(settings.get("key")),
            ca=self._resolve_path(settings.get("ca")),
        )

    def _password_source(self, written: str | Table) -> PasswordSource:
        if isinstance(written, str):
            return PasswordSource("generate")
        if "file" in written:
            return PasswordSource("file", str(self._resolve_path(written["file"])))
        if "env" in written:
            return PasswordSource("env", written["env"])
        return PasswordSource("command", written["command"])

    def _build_client(self, name: str, table: Table, registries: dict[str, Registry]) -> Client:
        settings = defaults.with_defaults("client", table)
        return Client(
            name=name,
            hosts=self._build_hosts(table),
            engine=settings["engine"],
            install=bool(settings["install"]),
            vendor=isinstance(settings["install"], str),
            registries=tuple(settings["registries"]),
            mirrors=tuple(_build_mirror(each, registries) for each in defaults.mirrors(settings)),
            logins=tuple(_build_logins(settings["login"], settings.get("account", ""))),
            daemon=dict(settings["daemon"]),
            migrate_flags=settings["migrate_flags"],
            proxy=self._build_proxy(table.get("proxy")),
            account=settings.get("account", ""),
        )

    def _build_proxy(self, table: Table | None) -> Proxy | None:
        if table is None:
            return None
        settings = defaults.with_defaults("proxy", table)
        user = None
        if "user" in settings:
            user = User(settings["user"], self._password_source(settings["password"]))
        return Proxy(
            settings.get("http", ""),
            settings.get("https", ""),
            tuple(settings["no_proxy"]),
            user,
            settings["containers"],
        )

    def _build_hosts(self, table: Table) -> tuple[Host, ...]:
        return tuple(
            Host(host.name, host.address, self._ssh_for_host(item, host.name))
            for item in table.get("hosts", ())
            for host in hosts.hosts_of_item(item)
        )

    def _ssh_for_host(self, item: str | Table, name: str) -> Ssh:
        own = None if isinstance(item, str) else item.get("ssh")
        if own:
            return self._build_ssh(own, name)
        return self._ssh[name if name == LOCAL else ""]

    def _build_ssh(self, own: Table | None, name: str) -> Ssh:
        settings = defaults.ssh(self._document.get("ssh"), own, name)
        kept = settings.get("control_persist")
        return Ssh(
            user=settings.get("user"),
            port=settings.get("port"),
            key=self._resolve_path(settings.get("key")),
            sudo=settings["sudo"],
            host_key_checking=settings.get("host_key_checking"),
            known_hosts=self._resolve_path(settings.get("known_hosts")),
            control_persist=interval_seconds(kept) if kept else 0,
        )

    def _resolve_path(self, text: str | None) -> Path | None:
        return None if text is None else defaults.local_path(text, self._folder)


def _build_replication(name: str, table: Table) -> Replication:
    settings = defaults.with_defaults("replication", table)
    return Replication(
        name=name,
        source=settings["from"],
        targets=tuple(settings["to"]),
        repositories=tuple(settings["repositories"]),
        exclude=tuple(settings["exclude"]),
        tags=tuple(settings["tags"]),
        every=interval_seconds(settings["every"]) if "every" in settings else 0,
        delete=settings["delete"],
        max_delete=settings["max_delete"],
        conflict=settings["conflict"],
        parallel=settings["parallel"],
        run_on=settings["run_on"],
        logins=dict(settings["login"]),
    )


def _build_promotion(name: str, table: Table) -> Promotion:
    settings = defaults.with_defaults("promotion", table)
    return Promotion(
        name=name,
        source=Stage(**defaults.with_defaults("stage", settings["from"])),
        target=Stage(**defaults.with_defaults("stage", settings["to"])),
        min_age=interval_seconds(settings["min_age"]) if "min_age" in settings else 0,
        checks=tuple(settings["checks"]),
        approve=tuple(settings["approve"]),
        keep_previous=settings["keep_previous"],
        logins=dict(settings["login"]),
    )


def _build_retention(table: Table) -> Retention:
    settings = defaults.with_defaults("retention", table)
    garbage = defaults.with_defaults("garbage", settings["gc"])
    rules = (defaults.with_defaults("rule", each) for each in settings["rules"])
    return Retention(
        tuple(
            Rule(
                tuple(rule["repositories"]),
                rule.get("keep_last", 0),
                age_seconds(rule["keep_younger"]) if "keep_younger" in rule else 0,
                tuple(rule.get("keep_tags", ())),
                rule["keep_deployed"],
            )
            for rule in rules
        ),
        age_seconds(garbage["untagged_older"]),
        schedule(garbage),
    )


def _build_projects(table: Table) -> Iterator[Project]:
    for name, written in table.items():
        settings = defaults.with_defaults("project", written)
        members = tuple(Member(user, role) for user, role in settings["members"].items())
        yield Project(name, settings["public"], members)


def _build_mirror(each: defaults.WrittenMirror, registries: dict[str, Registry]) -> Mirror:
    written = each.written
    names = {registry.endpoint: name for name, registry in registries.items()}
    name = defaults.mirror_registry(written, registries, names)
    if name is None or written != name:
        return Mirror(written, name, each.of, each.place)
    registry = registries[name]
    scheme = "http" if registry.tls.source == "none" else "https"
    return Mirror(f"{scheme}://{registry.endpoint}", name, each.of, each.place)


def _build_logins(table: Table, account: str) -> Iterator[Login]:
    for registry, written in table.items():
        login = defaults.login(written, account)
        yield Login(registry, login["user"], tuple(login["for"]))
