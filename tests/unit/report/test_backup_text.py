"""What people read of backups."""

import io

import pytest
from making import fleet
from rich.console import Console

from regfleet.fleet.policies import Replication
from regfleet.model.backups import BadBlob, Verified
from regfleet.report import backup_text

BAD = (BadBlob("sha256:1", "damaged", "1,2"),)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Verified("main", 2, 6, 10, 0), "read; all is whole"),
        (Verified("main", 0, 0, 0, 0), "read; there is no backup yet: run `regfleet backup`"),
        (Verified("main", 2, 6, 10, 1, BAD), "read; 1 blob cannot be given"),
        (Verified("main", 2, 6, 10, 0, (), ("no file",)), "read; 1 backup is damaged"),
        (
            Verified("main", 2, 6, 10, 1, BAD, ("no file", "other")),
            "read; 1 blob cannot be given, 2 backups are damaged",
        ),
    ],
)
def test_what_a_verification_found(found, words):
    console = Console(file=io.StringIO(), width=200)
    backup_text.show_verified("reg1", found, console)
    assert console.file.getvalue().splitlines()[0].endswith(words)


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ([], ""),
        ([Replication("p", "north", ("main",), delete=True)], ""),
        ([Replication("p", "main", ("north",))], "note: copies of main (north): "),
        (
            [Replication("p", "main", ("n", "s")), Replication("q", "main", ("s",), delete=True)],
            "note: copies of main (n, s): tags that were pushed after the backup are set back ",
        ),
    ],
)
def test_who_loses_what_the_backup_has_not(policies, words):
    console = Console(file=io.StringIO(), width=400)
    whole = fleet(replications={each.name: each for each in policies})
    backup_text.show_copies(whole, "main", console)
    assert console.file.getvalue().startswith(words)
    assert bool(console.file.getvalue()) == bool(words)
    deletes = any(each.delete and each.source == "main" for each in policies)
    assert ("deleted (delete = true)" in console.file.getvalue()) == deletes
