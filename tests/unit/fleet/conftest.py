from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from regfleet.errors import FleetFileError, Mistake
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet


@pytest.fixture
def fleet_of(tmp_path: Path) -> Callable[[str], Fleet]:
    """Loads a fleet file of the given text."""

    def of(text: str) -> Fleet:
        file = tmp_path / "fleet.toml"
        file.write_text(text, "utf-8")
        return load(file)

    return of


@pytest.fixture
def mistakes_of(fleet_of: Callable[[str], Fleet]) -> Callable[[str], tuple[Mistake, ...]]:
    """The mistakes in a fleet file of the given text; it must have some."""

    def of(text: str) -> tuple[Mistake, ...]:
        with pytest.raises(FleetFileError) as caught:
            fleet_of(text)
        return caught.value.mistakes

    return of
