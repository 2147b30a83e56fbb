"""A fleet as its twin has it: same names, groups and users, and stand-ins for what is not here.

Pure. What is not to be had on this machine has been found out before (`stand_ins`); addresses of
hosts are known once they are up, and `settled` puts them in. `differences` tells people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

from regfleet.desired.resolve import clients_of, registries_on
from regfleet.fleet.clients import Client
from regfleet.fleet.machines import LOCAL, Host
from regfleet.fleet.model import Fleet
from regfleet.fleet.policies import Replication, Smoke
from regfleet.fleet.registries import PasswordSource, Registry, Tls, User
from regfleet.pki.names import canonical
from regfleet.rehearse import resolving
from regfleet.rehearse.casting import Cast, used_by
from regfleet.rehearse.images import FALLBACK, variant_for
from regfleet.rehearse.twin import HostSpec
from regfleet.runtimes import RUNTIMES

SMOKE = ""  # among images, the smoke test's


def gateway_of(registry: str) -> str:
    """Among images, that of a registry's gateway."""
    return f"{registry}.gateway"


_UPSTREAM_PORT = 5999


@dataclass(frozen=True, slots=True)
class ImageStandIn:
    """What is used for an image.

    Attributes:
        image: the name that the archive gives its image, or of the one that is pulled.
        archive: None where it is pulled.
        reason: why it is not the one that is declared.
    """

    image: str
    archive: Path | None
    reason: str


@dataclass(frozen=True, slots=True)
class StandIns:
    """What of a fleet is not to be had here, with the reason.

    Attributes:
        passwords: by registry and user.
        certificates: by registry; of an external one, its CA.
        images: by registry; `SMOKE` is the smoke test's, `gateway_of` a gateway's.
    """

    passwords: Mapping[tuple[str, str], str] = field(default_factory=dict)
    certificates: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, ImageStandIn] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """What a host of the twin has to be like.

    Attributes:
        spec: what is booted; its name is the host's.
        engine: its client engine, as the fleet file names it.
        login: the account that regfleet logs in to.
        sudo: whether that account may run everything as root.
        accounts: further accounts.
        addresses: that others reach it by, besides its own.
        upstream_port: where an empty upstream of its pull-through caches listens; 0 for none.
        storage: directories of its registries.
    """

    spec: HostSpec
    engine: str
    login: str
    sudo: bool
    accounts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    upstream_port: int = 0
    storage: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The host's name."""
        return self.spec.name


@dataclass(frozen=True, slots=True)
class Likeness:
    """A fleet's twin, before it is booted.

    Attributes:
        fleet: the fleet in play, without addresses, keys and known hosts.
        names: the twin's names of hosts by the fleet's; only `@local` has another.
        away: names and addresses that no host of the twin is to reach.
    """

    fleet: Fleet
    parts: tuple[Part, ...]
    names: Mapping[str, str]
    away: tuple[str, ...]


def likeness(fleet: Fleet, cast: Cast, stand_ins: StandIns, user: str) -> Likeness:
    """The twin of a fleet.

    Args:
        fleet: the fleet.
        cast: who plays.
        stand_ins: what is not to be had here.
        user: login name where the fleet file has none.

    Raises:
        RegfleetError: registries on several hosts share a name; a twin cannot have that.
    """
    played = in_play(fleet, cast)
    names = {name: name for name in cast.suites}
    if LOCAL in names:
        names[LOCAL] = _free_name("local", names)
    claims = resolving.claims(played, names)
    twin = replace(
        played,
        ca_permitted=(),  # its hosts have other addresses
        promotions={},  # they change no host, and their checks are for real images
        registries={
            name: _registry(registry, names, stand_ins, user)
            for name, registry in played.registries.items()
        },
        clients={
            name: _client(client, played, names, user) for name, client in played.clients.items()
        },
        smoke=_smoke(played.smoke, stand_ins),
    )
    parts = tuple(
        _part(twin, host, cast.suites[real], resolving.claimed(claims, real))
        for real, host in zip(played.hosts(), twin.hosts().values(), strict=True)
    )
    return Likeness(twin, parts, names, resolving.away(played, claims))


