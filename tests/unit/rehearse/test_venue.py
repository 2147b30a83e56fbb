import os
import stat
from pathlib import Path

import pytest
from making import fleet

from regfleet.errors import RegfleetError, StateError
from regfleet.rehearse.images import silent
from regfleet.rehearse.venue import Venue, default_cache


def venue(cache, **changes):
    return Venue.of(fleet(**changes), cache, silent)


def test_a_fleet_file_has_one_twin_and_no_other_file_has_it(tmp_path):
    names = {
        venue(tmp_path).name,
        venue(tmp_path).name,
        venue(tmp_path, path=Path("/elsewhere/acme.toml")).name,
    }
    assert len(names) == 2
    assert all(name.startswith("acme-") for name in names)
    assert len(venue(tmp_path, name="x" * 63).name) < 50


def occupy(place):
    with place.occupied():
        return "occupied"


def test_one_rehearsal_at_a_time(tmp_path):
    other = venue(tmp_path, path=Path("/elsewhere/acme.toml"))
    with venue(tmp_path).occupied():
        assert occupy(other) == "occupied"
        with pytest.raises(RegfleetError, match="being rehearsed already"):
            occupy(venue(tmp_path))
    assert occupy(venue(tmp_path)) == "occupied"


def test_a_cache_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be written") as caught:
        occupy(venue(tmp_path / "file"))
    assert "--cache" in caught.value.hint


def test_forgetting_takes_the_key_and_the_state_away(tmp_path):
    place = venue(tmp_path)
    (place.directory / ".regfleet" / "acme").mkdir(parents=True)
    (place.directory / "id_ed25519").touch()
    place.forget()
    assert not place.directory.exists()
    place.forget()


def test_nothing_to_take_down_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert venue(tmp_path / "cache").take_down() is False
    left = venue(tmp_path / "cache")
    left.directory.mkdir(parents=True)
    assert left.take_down() is True
    assert left.take_down() is False


@pytest.mark.parametrize("given", ["/xdg", "", "relative"])
def test_where_the_cache_is(monkeypatch, given):
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    found = default_cache()
    if os.geteuid() == 0:
        assert found == Path("/var/cache/regfleet")
    else:
        home = Path("/xdg") if given == "/xdg" else Path.home() / ".cache"
        assert found == home / "regfleet"


def test_what_is_kept_there_is_private(tmp_path):
    place = venue(tmp_path)
    place.directory.parent.mkdir(parents=True)
    place.make_directory()
    assert stat.S_IMODE(place.directory.stat().st_mode) == 0o700
