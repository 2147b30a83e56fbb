"""Backups of a storage and restores into another, by the shells and tools of every host."""

import hashlib
import os
import shutil
import time
from contextlib import suppress

import pytest
import shells
from made_store import Store

from regfleet.jobs import backup
from regfleet.jobs.backup import BackupJob, BackupSubject, Place
from regfleet.jobs.collection import Subject
from regfleet.jobs.interface import Answer
from regfleet.jobs.restore import RestoreJob
from regfleet.jobs.verification import Verification
from regfleet.model.backups import BadBlob, LeftOut
from regfleet.shell.how_far import HowFar, parse
from regfleet.touch.protocol import call, program

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
ONE_SHELL = pytest.mark.parametrize("shell", shells.parameters()[:1])
SERVICE = "regfleet-main"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "the images")


def image(store, repository, name, tag, **more):
    """An image whose repository has all of its parts."""
    digest = store.image(repository, name, tag, **more)
    parts = [store.blob(f"{part} of {name}".encode()) for part in ("layer", "config")]
    store.layers(repository, *parts)
    return digest, *parts


class Host:
    """One that has a storage, and a directory for backups."""

    def __init__(self, shell, tmp_path):
        self.shell, self.tmp_path = shell, tmp_path
        self.to = tmp_path / "the backups"
        self.place = Place(str(self.to), False, "acme", "main")
        self.kept = self.to / "acme/main"
        (tmp_path / "base/generations").mkdir(parents=True)

    def run(self, job, hook=""):
        """The job's value, None where it failed; and the lines that it said."""
        base = self.tmp_path / "base"
        shutil.rmtree(base / "work", ignore_errors=True)
        (base / "work").mkdir()
        lines = "\n".join(f"step {call(*step)}" for step in job.steps())
        text = f"""
{program("docker")}
{job.functions()}
heard=yes BASE={base} RUNS={base} locked=1 whose=acme roomy={base}/work
roomy_directory() {{ :; }}
: >{base}/last
any_ours() {{ :; }}
collection_asks() {{ code=200; }}
hook() {{ {hook or ":"}
}}
{lines}
[ -z "$failed" ] || undo_steps
"""
        self.said = shells.lines(self.shell, text)
        self.told = [each for line in self.said if (each := parse(line.encode()))]
        self.said = [line for line in self.said if not line.startswith("@progress ")]
        words = [line.removeprefix("@result ").split("\t") for line in self.said]
        if any(line.startswith("@failed") for line in self.said):
            return None
        return job.read([Answer(key, tuple(fields)) for key, *fields in words])

    def backup(self, store, keep=14, hook="", **more):
        subject = BackupSubject(SERVICE, "any", str(store.place), self.place, keep, **more)
        (done,) = self.run(BackupJob((subject,)), hook) or (None,)
        return done

    def foresee(self, store):
        subject = BackupSubject(SERVICE, "any", str(store.place), self.place, 14)
        (done,) = self.run(BackupJob((subject,), foresee=True)) or (None,)
        return done

    def restore(self, store, number=0, hook="", **more):
        subject = Subject(SERVICE, "any", "", "", "", str(store.place), (), "")
        return self.run(RestoreJob(subject, self.place, number, **more), hook)

    def verify(self, hook=""):
        (found,) = self.run(Verification((self.place,)), hook) or (None,)
        return found

    def kept_at(self, digest):
        """The file that keeps a blob."""
        name = digest.partition(":")[2]
        return self.kept / "blobs/sha256" / name[:2] / name / "data"

    def blobs(self):
        return sorted(f"sha256:{each.parent.name}" for each in self.kept.glob("blobs/*/*/*/data"))


@pytest.fixture
def host(shell, tmp_path):
    return Host(shell, tmp_path)


def files(store):
    """What a registry has: the content and the time of each file that counts."""
    return {
        str(path.relative_to(store.root)): (path.read_bytes(), int(path.stat().st_mtime))
        for path in store.root.rglob("*")
        if path.is_file() and "_layers" not in path.parts
    }


def layers(store):
    return {str(path.relative_to(store.root)) for path in store.root.rglob("_layers/*/*/link")}


