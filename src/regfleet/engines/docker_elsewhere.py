"""Docker that is not where distributions have it: a snap's, an account's own, another name for it.

Official binaries are Docker's own, wherever they are: the look finds them. Pure.

Sources: canonical/docker-snap, snap/snapcraft.yaml (certificates "need to be added in
`/var/snap/docker/current/etc/docker/certs.d`") and bin/dockerd-wrapper; docs.docker.com, Rootless
mode; Debian's podman-docker (conflicts with docker.io).
"""

from __future__ import annotations

from regfleet.errors import HostError
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import DOCKER_PLACE, ObservedHost

_DECLARE = (
    'to set up that account\'s Docker, declare `engine = "docker-rootless"` and '
    '`account = "{account}"` for this client; for a registry, or for the whole host, install '
    "Docker there by hand, then run this again"
)


def refused(want: DesiredHost, instead: str) -> HostError:
    """The error for a host without dockerd on which something else is in the way of one.

    Args:
        instead: as `ObservedEngine.instead`.
    """
    word, _, rest = instead.partition(" ")
    if word == "rootless":
        account, _, socket = rest.partition(" ")
        return HostError(
            want.name,
            f"Docker runs there without root, for the account {account} alone (socket {socket}): "
            "an account's own engine is changed where it is declared, and none is installed "
            "beside it",
            _DECLARE.format(account=account),
        )
    if word == "podman":
        return HostError(
            want.name,
            f"there is no dockerd, and {rest} is Podman under Docker's name: the packages of "
            "Docker would take its place",
            'declare `engine = "podman"` for this client, or remove podman-docker by hand',
        )
    return HostError(
        want.name,
        f"there is no dockerd, and something listens at {rest}: another engine under Docker's name",
        f"see what it is (`ss -xlp src {rest}` on the host); stop it, or declare the engine that "
        "it is",
    )


def places(seen: ObservedHost) -> dict[str, str]:
    """The directories that this host's Docker has elsewhere: `EnginePlan.places`."""
    own = seen.engine.place
    return {} if own == DOCKER_PLACE else {DOCKER_PLACE: own}
