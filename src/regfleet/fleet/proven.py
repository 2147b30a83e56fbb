"""The text of a fleet file when it was last applied from here: it need not be validated again.

To import a JSON Schema validator takes as long as a host takes to answer. What it would find is a
matter of the text, of the schema and of the formats' checks alone: their digest is kept in the
state directory at its default place.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from regfleet import resources
from regfleet.fleet.read import Source

if TYPE_CHECKING:  # to import it takes time, too
    from regfleet.state import StateDirectory

FILE = "validated"


def proof(source: Source) -> str:
    """What stands for a text that the present schema allows (hexadecimal)."""
    digest = hashlib.sha256()
    for ours in (resources.path("fleet.schema.json"), Path(__file__).with_name("formats.py")):
        digest.update(hashlib.sha256(ours.read_bytes()).digest())
    digest.update(source.text.encode())
    return digest.hexdigest()


def is_kept(proof: str, source: Source, file: Path) -> bool:
    """Whether the proof of a text is in the state directory beside its file."""
    name = source.document.get("name")
    if not isinstance(name, str) or "/" in name:
        return False
    try:
        return (file.parent / ".regfleet" / name / FILE).read_text("utf-8") == proof
    except (OSError, ValueError):
        return False


def keep(proof: str, state: StateDirectory) -> None:
    """Keep the proof of a text that was loaded.

    Raises:
        StateError: the state directory cannot be used.
    """
    if state.read_text(FILE) != proof:
        state.write_text(FILE, proof)
