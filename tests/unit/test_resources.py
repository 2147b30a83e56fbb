from __future__ import annotations

import json
from pathlib import Path

import pytest

from regfleet import resources
from regfleet.errors import RegfleetError


def test_in_the_source_tree() -> None:
    assert "$defs" in json.loads(resources.path("fleet.schema.json").read_text("utf-8"))
    assert resources.path("host-image.sh").read_text("utf-8").startswith("#!")


def test_in_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lib" / "site-packages" / "regfleet"
    bundled = package / "_bundled" / "fleet.schema.json"
    bundled.parent.mkdir(parents=True)
    monkeypatch.setattr(resources, "_PACKAGE", package)
    with pytest.raises(RegfleetError, match=r"lacks its file fleet\.schema\.json") as caught:
        resources.path("fleet.schema.json")
    assert caught.value.hint
    source = tmp_path / "lib" / "schema" / "fleet.schema.json"
    source.parent.mkdir()
    source.touch()
    assert resources.path("fleet.schema.json") == source
    bundled.touch()
    assert resources.path("fleet.schema.json") == bundled


def test_a_file_that_is_not_ours() -> None:
    with pytest.raises(KeyError):
        resources.path("passwd")
