"""What an audit finds in a storage, by the shells and tools of every host."""

from itertools import pairwise

import pytest
import shells
from made_store import Store

from regfleet.jobs.audit import Audit
from regfleet.jobs.collection import Subject
from regfleet.jobs.interface import Answer
from regfleet.model.audit import Audited, BrokenTag
from regfleet.shell.how_far import HowFar, parse
from regfleet.touch.protocol import program

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
JOB = Audit((Subject("regfleet-main", "container", "", "", "", "", (), ""),))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "with a blank")


def audit(shell, store, tmp_path, heard="", told=None):
    """The job's own functions over a store: what they answer, read as from a host.

    Args:
        heard: `yes` where somebody hears how far it is, which goes into `told`.
    """
    (tmp_path / "lists").mkdir()
    text = f"""
{program("docker")}
{JOB.functions()}
heard={heard}
roomy={tmp_path}
service=regfleet-main
storage='{store.place}'
root='{store.root}'
audit_run
"""
    lines = shells.lines(shell, text)
    ways = [parse(line.encode()) for line in lines]
    if told is not None:
        told += [each for each in ways if each]
    said = [line.removeprefix("@result ") for line, way in zip(lines, ways, strict=True) if not way]
    answers = [Answer(line.split("\t")[0], tuple(line.split("\t")[1:])) for line in said]
    (found,) = JOB.read(answers)
    return found


def image(store, repository, name, tag, **more):
    """An image whose repository has all of its parts."""
    digest = store.image(repository, name, tag, **more)
    parts = [store.blob(f"{part} of {name}".encode()) for part in ("layer", "config")]
    store.layers(repository, *parts)
    return digest, *parts


@EVERY_SHELL
def test_all_is_whole(shell, store, tmp_path):
    one, *_ = image(store, "app", "one", "1")
    store.index("app", [one], "index")
    image(store, "app", "signature", "sha256-1.sig", subject={"digest": f"sha256:{'1' * 64}"})
    digest = store.image("app", "foreign", "foreign", urls=["https://elsewhere"])
    store.layers("app", store.blob(b"config of foreign"))
    store.path(store.blob(b"layer of foreign")).unlink()
    found = audit(shell, store, tmp_path)
    assert digest
    assert found.ok, found
    assert (found.tags, found.blobs) == (4, 9)


@EVERY_SHELL
def test_what_is_broken(shell, store, tmp_path):
    _, layer, _ = image(store, "app", "missing", "missing")
    store.path(layer).unlink()
    _, _, config = image(store, "app", "damaged", "damaged")
    store.path(config).write_bytes(b"other")
    _, unlinked, _ = image(store, "other", "unlinked", "1")
    name = unlinked.partition(":")[2]
    (store.root / "repositories/other/_layers/sha256" / name / "link").unlink()
    manifest, *_ = image(store, "app", "torn", "torn")
    store.path(manifest).write_bytes(b"{")
    part, *_ = image(store, "app", "part", "")
    store.index("app", [part], "index")
    store.path(part).unlink()
    image(store, "app", "empty", "empty")
    link = "repositories/app/_manifests/tags/empty/current/link"
    (store.root / link).write_text("")
    found = audit(shell, store, tmp_path)
    assert set(found.broken) == {
        BrokenTag("app", "missing", f"is missing: {layer}"),
        BrokenTag("app", "damaged", f"is damaged: {config}"),
        BrokenTag("other", "1", f"is not linked in the repository: {unlinked}"),
        BrokenTag("app", "torn", f"is damaged: {manifest}"),
        BrokenTag("app", "index", f"is missing: {part}"),
    }
    assert set(found.damaged) == {config, manifest}
    assert found.empty == (link,)
    assert (found.broken_count, found.damaged_count, found.empty_count) == (5, 2, 1)
    assert not found.ok


@EVERY_SHELL
def test_nothing_was_pushed_yet(shell, store, tmp_path):
    store.root = store.root / "none"
    assert audit(shell, store, tmp_path) == Audited("regfleet-main", 0, 0, 0, 0, 0, 0)


def test_an_answer_of_nobody_is_none():
    with pytest.raises(LookupError):
        JOB.read([Answer("audited", ("regfleet-other", "1", "2", "3", "0", "0", "0"))])


@pytest.mark.parametrize("shell", shells.parameters()[:1])  # all have those of backups
def test_it_says_how_far_it_is(shell, store, tmp_path):
    """In batches of 400 blobs or of a gigabyte; none is left out between two of them."""
    large = store.blob(b"large")
    with store.path(large).open("r+b") as file:
        file.truncate(1_100_000_000)  # a hole: damaged, and read as zeros
    for number in range(820):
        store.blob(f"{number:04}".encode())
    told = []
    found = audit(shell, store, tmp_path, heard="yes", told=told)
    assert (found.blobs, found.size) == (821, 1_100_000_000 + 820 * 4)
    assert (found.damaged, found.damaged_count) == ((large,), 1)
    first, *parts = told
    assert first == HowFar("listing")
    assert {each.work for each in parts} == {"reading"}
    assert {(each.of, each.of_size) for each in parts} == {(821, found.size)}
    assert 4 <= len(parts) <= 5, "the large one, and 820 others before and behind it"
    steps = [here.done - before.done for before, here in pairwise([HowFar(""), *parts])]
    assert sum(steps) == 821
    assert max(steps) <= 400
    assert (parts[-1].done, parts[-1].size) == (821, found.size)