@EVERY_SHELL
def test_all_comes_back_as_it_was(host, store, tmp_path):
    one, *_ = image(store, "team/app", "one", "1.0")
    part, *_ = image(store, "team/app", "part", "")
    store.index("team/app", [one, part], "all")
    image(store, "other", "signature", "sha256-1.sig", subject={"digest": one})
    (store.root / "repositories/other/_uploads/1").mkdir(parents=True)
    (store.root / "repositories/other/_uploads/1/data").write_text("half an upload")
    store.blob(b"garbage that no link leads to")
    foreseen = host.foresee(store)
    assert not host.to.exists()
    first = host.backup(store)
    assert (first.number, first.tags, first.blobs, first.left_out_count) == (1, 3, 10, 0)
    assert (foreseen.new_blobs, foreseen.new_size) == (first.new_blobs, first.new_size)
    assert first.new_blobs == first.blobs
    assert (first.kept, first.oldest, foreseen.kept) == (1, first.taken, 0)

    again = host.backup(store)
    assert (again.number, again.new_blobs, again.blobs) == (2, 0, 10)
    new = Store(tmp_path / "new")
    shutil.rmtree(new.place)
    new.place.mkdir()
    done = host.restore(new)
    assert done, host.said
    assert done.ok
    assert (done.number, done.tags, done.new_blobs, done.asked) == (2, 3, 10, 3)
    assert done.audited.tags == 3
    kept = files(store)
    for path in [*kept]:
        if "_uploads" in path or path.endswith(f"{garbage_name()}/data"):
            del kept[path]
    assert files(new) == kept
    assert layers(new) == layers(store)
    again = host.restore(new, 1)
    assert (again.number, again.new_blobs) == (1, 0)
    assert files(new) == kept
    assert not (new.root.parent / ".regfleet-restore").exists()


def garbage_name():
    return hashlib.sha256(b"garbage that no link leads to").hexdigest()


@EVERY_SHELL
def test_old_backups_go_and_blobs_that_none_needs(host, store):
    image(store, "app", "one", "1")
    host.backup(store, keep=2)
    shutil.rmtree(store.root / "repositories/app")
    image(store, "app", "two", "2")
    host.backup(store, keep=2)
    one = set(host.blobs())
    assert len(one) == 6
    image(store, "app", "three", "3")
    assert host.backup(store, keep=2).kept == 2
    assert [each.name for each in sorted((host.kept / "backups").iterdir())] == ["2", "3"]
    assert len(host.blobs()) == 6
    # Nobody knows what a damaged one needs.
    (host.kept / "backups/3/links").write_text("")
    shutil.rmtree(store.root / "repositories/app/_manifests/tags/3")
    assert host.backup(store, keep=2).number == 4
    assert len(host.blobs()) == 6
    assert any("backup 3 is damaged" in line for line in host.said), host.said


@EVERY_SHELL
def test_what_cannot_be_pulled_is_told_and_left_out(host, store):
    image(store, "app", "whole", "whole")
    _, layer, _ = image(store, "app", "missing", "missing")
    store.path(layer).unlink()
    _, _, config = image(store, "app", "damaged", "damaged")
    store.path(config).write_bytes(b"other")
    image(store, "app", "empty", "empty")
    (store.root / "repositories/app/_manifests/tags/empty/current/link").write_text("")
    done = host.backup(store)
    assert (done.tags, done.left_out_count) == (1, 3)
    assert set(done.left_out) == {
        LeftOut("app", "missing", f"is missing: {layer}"),
        LeftOut("app", "damaged", f"is damaged: {config}"),
        LeftOut("app", "empty", "is empty: a crash has left it so"),
    }


@ONE_SHELL
def test_what_the_pool_has_heals(host, store):
    _, layer, _ = image(store, "app", "one", "1")
    host.backup(store)
    store.path(layer).write_bytes(b"damaged on the disk")
    done = host.backup(store)
    assert (done.tags, done.left_out_count) == (1, 0), host.said
    assert host.restore(store).ok
    assert store.path(layer).read_bytes() == b"layer of one"


@EVERY_SHELL
def test_what_is_newer_is_not_lost_unasked(host, store):
    image(store, "app", "one", "1")
    image(store, "app", "old", "2")
    host.backup(store)
    new, *_ = image(store, "app", "new", "")
    link = store.root / "repositories/app/_manifests/tags/1/current/link"
    link.write_text(new)
    later, *_ = image(store, "app", "later", "later")
    before = files(store)
    assert host.restore(store) is None
    assert any("1 tags were pushed anew after backup 1: app:1" in line for line in host.said)
    assert files(store) == before
    done = host.restore(store, overwrite=True)
    assert done.ok
    assert (done.overwritten, done.audited.tags) == (1, 3)
    assert link.read_text() != new
    assert (store.root / "repositories/app/_manifests/tags/later/current/link").read_text() == later