def in_play(fleet: Fleet, cast: Cast) -> Fleet:
    """The fleet without hosts that do not play, and without groups and registries of none."""

    def members(hosts: Iterable[Host]) -> tuple[Host, ...]:
        return tuple(host for host in hosts if host.name in cast.suites)

    def playing(registry: Registry) -> Registry:
        found = registry.gateway
        gateway = replace(found, hosts=members(found.hosts)) if found else None
        its = replace(registry, hosts=members(registry.hosts), gateway=gateway)
        return _behind_in_play(fleet, its) if its.before else its

    clients = {
        client.name: replace(client, hosts=hosts)
        for client in fleet.clients.values()
        if (hosts := members(client.hosts)) and client.name not in cast.without
    }
    used = {name for client in clients.values() for name in used_by(fleet, client)}
    registries = {
        name: playing(registry)
        for name, registry in fleet.registries.items()
        if members(registry.machines) or (registry.external and name in used)
    }
    return replace(
        fleet,
        registries=registries,
        clients=clients,
        replications=_replications(fleet, registries),
    )


def _behind_in_play(fleet: Fleet, registry: Registry) -> Registry:
    """A gateway alone: before the first of its registries that is ours, or before one of its own.

    An external registry is contacted by no rehearsal; and of two, one has copies of the other only
    where hosts have Python, which a twin's have not.
    """
    gateway = registry.gateway
    if gateway is None:
        return registry
    ours = next((each.name for each in fleet.behind(registry) if not each.external), "")
    if ours:
        logins = {name: user for name, user in gateway.logins.items() if name == ours}
        return replace(registry, gateway=replace(gateway, before=(ours,), logins=logins))
    needed = registry.projects or len(gateway.hosts) > 1
    return replace(
        registry,
        hosts=gateway.hosts[:1],
        storage=f"/var/lib/registry-{registry.name}",
        gateway=replace(gateway, before=(), logins={}) if needed else None,
    )


def _replications(fleet: Fleet, played: Mapping[str, Registry]) -> dict[str, Replication]:
    """The policies between registries in play; a rehearsal copies from and to nobody else's."""
    ours = {name for name, registry in played.items() if not registry.external}
    return {
        policy.name: replace(
            policy,
            every=0,  # a twin's hosts have no Python
            http_proxy=None,  # that is for registries outside
            targets=targets,
            logins={
                name: user
                for name, user in policy.logins.items()
                if name in (policy.source, *targets)
            },
        )
        for policy in fleet.replications.values()
        if policy.source in ours
        and (targets := tuple(each for each in policy.targets if each in ours))
    }


def engine_of(fleet: Fleet, host: str) -> str:
    """The engine of a host: the one that all its groups name, or that its registries run on."""
    clients = clients_of(fleet, host)
    runs = [RUNTIMES[each.runtime].engine for each in registries_on(fleet, host)]
    return clients[0].engine if clients else next(filter(None, runs), "docker")


def settled(
    fleet: Fleet,
    addresses: Mapping[str, str],
    *,
    key: Path,
    known_hosts: Path,
    upstreams: Mapping[str, int],
) -> Fleet:
    """A twin's fleet once its hosts are up.

    Args:
        fleet: a likeness's.
        addresses: by host.
        key: private key that each host lets in.
        known_hosts: with each host's key; the fleet's file is beside it.
        upstreams: ports of the empty upstreams by host.
    """

    def up(host: Host) -> Host:
        ssh = replace(host.ssh, key=key, known_hosts=known_hosts)
        return replace(host, address=addresses[host.name], ssh=ssh)

    def registry(before: Registry) -> Registry:
        gateway = before.gateway
        if gateway:
            gateway = replace(gateway, hosts=tuple(map(up, gateway.hosts)))
        after = replace(before, hosts=tuple(map(up, before.hosts)), gateway=gateway)
        if before.proxy is None:
            return after
        instance = after.instance()
        if instance is None:
            return after
        upstream = f"http://{instance.host.address}:{upstreams[instance.host.name]}"
        return replace(after, proxy=upstream, proxy_user=None)

    return replace(
        fleet,
        path=known_hosts.parent / "fleet.toml",
        registries={name: registry(each) for name, each in fleet.registries.items()},
        clients={
            name: replace(each, hosts=tuple(map(up, each.hosts)))
            for name, each in fleet.clients.items()
        },
    )


def _host(host: Host, names: Mapping[str, str], user: str) -> Host:
    ssh = replace(
        host.ssh,
        user="root" if host.is_local else host.ssh.user or user,
        port=22,
        key=None,
        sudo=host.ssh.sudo and not host.is_local,
        host_key_checking="strict",
        known_hosts=None,
    )
    return Host(names[host.name], "", ssh)


