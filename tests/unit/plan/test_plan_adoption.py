"""What a plan does with a registry that was made by hand, and when it refuses."""

from dataclasses import replace

import pytest
from making import container, desired, observed

from regfleet.errors import HostError
from regfleet.model.foreign import Foreign
from regfleet.model.observed import ObservedData
from regfleet.model.plan import Adopt, ReturnAdopted, RunService
from regfleet.plan.diff import diff
from regfleet.record import Adopted, parse, render

MAIN = replace(container(), adopt=True)
OLD = Foreign(
    "container", "1f", "old", "always",
    driver="filesystem", root="/var/lib/registry", source="/data",
)  # fmt: skip
ONE = ObservedData("registry", 1, 2_000_000)
ASIDE = Adopted("regfleet-main", "5000", "container", "1f", "old", "always")


def plan(found=OLD, data=None, want=MAIN, **seen):
    given = {"/data": ONE} if data is None else data
    host = observed(foreign={5000: found} if found else {}, data=given, **seen)
    return diff(desired(services=(want,) if want else ()), host, "salt")


def images(of):
    return next(each.reason for each in of.changes if each.resource.kind == "data")


def test_it_stops_right_before_the_new_one_runs_and_is_recorded():
    found = plan()
    kinds = [type(step) for step in found.steps]
    assert kinds.index(RunService) == kinds.index(Adopt) + 1
    assert parse(found.record)["acme"].adopted == (ASIDE,)
    reason = next(each.reason for each in found.changes if each.resource.name == "old")
    assert "kept as old-before-regfleet, a rollback or a destroy brings it back" in reason


def test_a_compose_project_that_would_start_it_again_is_named():
    found = plan(replace(OLD, project="stack"))
    reason = next(each.reason for each in found.changes if each.resource.name == "old")
    assert reason.endswith("; take it out of the Compose project stack")


@pytest.mark.parametrize(
    ("changes", "data", "words", "copied"),
    [
        ({"in_place": True}, None, "1 repository, 2.0 MB stay in /data", False),
        ({"in_place": True, "volume": "v1"}, None, "in the volume v1, which Docker may", False),
        ({"linkable": True}, None, "1 repository, 2.0 MB from /data, linked", True),
        ({}, None, "1 repository, 2.0 MB copied from /data", True),
        ({}, {"/data": ObservedData("empty")}, "/data holds no images yet", False),
        ({"source": ""}, {}, "images copied from /var/lib/registry in the container old", True),
    ],
)
def test_what_becomes_of_its_images(changes, data, words, copied):
    found = plan(replace(OLD, **changes), data)
    assert words in images(found)
    adopt = next(step for step in found.steps if isinstance(step, Adopt))
    assert bool(adopt.storage) is copied


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        (
            {"/data": ONE, "/var/lib/registry": ONE},
            "/var/lib/registry holds 1 repository, 2.0 MB already",
            'write storage = "/data"',
        ),
        ({}, "/data, where the registry to be adopted keeps its images, cannot be", "by hand"),
        (
            {"/data": ObservedData("registry", 9, 30 * 10**9)},
            "on another file system than /var/lib/registry",
            'write storage = "/data"',
        ),
        (
            {"/data": ObservedData("registry", 9, 10, all_counted=False)},
            "on another file system than /var/lib/registry",
            'write storage = "/data"',
        ),
    ],
)
def test_storage_that_cannot_have_its_images_is_refused(data, message, hint):
    with pytest.raises(HostError) as refused:
        plan(data=data)
    assert message in refused.value.message
    assert hint in refused.value.hint


def recorded(**seen):
    first = plan()
    return {"record": first.record, "owned": parse(first.record), **seen}


def test_it_stays_aside_while_one_of_the_fleet_serves_and_returns_behind_it():
    assert parse(plan(None, **recorded()).record)["acme"].adopted == (ASIDE,)
    renamed = replace(MAIN, name="regfleet-other")
    steps = plan(None, want=renamed, **recorded()).steps
    assert not [step for step in steps if isinstance(step, ReturnAdopted)]
    gone = plan(None, want=None, **recorded())
    assert [step for step in gone.steps if isinstance(step, ReturnAdopted)] == [
        ReturnAdopted(ASIDE)
    ]
    assert (
        "it is started again on port 5000"
        in {each.resource.name: each.reason for each in gone.changes}["old"]
    )
    assert gone.record == ""


def test_records_from_before_there_were_adoptions_are_read():
    text = render(parse(plan().record)).replace('"adopted"', '"other"')
    assert parse(text)["acme"].adopted == ()
