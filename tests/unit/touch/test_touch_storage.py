"""Where a touch lets images be kept, and what it deletes with them, on real directories."""

import pytest
import shells
from test_touch_shell import BEGIN, Place

from regfleet.fleet import storage

PROTECT = f"protect '{' '.join(storage.SYSTEM)}' '{' '.join(storage.WHOLLY)}'"
GONE = ("record ''", "swap")


@pytest.fixture(params=shells.parameters())
def place(request, tmp_path):
    return Place(request.param, tmp_path)


def images(directory):
    """A registry's layout with one repository of one blob."""
    v2 = directory / "docker/registry/v2"
    (v2 / "repositories/team/app/_manifests").mkdir(parents=True)
    (v2 / "blobs/sha256/aa/aabb").mkdir(parents=True)
    (v2 / "blobs/sha256/aa/aabb/data").write_text("blob")
    (directory / "scheduler-state.json").touch()
    return directory


def destroy(place, path, made="no", reserved=""):
    return place.touch(
        BEGIN, f"{PROTECT} {reserved}", f"remove_service container c {path} {made}", *GONE
    )


@pytest.mark.parametrize("made", ["yes", "no"])
def test_images_go_and_the_directory_where_it_is_ours(place, made):
    store = images(place.host / "store")
    done = destroy(place, store, made)
    assert (done.result, done.notes) == ("changed", ())
    assert store.exists() is (made == "no")
    assert not store.exists() or not list(store.iterdir())


def test_nothing_is_made_in_the_place_of_a_file_system_that_is_not_mounted(place):
    store = place.host / "store"
    store.mkdir()
    for path in (store, place.host / "none"):
        done = place.touch(BEGIN, f"mounted {path}", f"directory {path}/docker 0700", *GONE)
        assert done.result == "failed"
        assert f"the storage {path} cannot be used: nothing is mounted there" in done.error
    assert list(place.host.iterdir()) == [store]
    assert not list(store.iterdir())
    assert place.touch(BEGIN, "mounted /proc", *GONE).result == "changed"


def test_every_storage_of_a_touch_is_seen_to(place):
    stores = [images(place.host / name) for name in "abc"]
    removals = [f"remove_service container {store.name} {store} yes" for store in stores]
    place.touch(BEGIN, f"{PROTECT} /elsewhere", *removals, *GONE)
    assert list(place.host.iterdir()) == []


@pytest.mark.parametrize("made", ["yes", "no"])
def test_what_is_no_registrys_stays(place, made):
    store = images(place.host / "store")
    (store / "letters").mkdir()
    (store / "docker/letters").touch()
    done = destroy(place, store, made)
    assert "still holds what is no registry's" in done.notes[0]
    assert sorted(map(str, (path.relative_to(store) for path in store.rglob("*")))) == [
        "docker",
        "docker/letters",
        "letters",
    ]


def test_a_directory_without_images_that_is_not_ours_stays(place):
    store = place.host / "store"
    store.mkdir()
    (store / "letters").touch()
    done = destroy(place, store)
    assert "holds no registry's images, and was there before regfleet" in done.notes[0]
    assert (store / "letters").exists()


def test_a_link_to_the_storage_is_followed_and_stays(place):
    store = images(place.host / "store")
    link = place.host / "link"
    link.symlink_to(store)
    assert destroy(place, link).notes == ()
    assert link.is_symlink()
    assert list(store.iterdir()) == []


@pytest.mark.parametrize("linked", ["docker", "docker/registry", "docker/registry/v2/blobs"])
def test_links_inside_lead_nowhere(place, linked):
    elsewhere = images(place.host / "elsewhere")
    store = images(place.host / "store")
    (store / linked).rename(place.host / "aside")
    (store / linked).symlink_to(elsewhere / linked)
    destroy(place, store, "yes")
    assert (elsewhere / "docker/registry/v2/blobs/sha256/aa/aabb/data").read_text() == "blob"


@pytest.mark.parametrize("link", ["store", "above"])
def test_a_path_that_leads_to_the_systems_is_neither_used_nor_deleted(place, link):
    target = {"store": "/etc", "above": "/"}[link]
    (place.host / "link").symlink_to(target)
    path = place.host / "link" if link == "store" else place.host / "link/etc/images"
    done = place.touch(BEGIN, PROTECT, f"storage {path}")
    assert done.result == "failed"
    assert f"the storage {path} leads to /etc" in done.error
    assert "/etc is the system's" in done.error
    note = destroy(place, path, "yes").notes
    assert note == () if link == "above" else "/etc is the system's" in note[0]


@pytest.mark.parametrize("theirs", ["store", "store/sub", "."])
def test_anothers_storage_is_neither_used_nor_deleted(place, theirs):
    store = images(place.host / "store")
    (place.host / "link").symlink_to(store)
    reserved = place.host / theirs
    done = place.touch(BEGIN, f"{PROTECT} {reserved}", f"storage {place.host}/link")
    assert "another registry keeps its images in" in done.error
    done = destroy(place, place.host / "link", reserved=reserved)
    assert "another registry keeps its images in" in done.notes[0]
    assert (store / "docker/registry/v2/blobs/sha256/aa/aabb/data").exists()


def test_two_of_one_plan_do_not_meet_behind_a_link(place):
    (place.host / "link").symlink_to(place.host / "store")
    done = place.touch(
        BEGIN, PROTECT, f"storage {place.host}/store", f"storage {place.host}/link/a"
    )
    assert "another registry keeps its images in" in done.error


def test_a_storage_that_is_not_there_yet_may_be(place):
    assert place.touch(BEGIN, PROTECT, f"storage {place.host}/a/b/c/").error == ""
