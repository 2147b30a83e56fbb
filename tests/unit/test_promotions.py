"""The log of promotions: its chain, and what breaks it."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet import promotions
from regfleet.errors import UsageError
from regfleet.promotions import Entry, Gate, rollback_tag
from regfleet.run.promoting import age_of_push, parse_image
from regfleet.state import StateDirectory

VALUES = {"action": "promoted", "stage": "prod", "source": "main/staging/web",
          "target": "main/prod/web", "tag": "1", "digest": "sha256:" + "a" * 64}  # fmt: skip


def log_of(count):
    before, lines = promotions.FIRST, []
    for number in range(1, count + 1):
        gates = (Gate("min_age", passed=True, said="ü\n"),)
        entry = Entry(number, "2026-01-01T00:00:00Z", "ops@control", gates=gates, **VALUES)
        lines.append(promotions.render(entry, before))
        before = promotions.parse("\n".join(lines)).head
    return lines


def test_what_is_added_is_read_again(tmp_path):
    state = StateDirectory(tmp_path / "state")
    first = promotions.add(state, VALUES, [Gate("approve", passed=True, said="by ops")])
    second = promotions.add(state, {**VALUES, "action": "approved"})
    log = promotions.read(state)
    assert (log.entries, log.broken) == ((first, second), "")
    assert promotions.approvers(log, "prod", VALUES["digest"]) == (promotions.user(),)
    assert promotions.approvers(log, "other", VALUES["digest"]) == ()


@given(st.integers(0, 3), st.sampled_from(list(asdict(Entry(1, "", "", **VALUES)))))
def test_a_line_that_is_changed_breaks_the_chain(index, key):
    lines = log_of(5)
    found = json.loads(lines[index])
    found[key] = 99 if key == "number" else [] if key == "gates" else "changed"
    lines[index] = json.dumps(found, separators=(",", ":"))
    assert promotions.parse("\n".join(lines)).broken


@pytest.mark.parametrize("change", ["taken out", "put in", "exchanged", "garbage", "deep"])
def test_lines_that_come_or_go_break_the_chain(change):
    lines = log_of(4)
    assert not promotions.parse("\n".join(lines)).broken
    if change == "taken out":
        del lines[1]
    elif change == "put in":
        lines.insert(2, lines[1])
    elif change == "exchanged":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines[1] = {"garbage": "{", "deep": "[" * 100_000}[change]
    assert promotions.parse("\n".join(lines)).broken


def test_a_broken_log_is_added_to_and_stays_broken(tmp_path):
    state = StateDirectory(tmp_path / "state")
    for _ in range(3):
        promotions.add(state, VALUES)
    file = tmp_path / "state" / "promotions.jsonl"
    file.write_text(file.read_text().replace("staging", "dev", 1))
    promotions.add(state, VALUES)
    log = promotions.read(state)
    assert (log.broken, len(log.lines)) == ("line 2 does not follow the line before it", 4)


@pytest.mark.parametrize(
    "text", ["web", "web@sha256:" + "a" * 64, "Web:1", "web:1@sha256:1", "a b:1", "web:", ":1"]
)
def test_what_is_no_image(text):
    with pytest.raises(UsageError, match="NAME:TAG"):
        parse_image(text)


def test_images_and_tags_to_go_back_to():
    assert parse_image("team/web:1.2") == ("team/web", "1.2", "")
    assert parse_image("web:1@sha256:" + "a" * 64)[2] == "sha256:" + "a" * 64
    assert rollback_tag("1.2", 3) == "1.2.rollback-3"
    assert len(rollback_tag("x" * 128, 1)) == 128
    assert rollback_tag("x" * 127 + "1", 1) != rollback_tag("x" * 127 + "2", 1)
    assert rollback_tag("x" * 117, 1) == "x" * 117 + ".rollback-1"


NOW = 1_700_000_000


@pytest.mark.parametrize(
    ("clock", "pushed", "age"),
    [
        (NOW, NOW - 90, 90),
        (NOW + 60, NOW + 30, 0),
        (NOW, 5, None),  # pushed before the host's clock was set
        (NOW, NOW + 7200, None),
        (NOW + 86400, NOW - 90, None),  # nobody knows which of the two clocks is right
        (NOW - 86400, NOW - 86400, None),
    ],
)
def test_an_age_is_as_good_as_the_clocks(clock, pushed, age):
    assert age_of_push(clock, pushed, NOW) == age


def test_the_last_digest_of_a_tag_by_the_log(tmp_path):
    state = StateDirectory(tmp_path / "state")
    assert promotions.last_digest(promotions.read(state), "main/prod/web", "1") == ""
    for digest, action in (
        ("a", "promoted"),
        ("b", "demoted"),
        ("c", "refused"),
        ("d", "approved"),
    ):
        promotions.add(state, {**VALUES, "action": action, "digest": digest})
    promotions.add(state, {**VALUES, "tag": "2", "digest": "e"})
    log = promotions.read(state)
    assert promotions.last_digest(log, "main/prod/web", "1") == "b"
    assert promotions.last_digest(log, "main/staging/web", "1") == ""
