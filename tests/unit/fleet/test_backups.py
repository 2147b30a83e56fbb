"""Backups: mistakes, each alone, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from regfleet.errors import Mistake
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Backup, PasswordSource
from regfleet.fleet.schedules import Schedule

HEAD = 'version = 1\nname = "acme"\n'
MAIN = '[registry.main]\nhosts = ["reg1.example.com"]\n'
OTHER = '[registry.other]\nhosts = ["reg1.example.com"]\nendpoint = "o.example.com:5001"\n'
OUTSIDE = '[registry.main]\nexternal = true\nendpoint = "hub.example.com"\n'
BACKUP = 'backup = { to = "/mnt/b" }\n'
BUCKET = 'storage = { s3 = { bucket = "images" } }\n'
AT = "registry.main.backup"

MISTAKES = [
    (MAIN + "backup = {}\n", f"{AT}.to", "is missing"),
    (MAIN + 'backup = { to = "/mnt" }\n', f"{AT}.to", "/mnt belongs to the system"),
    (MAIN + 'backup = { to = "nas:/export" }\n', f"{AT}.to", "not a directory of the"),
    (MAIN + 'backup = { to = { mounted = "backup" } }\n', f"{AT}.to.mounted", "from / on"),
    (MAIN + 'backup = { to = "/tmp/b" }\n', f"{AT}.to", "is emptied when the host starts"),
    (MAIN + 'backup = { to = "/home/ops/b" }\n', f"{AT}.to", "lies in a home"),
    (MAIN + 'backup = { to = "/var/lib/registry/b" }\n', f"{AT}.to", "with its own images"),
    (
        MAIN + 'backup = { to = "/srv/o" }\n' + OTHER + 'storage = "/srv/o/images"\n',
        f"{AT}.to",
        "with the images of registry other: /srv/o/images",
    ),
    (MAIN + 'backup = { to = "/mnt/b", keep = 0 }\n', f"{AT}.keep", "1 or more"),
    (MAIN + 'backup = { to = "/mnt/b", every = "5m" }\n', f"{AT}.every", "is too often"),
    (MAIN + 'backup = { to = "/mnt/b", every = "6h", at = "02:30"}\n', f"{AT}.every", "once a day"),
    (MAIN + 'backup = { to = "/mnt/b", key = "abc" }\n', f"{AT}.key", "do not belong in the file"),
    (MAIN + BACKUP + 'proxy = "https://quay.io"\n', AT, "does not go with proxy"),
    (MAIN + BACKUP + BUCKET, AT, "does not go with a bucket"),
    (OUTSIDE + BACKUP, AT, "does not go with external"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "words"), MISTAKES)
def test_a_mistake_is_told_alone(
    mistakes_of: Callable[[str], tuple[Mistake, ...]], text: str, path: str, words: str
) -> None:
    (found,) = mistakes_of(HEAD + text)
    assert found.path == path
    assert words in found.message
    assert found.line
    assert found.hint


def test_what_is_built(fleet_of: Callable[[str], Fleet]) -> None:
    backup = 'to = { mounted = "/mnt/b/" }, keep = 3, at = "02:30", key = { env = "KEY" }'
    text = f"{MAIN}backup = {{ {backup} }}\n"
    fleet = fleet_of(HEAD + text + OTHER + 'storage = "/srv/o"\nbackup = { to = "/mnt/b" }\n')
    key = PasswordSource("env", "KEY")
    assert fleet.registries["main"].backup == Backup(
        "/mnt/b", mounted=True, keep=3, schedule=Schedule(86400, "02:30"), key=key
    )
    assert fleet.registries["other"].backup == Backup("/mnt/b")