@EVERY_SHELL
@pytest.mark.parametrize("then", ["future", "1970"])
def test_what_a_wrong_clock_calls_older_is_not_lost_unasked(host, store, then):
    """In the future when the backup's image was pushed; or not set yet when the other one was."""
    image(store, "app", "one", "1")
    link = store.root / "repositories/app/_manifests/tags/1/current/link"
    if then == "future":
        os.utime(link, (time.time() + 400 * 86400,) * 2)
    host.backup(store)
    new, *_ = image(store, "app", "new", "")
    link.write_text(new)
    os.utime(link, (time.time() if then == "future" else 100,) * 2)
    assert host.restore(store) is None
    assert any("1 tags were pushed anew after backup 1: app:1" in line for line in host.said)
    assert link.read_text() == new


@ONE_SHELL
def test_a_storage_that_is_not_there_makes_no_backup(host, store, tmp_path):
    image(store, "app", "one", "1")
    host.backup(store, keep=1)
    assert host.backup(Store(tmp_path / "unmounted"), keep=1) is None
    assert any("has no tags, and backup 1 has 1" in line for line in host.said)
    assert (host.kept / "backups/1/about").exists()


@EVERY_SHELL
def test_the_state_directory_is_kept_beside(host, store):
    image(store, "app", "one", "1")
    for number in (1, 2, 3):
        assert host.backup(store, keep=2, state=b"encrypted %d" % number).state == number
    assert sorted(each.name for each in (host.kept / "state").iterdir()) == ["2", "3"]
    lines = shells.lines(host.shell, backup.render_state(host.place, "m"))
    kept, data = backup.parse_state(lines, "m")
    assert data == b"encrypted 3"
    assert [number for number, _ in kept.states] == [3]
    lines = shells.lines(host.shell, backup.render_list([host.place], "m"))
    (listed,) = backup.parse_list(lines, "m").values()
    assert [each.number for each in listed.backups] == [2, 3]
    assert listed.place == str(host.kept)
    assert (listed.backups[0].tags, listed.backups[0].blobs) == (1, 3)
    assert [number for number, _ in listed.states] == [2, 3]


# What is left behind differs from that of one boundary before; all are tried on a host.
BOUNDARIES = ("backup-blobs", "backup-index", "backup-drop", "backup-unused")


@ONE_SHELL
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_backup_that_is_killed_is_none(host, store, boundary, tmp_path):
    image(store, "app", "one", "1")
    host.backup(store, keep=1)
    shutil.rmtree(store.root / "repositories/app")
    image(store, "app", "two", "2")
    with suppress(LookupError):  # it ends before it says how
        host.backup(store, keep=1, hook=f'[ "$2" != {boundary} ] || kill -9 $$')
    for number in [int(each.name) for each in (host.kept / "backups").iterdir()]:
        fresh = Store(tmp_path / f"fresh-{number}")
        assert host.restore(fresh, number).ok
    done = host.backup(store, keep=1)
    assert done.tags == 1
    assert len(host.blobs()) == 3
    assert {each.name for each in host.kept.iterdir()} <= {"backups", "blobs", "state", "lock"}
    assert host.restore(Store(tmp_path / "fresh")).ok


@ONE_SHELL
@pytest.mark.parametrize("boundary", ["backup-blobs", "restore-tags"])
def test_a_restore_that_is_killed_goes_on(host, store, boundary, tmp_path):
    image(store, "app", "one", "1")
    image(store, "app", "two", "2")
    host.backup(store)
    new = Store(tmp_path / "new")
    with pytest.raises(LookupError):
        host.restore(new, hook=f'[ "$2" != {boundary} ] || kill -9 $$')
    assert not list(new.root.rglob("current/link"))
    assert host.restore(new).ok
    assert not (new.root.parent / ".regfleet-restore").exists()


def leading_out(host):
    (host.kept / "blobs").rename(host.kept / "moved")
    (host.kept / "blobs").symlink_to(host.tmp_path / "outside")
    return "is not a directory"


def written_by_others(host):
    (host.kept / "blobs/sha256").chmod(0o777)
    return "others may write"


