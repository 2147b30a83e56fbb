"""Who holds a port that a service of ours is to have: told before anything is touched. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from shlex import quote

from regfleet import shell
from regfleet.errors import HostError
from regfleet.look import foreign
from regfleet.look.parse import PARSE_ERRORS, storage_data
from regfleet.model.desired import DesiredHost
from regfleet.model.foreign import Foreign
from regfleet.model.observed import ObservedHost
from regfleet.model.service import Service
from regfleet.shell import frame

# The process that holds a published port for dockerd (moby, cmd/docker-proxy).
PROXY = "docker-proxy"
# Those that hold a published port for Podman (podman-run(1), rootlessport).
_OF_PODMAN = (" conmon", " rootlessport")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who listens on a port; what could not be found is empty.

    Attributes:
        process: number and name.
        container: the name of the container that the port leads to, `image` its image and `fleet`
            its label of ours.
        unit: the name of a service of ours that the service manager runs, of the fleet `fleet`.
        registry: the registry that it is, when regfleet did not make it.
    """

    process: str = ""
    container: str = ""
    image: str = ""
    fleet: str = ""
    unit: str = ""
    registry: Foreign | None = None

    @property
    def words(self) -> str:
        """For a message."""
        found = []
        if self.unit:
            found.append(f"the service {self.unit} of the fleet {self.fleet}")
        if self.container:
            found.append(f"the container {self.container} (image {self.image})")
        if self.registry and self.registry.kind == "unit" and self.registry.key != "-":
            found.append(f"the service {self.registry.name}")
        if self.process:
            number, _, name = self.process.partition(" ")
            found.append(f"process {number} ({name})")
        return ", ".join(found) or "a process that cannot be seen"


def in_question(want: DesiredHost, seen: ObservedHost) -> Iterator[Service]:
    """The services to be run or started on a port on which somebody listens already."""
    for service in want.services:
        found = seen.services.get(service.name)
        ours = found and found.running and found.fleet == want.fleet
        # One in the host's own network publishes none: it is taken to listen where it should.
        elsewhere = found and found.ports and service.port not in found.ports
        if _meets(service, seen.listening.get(service.port, ())) and (not ours or elsewhere):
            yield service


def _meets(service: Service, addresses: Iterable[str]) -> bool:
    """Whether somebody listens where it is to listen: at all addresses, or at its own."""
    return any(
        service.everywhere or address in ("0.0.0.0", "::", service.address)  # noqa: S104  compared
        for address in addresses
    )


def render(port: int, mark: str) -> str:
    """The program that finds out who listens there; `mark` frames its answer."""
    program = shell.program("regfleet.look", "foreign.sh", "ports.sh")
    return f"{program}\n{frame.around(mark, f'holder {port} </dev/null')}"


def parse(host: str, lines: Iterable[str], mark: str) -> Holder:
    """What the program said; whatever else is in between is left out.

    Raises:
        HostError: it did not come to its end.
    """
    process, container, image, fleet, unit = "", "", "", "", ""
    answer = frame.framed(lines, mark)
    if not answer.ended:
        raise HostError(
            host,
            f"who listens on a port could not be found out ({frame.stray(answer) or 'no output'})",
            "run it again; if it stays so, log in by hand and see whether a shell command works",
        )
    for line in answer.lines:
        word, _, rest = line.partition(" ")
        if word == "@process":
            process = rest.strip()
        elif word == "@container":
            container, image, label = (*rest.split(), "", "", "")[:3]
            fleet = label or fleet  # a container of Podman's has none: its unit says whose it is
        elif word == "@unit":
            unit, fleet = (*rest.split(), "", "")[:2]
    try:
        registry = None if fleet else foreign.parse(answer.lines)
    except PARSE_ERRORS:  # whoever it is, the port is taken
        registry = None
    return Holder(process, container, image, fleet, unit, registry)


def in_the_way(service: Service, holder: Holder, want: DesiredHost, seen: ObservedHost) -> bool:
    """Whether the holder of a port keeps a service of ours from it.

    A container of this fleet makes room for its successor. While one of ours dies and is started
    again and again, docker-proxy holds its port for a moment in which no container is listed.
    """
    if holder.container or holder.unit:
        return holder.fleet != want.fleet
    found = seen.services.get(service.name)
    ours = found is not None and found.fleet == want.fleet
    return not (ours and holder.process.endswith(f" {PROXY}"))


def refused(host: str, service: Service, holder: Holder) -> HostError:
    """The error for a port that somebody else holds."""
    hint = f"stop what listens there, or give {service.reason} an endpoint with another port"
    words = f"{holder.words} listens there"
    registry = holder.registry
    if registry:
        words += f"; {registry.words}"
        if service.adopt and registry.obstacle:
            words += f". It cannot be adopted: {registry.obstacle}"
            hint = registry.advice
        elif not registry.obstacle:
            hint = f"`adopt = true` in [{service.reason}] takes it over with its images; or {hint}"
    elif service.adopt and holder.process.endswith(_OF_PODMAN):
        words += "; a container of an account's own Podman cannot be adopted"
        hint = "stop it by hand, declare its images' directory as `storage`, then apply"
    elif service.adopt:
        words += "; it is no registry that was found, so it cannot be adopted"
    return HostError(
        host,
        f"port {service.port}, which the registry {service.registry} is to have, is taken: {words}",
        hint,
    )


def render_stores(registry: Foreign, storage: str, mark: str) -> str:
    """The program that looks at the images of a registry to be adopted, and at the storage."""
    program = shell.program("regfleet.look", "foreign.sh", "data.sh", "ports.sh")
    call = f"look_stores {quote(registry.source or '/nonexistent')} {quote(storage)}"
    return f"{program}\n{frame.around(mark, f'{call} </dev/null')}"


def with_stores(
    host: str, seen: ObservedHost, service: Service, registry: Foreign, answer: frame.Framed
) -> ObservedHost:
    """The observed host with a registry to be adopted, and what that program said.

    Raises:
        HostError: it did not come to its end.
    """
    if not answer.ended:
        raise HostError(
            host,
            f"the images in {registry.source} could not be looked at "
            f"({frame.stray(answer) or 'no output'})",
            "run it again; if it stays so, log in by hand and see whether a shell command works",
        )
    data = dict(seen.data)
    for line in answer.lines:
        word, _, rest = line.partition(" ")
        if word == "@data":
            path, content = storage_data(rest)
            data[path] = content
    found = replace(
        registry,
        in_place="@place same" in answer.lines,
        linkable="@place near" in answer.lines,
    )
    return replace(seen, data=data, foreign={**seen.foreign, service.port: found})
