"""Which registries and repositories are meant by what was typed."""

import pytest
from making import fleet, registry

from regfleet.errors import UsageError
from regfleet.run.images import chosen


class TestChosen:
    FLEET = fleet([registry(), registry("mirror", "mirror.example.com")])

    @pytest.mark.parametrize(
        ("asked", "names", "repository"),
        [
            ("", ["main", "mirror"], ""),
            ("main", ["main"], ""),
            ("main/", ["main"], ""),
            ("main/team/app", ["main"], "team/app"),
            ("reg.example.com:5000/team/app", ["main"], "team/app"),
            ("mirror.example.com", ["mirror"], ""),
        ],
    )
    def test_known(self, asked, names, repository):
        found, rest = chosen(self.FLEET, asked)
        assert ([each.name for each in found], rest) == (names, repository)

    @pytest.mark.parametrize(
        ("asked", "hint"),
        [("mian", "did you mean main?"), ("xyz/app", "registries are main, mirror")],
    )
    def test_unknown(self, asked, hint):
        with pytest.raises(UsageError) as caught:
            chosen(self.FLEET, asked)
        assert caught.value.hint == hint
        assert "acme.toml" in caught.value.message
