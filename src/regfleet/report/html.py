"""The report as one self-contained page, `report.html`: it loads nothing and holds no secrets."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from regfleet import __version__, state_paths
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.materials import Materials
from regfleet.model.copies import CopyStatus
from regfleet.model.report import Report
from regfleet.model.status import Care, RegistryStatus
from regfleet.report.care_text import job_text, lag_text, room_text
from regfleet.report.page import picture, rows
from regfleet.report.resource_text import resource_text
from regfleet.state import StateDirectory
from regfleet.terminal.cleaning import clean, clean_lines

NO_CARE = Care()


@dataclass(frozen=True, slots=True)
class CertificateLine:
    """A certificate that an own registry serves.

    Attributes:
        names: DNS names and addresses that it covers.
        not_after: its last second, UTC.
        days_left: whole days; negative after expiry.
        warn: whether less than a third of its lifetime is left.
    """

    registry: str
    names: tuple[str, ...]
    not_after: datetime
    days_left: int
    warn: bool


def certificate_lines(materials: Materials, when: datetime) -> tuple[CertificateLine, ...]:
    """The fleet's certificates, judged at a moment (with a time zone)."""
    found = []
    for registry, material in materials.registries.items():
        if material.pair is None:
            continue
        left = material.pair.not_after - when
        life = material.pair.not_after - material.pair.not_before
        found.append(
            CertificateLine(
                registry,
                material.pair.names,
                material.pair.not_after,
                left // timedelta(days=1),
                left < life / 3,
            )
        )
    return tuple(found)


def render(
    fleet: Fleet,
    report: Report,
    *,
    certificates: Sequence[CertificateLine],
    when: datetime,
    command: str,
    care: Care = NO_CARE,
) -> str:
    """The whole page. Pure.

    Args:
        fleet: the fleet; the run may have left hosts out.
        report: the run's report; the page shows no diffs and no passwords.
        certificates: see `certificate_lines`.
        when: the time of the run, with a time zone.
        command: the command line that the user typed.
        care: how the registries were cared for, when the run looked.
    """
    hosts = rows.host_rows(fleet, report)
    css, script = _text("report.css"), _text("report.js")
    copies = [_way(each, when) for each in care.copies]
    return _template().render(
        fleet=fleet,
        report=report,
        command=command,
        when=when.astimezone(timezone.utc),
        version=__version__,
        hosts=hosts,
        attention=sum(not row.report.ok for row in hosts),
        others=len(fleet.hosts()) - len(hosts),
        filters=rows.filters(hosts),
        troubles=rows.troubles(hosts),
        matrices=rows.matrices(hosts),
        pictures={
            "wide": picture.draw(fleet, report, picture.WIDE, copies),
            "narrow": picture.draw(fleet, report, picture.NARROW, copies),
        },
        uses=picture.uses(fleet, report),
        cared_for=[(each.name, _care_lines(each, when)) for each in care.registries],
        copies=copies,
        certificates=certificates,
        uncertified=_without_certificate(fleet, certificates),
        css=Markup(css),  # noqa: S704 - a file of ours
        script=Markup(script),  # noqa: S704 - a file of ours
        style_hash=_csp_source(css),
        script_hash=_csp_source(script),
    )


def prepare() -> None:
    """Compile the page's template while a run waits for hosts: it takes as long as three looks."""
    _template()


def write(
    state: StateDirectory,
    fleet: Fleet,
    report: Report,
    materials: Materials,
    *,
    when: datetime,
    command: str,
    also: str = "",
    care: Care = NO_CARE,
) -> Path:
    """Write the page into the state directory, readable by its owner only.

    Args:
        care: as for `render`.
        also: name of a second copy that later runs keep; empty for none.

    Returns:
        The path of the page.

    Raises:
        StateError: it cannot be written.
    """
    certificates = certificate_lines(materials, when)
    page = render(fleet, report, certificates=certificates, when=when, command=command, care=care)
    for name in filter(None, (also, state_paths.REPORT)):
        state.write_text(name, page)
    return state.path_of(state_paths.REPORT)


def _way(copy: CopyStatus, now: datetime) -> picture.Way:
    if copy.attention(now):
        outcome: picture.Outcome = "bad"
    else:
        outcome = "good" if copy.last else "open"
    return picture.Way(copy.name, copy.source, copy.target, lag_text(copy, now), outcome)


def _care_lines(registry: RegistryStatus, now: datetime) -> list[str]:
    found = ["takes no pushes: its garbage is being collected"] if registry.read_only else []
    found += [room_text(registry.room)] if registry.room else []
    found += [line for each in registry.jobs.values() if (line := job_text(each, now))]
    return found


def _without_certificate(
    fleet: Fleet, certificates: Sequence[CertificateLine]
) -> list[tuple[Registry, str]]:
    """The registries without a certificate from the fleet, and the reason."""
    have = {line.registry for line in certificates}
    return [
        (registry, "it is not ours" if registry.external else "plain HTTP, as declared")
        for registry in fleet.registries.values()
        if registry.name not in have
    ]


@cache
def _text(name: str) -> str:
    return files("regfleet.report.page").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["host_name"] = _host_name
    environment.filters["resource"] = resource_text
    return environment.get_template("report.html.j2")


def _printable(value: object) -> object:
    """A value without terminal control characters; jinja escapes it afterwards."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean_lines(value)
    return value


def _host_name(name: str) -> Markup:
    """A host's name with its domain in a span, which a narrow column shows small."""
    name = clean(name)
    head, dot, domain = name.partition(".")
    if not dot or head.isdigit():  # no domain, or an address
        return escape(name)
    return Markup("{}<span>.{}</span>").format(head, domain)


def _csp_source(text: str) -> str:
    """A source for Content-Security-Policy: this text alone may run (CSP level 3, 2.3.1)."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
