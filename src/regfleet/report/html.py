"""The report as one self-contained page, `report.html`: it loads nothing and tells no secrets."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import BytecodeCache, Environment, FunctionLoader, StrictUndefined, Template
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from regfleet import __version__
from regfleet.fleet.model import Fleet, Registry
from regfleet.materials import Materials
from regfleet.report.model import Report
from regfleet.report.page import picture, rows
from regfleet.state import StateDirectory

NAME = "report.html"
COMPILED = "report.html.compiled"

# C0 and C1 but tab and line feed, marks that turn the direction of writing, surrogates.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True)
class CertificateLine:
    """A certificate that a registry of ours serves.

    Attributes:
        names: DNS names and addresses that it covers.
        not_after: its last second, UTC.
        days_left: whole days; negative once it is over.
        warn: less than a third of its life is left.
    """

    registry: str
    names: tuple[str, ...]
    not_after: datetime
    days_left: int
    warn: bool


def certificate_lines(materials: Materials, when: datetime) -> tuple[CertificateLine, ...]:
    """The certificates of a fleet as they stand at a moment (with a time zone)."""
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
    compiled: BytecodeCache | None = None,
) -> str:
    """The whole page. Pure, but for the template's compiled form where that is kept.

    Args:
        fleet: the fleet, of which the run may have left hosts out.
        report: the run's. Diffs and passwords have no place on the page.
        certificates: see `certificate_lines`.
        when: the run's moment, with a time zone.
        command: what the user typed.
        compiled: keeps the template's compiled form.
    """
    hosts = rows.host_rows(fleet, report)
    css, script = _text("report.css"), _text("report.js")
    return _template(compiled).render(
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
            "wide": picture.draw(fleet, report, picture.WIDE),
            "narrow": picture.draw(fleet, report, picture.NARROW),
        },
        uses=picture.uses(fleet, report),
        certificates=certificates,
        uncertified=_uncertified(fleet, certificates),
        css=Markup(css),  # noqa: S704 - a file of ours
        script=Markup(script),  # noqa: S704 - a file of ours
        style_hash=_hash(css),
        script_hash=_hash(script),
    )


def write(
    state: StateDirectory,
    fleet: Fleet,
    report: Report,
    materials: Materials,
    *,
    when: datetime,
    command: str,
) -> Path:
    """Leave the page in the state directory, readable by its owner alone.

    Returns:
        Where it is.

    Raises:
        StateError: it cannot be written.
    """
    certificates = certificate_lines(materials, when)
    page = render(
        fleet,
        report,
        certificates=certificates,
        when=when,
        command=command,
        compiled=_Compiled(state),
    )
    state.write_text(NAME, page)
    return state.path_of(NAME)


def _uncertified(
    fleet: Fleet, certificates: Sequence[CertificateLine]
) -> list[tuple[Registry, str]]:
    """The registries without a certificate of ours, and why that is."""
    have = {line.registry for line in certificates}
    return [
        (registry, "it is not ours" if registry.external else "plain HTTP, as declared")
        for registry in fleet.registries.values()
        if registry.name not in have
    ]


@cache
def _text(name: str) -> str:
    return files("regfleet.report.page").joinpath(name).read_text(encoding="utf-8")


class _Compiled(BytecodeCache):
    """Keeps the template's compiled form: to make that takes longer than to fill in many hosts.

    jinja takes it for this very text of the template, and its own and Python's version alone.
    """

    def __init__(self, state: StateDirectory) -> None:
        self._state = state

    def load_bytecode(self, bucket: Bucket) -> None:
        if kept := self._state.read(COMPILED):
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._state.write(COMPILED, bucket.bytecode_to_string())


@cache
def _template(compiled: BytecodeCache | None) -> Template:
    environment = Environment(
        loader=FunctionLoader(_text),
        bytecode_cache=compiled,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["host_name"] = _host_name
    return environment.get_template("report.html.j2")


def _printable(value: object) -> object:
    """What goes to the page, without what no page should hold: controls, lone surrogates.

    Hosts' own words may have either; escaping comes after this and is jinja's.
    """
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    return value


def _host_name(name: str) -> Markup:
    """A host's name with its domain told apart, which a narrow column then shows small."""
    name = str(_printable(name))
    head, dot, domain = name.partition(".")
    if not dot or head.isdigit():  # no domain, or an address
        return escape(name)
    return Markup("{}<span>.{}</span>").format(head, domain)


def _hash(text: str) -> str:
    """A source for Content-Security-Policy: this text alone may run (CSP level 3, 2.3.1)."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