def _registry(
    registry: Registry, names: Mapping[str, str], stand_ins: StandIns, user: str
) -> Registry:
    lacking = registry.name in stand_ins.certificates
    if registry.external:
        tls = Tls("public") if lacking else registry.tls
        return replace(registry, tls=tls, users=(), smoke=False)
    tls = Tls("fleet-ca", registry.tls.names) if lacking else registry.tls
    if tls.source == "fleet-ca":
        # As the real certificate has them; hosts have other addresses here.
        real = [host.address for host in registry.machines if not host.is_local]
        found = (*tls.names, *(address for address in real if canonical(address)))
        tls = replace(tls, names=tuple(dict.fromkeys(found)))
    image = stand_ins.images.get(registry.name)
    gateway, front = registry.gateway, stand_ins.images.get(gateway_of(registry.name))
    if gateway and front:
        gateway = replace(gateway, image=front.image, image_archive=front.archive)
    if gateway:
        hosts = tuple(_host(host, names, user) for host in gateway.hosts)
        gateway = replace(gateway, hosts=hosts, vip="")  # it has none of the real addresses
    return replace(
        registry,
        hosts=tuple(_host(host, names, user) for host in registry.hosts),
        image=image.image if image else registry.image,
        image_archive=image.archive if image else registry.image_archive,
        gateway=gateway,
        storage=f"/mnt/regfleet-{registry.name}" if registry.s3 else registry.storage,
        http_proxy=None,  # the twin's upstream is beside it
        s3=None,  # a rehearsal writes to no service of anybody's
        shared=bool(registry.shared or registry.s3),
        # Nothing is mounted in a twin, and no secret is asked for.
        backup=replace(registry.backup, mounted=False, key=None) if registry.backup else None,
        listen=_listen(registry),
        tls=tls,
        users=tuple(
            User(each.name, PasswordSource("generate"))
            if (registry.name, each.name) in stand_ins.passwords
            else each
            for each in registry.users
        ),
    )


def _listen(registry: Registry) -> tuple[str, int] | None:
    """Its port at all addresses, for the host's own address is another here; loopback stays."""
    if registry.listen is None or ip_address(registry.listen[0]).is_loopback:
        return registry.listen
    return "0.0.0.0", registry.listen[1]  # noqa: S104 - in a network of the rehearsal's own


def _client(client: Client, fleet: Fleet, names: Mapping[str, str], user: str) -> Client:
    return replace(
        client,
        hosts=tuple(_host(host, names, user) for host in client.hosts),
        install=client.install or variant_for(client.engine) == FALLBACK,
        vendor=False,  # a twin is a Debian, which that repository does not serve
        logins=tuple(
            login for login in client.logins if not fleet.registries[login.registry].external
        ),
        proxy=replace(client.proxy, user=None) if client.proxy else None,
    )


def _smoke(smoke: Smoke, stand_ins: StandIns) -> Smoke:
    image = stand_ins.images.get(SMOKE)
    return replace(smoke, image=image.image, image_archive=image.archive) if image else smoke


def _part(twin: Fleet, host: Host, suite: str, claimed: resolving.Claimed) -> Part:
    clients, registries = clients_of(twin, host.name), registries_on(twin, host.name)
    engine = engine_of(twin, host.name)
    login = host.ssh.user or "root"
    accounts = {name for client in clients for each in client.logins for name in each.accounts}
    keeping = [each for each in registries if any(host.name == its.name for its in each.hosts)]
    taken = {each.port for registry in registries for each in registry.instances}
    free = next(port for port in range(_UPSTREAM_PORT, 0, -1) if port not in taken)
    return Part(
        HostSpec(
            host.name,
            suite,
            variant_for(engine),
            tuple(name for name in claimed.names if name != host.name),
            tuple((each.name, each.storage) for each in keeping if each.shared),
        ),
        engine=engine,
        login=login,
        sudo=host.ssh.sudo,
        accounts=tuple(sorted(accounts - {login, "root"})),
        addresses=claimed.addresses,
        upstream_port=free if any(registry.proxy for registry in registries) else 0,
        storage=tuple(registry.storage for registry in keeping if registry.storage),
    )


def _free_name(wanted: str, taken: Iterable[str]) -> str:
    lower = {name.lower() for name in taken}
    numbered = (f"{wanted}-{number}" for number in range(2, len(lower) + 3))
    return next(name for name in (wanted, *numbered) if name not in lower)
