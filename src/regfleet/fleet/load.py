"""A fleet file to a `Fleet`: the stages, in order."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

from regfleet.errors import FleetFileError, Mistake
from regfleet.fleet import lines, proven, toml_text
from regfleet.fleet.build import build
from regfleet.fleet.check.document import check
from regfleet.fleet.findings import Finding
from regfleet.fleet.model import Fleet
from regfleet.fleet.read import read


def load(path: Path, *, files_needed: bool = True) -> Fleet:
    """Loads and checks a fleet file. Contacts nothing.

    Args:
        path: the TOML file.
        files_needed: whether the archives and certificates that it names have to be there.

    Raises:
        FleetFileError: with every mistake that was found, in the file's order.
    """
    source = read(path)
    absolute = path.absolute()
    proof = proven.proof(source)
    found: list[Finding] = []
    sound = source.document
    if not proven.is_kept(proof, source, absolute):
        validation = import_module("regfleet.fleet.validate")
        found = validation.validate(source.document)
        sound = validation.without(source.document, found) if found else sound
    found += check(sound, absolute.parent, files_needed=files_needed)
    if found:
        raise FleetFileError(str(path), _mistakes(found, source.text))
    return replace(build(source.document, absolute), proof=proof)


def _mistakes(found: list[Finding], text: str) -> list[Mistake]:
    written = lines.locate(text)
    return [
        Mistake(
            line=lines.line_of(written, finding.place),
            path=toml_text.place(finding.place),
            message=finding.message,
            hint=finding.hint,
        )
        for finding in found
    ]
