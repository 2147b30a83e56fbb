"""Rules of retention: mistakes, each alone, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from regfleet.errors import Mistake
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Retention, Rule

HEAD = 'version = 1\nname = "acme"\n'
MAIN = '[registry.main]\nhosts = ["reg1.example.com"]\n'
OUTSIDE = '[registry.main]\nexternal = true\nendpoint = "hub.example.com"\n'
RULES = "[[registry.main.retention.rules]]\n"
DEV = RULES + 'repositories = ["dev/*"]\n'
BUCKET = 'storage = { s3 = { bucket = "images" } }\n'
AT = "registry.main.retention"

MISTAKES = [
    (MAIN + RULES + "keep_last = 1\n", f"{AT}.rules[0].repositories", "is missing"),
    (MAIN + DEV, f"{AT}.rules[0]", "would delete every tag"),
    (MAIN + DEV + "keep_deployed = false\n", f"{AT}.rules[0]", "would delete every tag"),
    (MAIN + DEV + "keep_last = 0\n", f"{AT}.rules[0].keep_last", "1"),
    (MAIN + DEV + 'keep_younger = "30"\n', f"{AT}.rules[0].keep_younger", "is not an age"),
    (MAIN + DEV + 'keep_tags = ["a/b"]\n', f"{AT}.rules[0].keep_tags[0]", "cannot be a tag"),
    (MAIN + DEV + "keep_tags = []\n", f"{AT}.rules[0].keep_tags", "must not be empty"),
    (
        MAIN + DEV.replace("dev/*", "Dev") + "keep_last = 1\n",
        f"{AT}.rules[0].repositories[0]",
        "lower case",
    ),
    (
        MAIN + DEV + "keep_last = 1\n" + DEV.replace("dev/*", "dev/a") + "keep_last = 2\n",
        f"{AT}.rules[1]",
        "is never used",
    ),
    (
        MAIN + "delete = false\n" + DEV + "keep_last = 1\n",
        f"{AT}.rules",
        "deletion is off in this registry",
    ),
    (
        MAIN + 'proxy = "https://quay.io"\n' + DEV + "keep_last = 1\n",
        AT,
        "does not go with proxy",
    ),
    (MAIN + BUCKET + DEV + "keep_last = 1\n", AT, "with a bucket"),
    (OUTSIDE + DEV + "keep_last = 1\n", AT, "does not go with external"),
    (MAIN + '[registry.main.retention.gc]\nuntagged_older = "5m"\n', f"{AT}.gc.untagged_older",
     "is not an age"),
    *(
        (f"{MAIN}retention.gc = {{ {keys} }}\n", f"{AT}.gc.{key}", words)
        for keys, key, words in (
            ('every = "30m"', "every", "too often"),
            ('every = "7w"', "every", "is not an interval"),
            ('at = "Sunday 03:00"', "at", "is not a time"),
            ('at = "24:00"', "at", "is not a time"),
            ('every = "12h", at = "03:00"', "every", "comes once a day"),
            ('every = "3d", at = "Sun 03:00"', "every", "comes once a week"),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "words"), MISTAKES)
def test_a_mistake_is_told_alone(
    mistakes_of: Callable[[str], tuple[Mistake, ...]], text: str, path: str, words: str
) -> None:
    (found,) = mistakes_of(HEAD + text)
    assert found.path == path
    assert words in f"{found.message} {found.hint}"


def test_what_is_declared(fleet_of: Callable[[str], Fleet]) -> None:
    text = (
        HEAD
        + MAIN
        + DEV
        + 'keep_last = 10\nkeep_younger = "30d"\nkeep_tags = ["v*"]\nkeep_deployed = true\n'
        + RULES
        + 'repositories = ["*"]\nkeep_younger = "8w"\n'
        + '[registry.main.retention.gc]\nuntagged_older = "2d"\n'
    )
    assert fleet_of(text).registries["main"].retention == Retention(
        (
            Rule(("dev/*",), 10, 30 * 86400, ("v*",), keep_deployed=True),
            Rule(("*",), keep_younger=56 * 86400),
        ),
        2 * 86400,
    )
    assert fleet_of(HEAD + MAIN).registries["main"].retention == Retention()


@pytest.mark.parametrize(
    ("keys", "every", "at"),
    [
        ("", 0, ""),
        ('at = "Sun 03:00"', 7 * 86400, "Sun 03:00"),
        ('at = "03:00"', 86400, "03:00"),
        ('every = "14d", at = "Sun 03:00"', 14 * 86400, "Sun 03:00"),
        ('every = "12h"', 12 * 3600, ""),
    ],
)
def test_when_garbage_is_collected(
    fleet_of: Callable[[str], Fleet], keys: str, every: int, at: str
) -> None:
    found = fleet_of(f"{HEAD}{MAIN}retention.gc = {{ {keys} }}\n").registries["main"].retention.gc
    assert (found.every, found.at) == (every, at)
