"""What a survey decides without a host: clocks, which registries, what is known, where from."""

import os
from datetime import datetime, timezone

import pytest
from making import client, fleet, host, registry

from regfleet.fleet.clients import Mirror
from regfleet.run.survey import _asked, last_apply, skew
from regfleet.state import StateDirectory


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        (1000, 0),
        (1001, 0),
        (1002, 0),  # it looked at its clock at the end
        (1003, 0),  # less than a second
        (1004, 1),
        (1100, 97),
        (999, 0),  # 999.9 in whole seconds
        (998, -1),
        (900, -99),
    ],
)
def test_a_clock_is_wrong_by_what_the_look_cannot_explain(clock, expected):
    assert skew(clock, 1000.5, 1002.2) == expected


def test_the_last_apply_is_the_reports_time(tmp_path):
    state = StateDirectory(tmp_path / "state")
    assert last_apply(state) is None
    state.write_text("report.html", "x")
    os.utime(state.path_of("report.html"), (1_900_000_000, 1_900_000_000))
    assert last_apply(state) == datetime.fromtimestamp(1_900_000_000, timezone.utc)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["reg1", "web1", "web2"], ["main", "used", "mirror", "unused"]),
        (["reg1"], ["main"]),
        (["web1"], ["used"]),
        (["web2"], ["mirror"]),
    ],
)
def test_which_registries_are_asked(names, expected):
    external = {"external": True, "hosts": (), "users": ()}
    whole = fleet(
        [
            registry(),
            registry("used", "used.example", **external),
            registry("mirror", "mirror.example", **external),
            registry("unused", "unused.example", **external),
        ],
        [
            client("one", hosts=(host("web1"),), registries=("main", "used")),
            client(
                "two",
                hosts=(host("web2"),),
                mirrors=(Mirror("https://m"), Mirror("https://mirror.example", "mirror")),
            ),
        ],
    )
    assert [each.name for each in _asked(whole, names)] == expected