def foreign(host):
    os.chown(host.kept, 1234, 1234)
    return "belongs to user 1234"


def fifo(host):
    (host.kept / "backups/1/links").unlink()
    os.mkfifo(host.kept / "backups/1/links")
    return "has no file links"


def forged(host):
    (host.kept / "backups/1/tags").write_text("1 sha256:1\n")
    return "is not as it was written"


def odd(host):
    """Well signed, as one does who can write there."""
    of = host.kept / "backups/1"
    line = f"1 sha256:{'1' * 64} repositories/../../../../etc/_layers/sha256/{'1' * 64}/link\n"
    (of / "links").write_text(line)
    about = (of / "about").read_text().splitlines()
    about = [each for each in about if not each.startswith("digest-links")]
    about.append(f"digest-links {hashlib.sha256(line.encode()).hexdigest()}")
    (of / "about").write_text("\n".join(about) + "\n")
    return "has lines that regfleet does not write"


@ONE_SHELL
@pytest.mark.parametrize("spoil", [leading_out, written_by_others, foreign, fifo, forged, odd])
def test_a_hostile_directory_is_refused(host, store, spoil, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("root alone gives files away")
    image(store, "app", "one", "1")
    host.backup(store)
    outside = tmp_path / "outside"
    outside.mkdir()
    words = spoil(host)
    new = Store(tmp_path / "new")
    assert host.restore(new) is None
    assert any(words in line for line in host.said), host.said
    assert not list(new.root.rglob("link"))
    host.backup(store)
    assert not list(outside.iterdir())


@EVERY_SHELL
def test_a_blob_that_rotted_leaves_its_image_out(host, store, tmp_path):
    image(store, "app", "one", "1")
    _, layer, _ = image(store, "app", "two", "2")
    host.backup(store)
    name = layer.partition(":")[2]
    place = host.kept / "blobs/sha256" / name[:2] / name / "data"
    place.unlink()
    os.mkfifo(place)  # nobody waits for what comes out of it
    new = Store(tmp_path / "new")
    done = host.restore(new)
    assert done.left_out == (LeftOut("app", "2", f"is missing: {layer}"),)
    assert not done.ok
    assert done.audited.tags == 1
    assert done.audited.ok
    place.unlink()
    place.write_bytes(b"layer of tw0")
    done = host.restore(Store(tmp_path / "newer"))
    assert [each.name for each in done.left_out] == ["2"]


@ONE_SHELL
def test_nothing_was_pushed_yet(host, store):
    shutil.rmtree(store.place)
    done = host.backup(store)
    assert (done.number, done.tags, done.blobs) == (1, 0, 0)


@EVERY_SHELL
def test_they_say_how_far_they_are(host, store, tmp_path):
    for number in range(140):  # of three blobs each
        image(store, "app", str(number), f"v{number}")
    made = host.backup(store)
    copied = [each for each in host.told if each.work == "copying"]
    assert [(each.done, each.of) for each in copied] == [(400, 420), (420, 420)]
    assert (copied[-1].size, copied[-1].of_size) == (made.size, made.size)
    assert [each.work for each in host.told] == ["listing", "copying", "copying", "checking"]
    host.backup(store)
    assert [each.work for each in host.told] == ["listing", "checking"], "nothing to copy"
    host.restore(Store(tmp_path / "new", new=False))
    works = [each.work for each in host.told]
    assert works == ["listing", "copying", "copying", "listing", "reading", "reading"]
    assert host.told[-1] == HowFar("reading", 420, 420, made.size, made.size)


@EVERY_SHELL
def test_what_rotted_is_found_and_copied_anew(host, store):
    """A backup reads nothing that is there already; a verification reads all."""
    image(store, "app", "one", "1")
    assert host.backup(store).number == 1
    _, layer, _ = image(store, "app", "two", "2")
    assert host.backup(store).number == 2
    found = host.verify()
    assert found.ok, host.said
    assert (found.backups, found.blobs) == (2, 6)
    assert host.told[-1] == HowFar("reading", 6, 6, found.size, found.size)
    assert not (host.kept / "damaged").exists()

    place = host.kept_at(layer)
    place.write_bytes(b"layer of tw0")
    assert host.backup(store).new_blobs == 0
    found = host.verify()
    assert (found.ok, found.bad_count, found.bad) == (False, 1, (BadBlob(layer, "damaged", "2,3"),))
    assert (host.kept / "damaged").read_text() == f"{layer}\n"
    assert place.read_bytes() == b"layer of tw0", "nothing that is kept is changed"
    made = host.backup(store)
    assert (made.number, made.new_blobs, made.left_out_count) == (4, 1, 0)
    assert not (host.kept / "damaged").exists()
    assert place.read_bytes() == b"layer of two"
    assert host.verify().ok


@EVERY_SHELL
def test_what_only_backups_had_is_told(host, store):
    image(store, "app", "one", "1")
    _, layer, config = image(store, "app", "two", "2")
    host.backup(store)
    shutil.rmtree(store.root / "repositories/app/_manifests/tags/2")
    for gone in (layer, config):
        store.path(gone).unlink()
    host.kept_at(layer).write_bytes(b"layer of tw0")
    host.kept_at(config).unlink()
    bad = {BadBlob(layer, "damaged", "1"), BadBlob(config, "missing", "1")}
    assert set(host.verify().bad) == bad
    made = host.backup(store, keep=2)
    assert (made.number, made.tags, made.left_out_count) == (2, 1, 0)
    assert any("1 blobs of earlier backups of main are damaged" in line for line in host.said)
    (host.kept / "backups/2/links").write_text("other")
    found = host.verify()
    assert (found.backups, set(found.bad)) == (2, bad)
    assert found.unreadable == ("backup 2 is damaged: its file links is not as it was written",)
    # Damaged blobs go as others do, when no backup needs them.
    shutil.rmtree(host.kept / "backups/2")
    host.backup(store, keep=1)
    assert not host.kept_at(layer).exists()
    assert host.verify().ok
    assert not (host.kept / "damaged").exists()


@ONE_SHELL
@pytest.mark.parametrize("boundary", ["backup-blobs", "backup-mended", "backup-index"])
def test_what_rotted_heals_after_a_kill(host, store, boundary):
    _, layer, _ = image(store, "app", "one", "1")
    host.backup(store)
    host.kept_at(layer).write_bytes(b"layer of 0ne")
    assert not host.verify().ok
    with suppress(LookupError):
        host.backup(store, hook=f'[ "$2" != {boundary} ] || kill -9 $$')
    host.backup(store)
    assert host.kept_at(layer).read_bytes() == b"layer of one"
    assert host.verify().ok


@ONE_SHELL
def test_a_verification_needs_backups(host, store):
    """None is not all whole; and those of other registries are read."""
    image(store, "app", "one", "1")
    host.backup(store)
    other = Place(str(host.to), False, "acme", "other")
    none, main = host.run(Verification((other, host.place)))
    assert (none.ok, none.backups) == (False, 0)
    assert (main.ok, main.blobs) == (True, 3)
    shutil.rmtree(host.kept / "backups")
    assert not host.verify().ok


@EVERY_SHELL
def test_what_is_damaged_is_told_where_nothing_can_be_written(host, store):
    """As in a place that is full or mounted to be read; a directory stands for it, for root."""
    _, layer, _ = image(store, "app", "one", "1")
    host.backup(store)
    for name in ("lock", "damaged"):
        (host.kept / name).unlink(missing_ok=True)
        (host.kept / name).mkdir()
    assert host.verify().ok
    host.kept_at(layer).write_bytes(b"layer of 0ne")
    assert host.verify().bad == (BadBlob(layer, "damaged", "1"),)
    assert any("main/damaged cannot be written" in line for line in host.said), host.said
    assert not list((host.kept / "damaged").iterdir())


@ONE_SHELL
def test_a_lock_that_would_be_waited_for_is_not_opened(host, store):
    image(store, "app", "one", "1")
    host.backup(store)
    (host.kept / "lock").unlink()
    os.mkfifo(host.kept / "lock")
    assert host.verify().ok
    assert host.backup(store) is None
    assert any("main/lock cannot be written" in line for line in host.said), host.said


@EVERY_SHELL
def test_a_restore_goes_on_when_the_connection_breaks(host, store):
    """What it says of how far it is goes nowhere then, which is no failure."""
    _, layer, _ = image(store, "app", "one", "1")
    host.backup(store)
    store.path(layer).write_bytes(b"layer of 0ne")
    with suppress(LookupError):
        host.restore(store, hook='[ "$2" != restore-list ] || exec >/dev/full 2>/dev/null')
    assert store.path(layer).read_bytes() == b"layer of one"
