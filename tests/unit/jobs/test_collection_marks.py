"""What tags lead to, by the shells and tools of every host; the store is made by hand."""

import shutil

import pytest
import shells
from made_store import Store

from regfleet.jobs.collection import Collection, Subject
from regfleet.jobs.interface import Answer
from regfleet.model.collections import Collected
from regfleet.touch.protocol import program

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
IMAGE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "with a blank")


def look(shell, store, tmp_path, minutes=1440, then=""):
    """What the collection's own functions list: by the name of the list, its lines.

    `then` is shell for what comes after the first look.
    """
    job = Collection((Subject("regfleet-main", "container", "", "", "", "", (), ""),))
    text = f"""
{program("docker")}
{job.functions()}
roomy={tmp_path}
mkdir {tmp_path}/lists
storage='{store.place}'
root='{store.root}'
say() {{ echo "$@"; }}
collection_look {minutes} 1
{then}
"""
    said = shells.lines(shell, text)
    found = {
        name: (tmp_path / "lists" / name).read_text().split("\n")[:-1]
        for name in ("tags", "untagged", "reached", "needed", "missing", "unread")
        if (tmp_path / "lists" / name).exists()
    }
    shutil.rmtree(tmp_path / "lists")
    return said, found


@EVERY_SHELL
def test_what_tags_lead_to_stays(shell, store, tmp_path):
    part, other = store.image("app", "part"), store.image("app", "other")
    inner = store.index("app", [part])
    outer = store.index("app", [inner, other], "nested")
    plain = store.image("team/app", "plain", "1.0")
    signature = store.image("team/app", "signature", subject={"digest": plain})
    of_that = store.image("team/app", "attestation", subject={"digest": signature})
    mentioned = store.blob(b"mentioned alone")
    noted = store.image("team/app", "noted", "noted", annotations={"base": mentioned})
    said, found = look(shell, store, tmp_path)
    assert said == []
    assert found["untagged"] == []
    kept = {part, other, inner, outer, plain, signature, of_that, mentioned}
    assert set(found["reached"]) >= kept
    assert set(found["needed"]) >= {part, other, inner, outer, plain, noted}
    assert mentioned not in found["needed"]
    assert signature not in found["needed"]
    assert found["missing"] == []
    assert len(found["reached"]) == len(set(found["reached"])) == 8 + 2 * 6 + 1


@EVERY_SHELL
def test_what_no_tag_leads_to_goes_when_it_is_old(shell, store, tmp_path):
    kept = store.image("app", "kept", "1")
    part = store.image("app", "part")
    index = store.index("app", [part])
    store.image("app", "young", days=0.5)
    lone = store.image("app", "signature", subject={"digest": part})
    # The same manifest with a tag elsewhere keeps no untagged one here.
    elsewhere = store.image("other", "shared", "1")
    store.image("app", "shared")
    said, found = look(shell, store, tmp_path)
    assert said == []
    expected = [f"app {each}" for each in (part, index, lone, elsewhere)]
    assert sorted(found["untagged"]) == sorted(expected)
    assert kept in found["reached"]
    assert part not in found["reached"]
    assert elsewhere in found["reached"]
    _, found = look(shell, store, tmp_path, minutes=0)
    assert len(found["untagged"]) == 5


@EVERY_SHELL
def test_what_is_missing_is_told(shell, store, tmp_path):
    store.image("app", "broken", "1")
    digest = store.blob(b"layer of broken").partition(":")[2]
    shutil.rmtree(store.root / "blobs/sha256" / digest[:2] / digest)
    gone = store.index("app", [f"sha256:{'1' * 64}"], "2")
    _, found = look(shell, store, tmp_path)
    assert found["missing"] == sorted([f"sha256:{digest}", f"sha256:{'1' * 64}"])
    assert gone in found["needed"]


@EVERY_SHELL
def test_nothing_was_pushed_yet(shell, store, tmp_path):
    shutil.rmtree(store.place)
    said, found = look(shell, store, tmp_path)
    assert said == []
    assert found["untagged"] == []


def empty_tag(store):
    (store.root / "repositories/app/_manifests/tags/1/current/link").write_text("")
    return "1 link files are empty"


def other_tag(store):
    (store.root / "repositories/app/_manifests/tags/1/current/link").write_text("no digest\n")
    return "not every tag"


def other_digests(store):
    (store.root / "blobs/sha512").mkdir()
    return "digests that are not sha256"


def unreadable(store):
    digest = store.image("app", "odd", "2").partition(":")[2]
    place = store.root / "blobs/sha256" / digest[:2] / digest / "data"
    place.unlink()
    place.mkdir()
    return "is damaged"


def torn(store):
    digest = store.image("app", "odd", "2").partition(":")[2]
    (store.root / "blobs/sha256" / digest[:2] / digest / "data").write_text('{"config": {"dig')
    return "is damaged"


@EVERY_SHELL
@pytest.mark.parametrize("damage", [empty_tag, other_tag, other_digests, unreadable, torn])
def test_a_damaged_store_is_refused(shell, store, tmp_path, damage):
    store.image("app", "one", "1")
    words = damage(store)
    said, _ = look(shell, store, tmp_path)
    assert said, words
    assert words in said[0]


@EVERY_SHELL
def test_the_second_look_reads_only_what_is_new(shell, store, tmp_path):
    """While the registry only reads, each step counts."""
    for number in range(9):
        store.image("app", f"image {number}", f"{number}.0")
    place = tmp_path / "with a blank"
    shutil.copytree(store.place, tmp_path / "later")
    later = type(store)(tmp_path / "later", new=False)
    late = later.image("app", "late", "late")
    untagged = later.image("app", "old")
    then = f"rm -r '{place}'; mv '{tmp_path}/later' '{place}'; collection_look 1440 1"
    said, found = look(shell, store, tmp_path, then=then)
    assert said == []
    assert len(found["unread"]) == 2
    assert len(found["tags"]) == 10
    assert late in found["needed"]
    assert len(found["needed"]) == 10 * 3
    assert found["untagged"] == [f"app {untagged}"]
    assert found["missing"] == []


@EVERY_SHELL
@pytest.mark.parametrize("tag", ["old", ""])
def test_an_image_of_schema_1_is_named(shell, store, tmp_path, tag):
    """Registry 3 collects nothing while there is one; version 2 says so of no other."""
    store.image("app", "new", "new", schemaVersion=2)
    then = f"collection_of_schema_1; echo {tag or 'none'} $?"
    assert look(shell, store, tmp_path, then=then)[0] == [f"{tag or 'none'} 0"]
    blob = store.blob(b"layer")
    digest = store.manifest("team/app", {"schemaVersion": 1, "fsLayers": [{"blobSum": blob}]}, tag)
    said, _ = look(shell, store, tmp_path, then=then)
    where = f"team/app:{tag}" if tag else "an image without a tag"
    assert said[0].startswith(f"failed {where} is of schema 1")
    assert digest in said[1]


def test_what_a_host_answers():
    job = Collection((Subject("regfleet-main", "container", "", "", "", "", (), ""),))
    numbers = ("1", "2", "3", "4", "5", "6", "7")
    assert job.read([Answer("collected", ("regfleet-main", *numbers))]) == (
        Collected("regfleet-main", 1, 2, 3, 4, 5, 6, 7),
    )
    with pytest.raises(LookupError):
        job.read([])
