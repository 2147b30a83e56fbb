"""Promotions and ways back on a real registry, cut off between any two requests that change it."""

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from regfleet.errors import UsageError
from regfleet.fleet.load import load
from regfleet.promotions import Log
from regfleet.registry_api import deletion
from regfleet.replication import engine
from regfleet.run import known
from regfleet.run.promoting import Promoter
from regfleet.state import StateDirectory

FLEET = """
version = 1
name = "test"

[registry.main]
endpoint = "127.0.0.1:{port}"
external = true
tls.source = "none"

[promotion.production]
from = {{ registry = "main", prefix = "staging/" }}
to = {{ registry = "main", prefix = "prod/" }}
keep_previous = 3
"""


class CutError(BaseException):
    """The program ends here."""


@pytest.fixture(scope="module")
def place(start):
    return start()


@pytest.fixture
def promoter(place, tmp_path):
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET.format(port=place.port))
    fleet = load(file)
    about = known.read(fleet, StateDirectory(tmp_path / "state"), datetime.now(timezone.utc))
    made = Promoter(fleet, fleet.promotions["production"], about, None)
    yield made
    made.close()


def tags(place, name):
    """The digests of the tag and of the images before."""
    found = [place.digest(f"prod/{name}", "1")]
    while found[-1]:
        found.append(place.digest(f"prod/{name}", f"1.rollback-{len(found)}"))
    return found[:-1]


def pushed(place, name, count):
    return [place.image(f"staging/{name}", "1", b"%d" % each)["digest"] for each in range(count)]


def promoted(place, promoter, name, count):
    """Promote so many images, one after another; their digests, the last one first."""
    digests = []
    for each in range(count):
        digests.insert(0, place.image(f"staging/{name}", "1", b"%d" % each)["digest"])
        promote(promoter, promoter.look(name, "1", ""))
    return digests


def promote(promoter, subject):
    promoter.copy(subject)
    promoter.promote(subject)


def cut_at(monkeypatch, number, call):
    """Make a call, and cut it off before its request number N that changes tags."""
    left = [number]
    put, delete = engine.Registry.put_manifest, engine.Registry.delete_manifest

    def counted(real):
        def changed(self, repository, reference, *words):
            if repository.startswith("prod/") and (
                real is delete or not engine.DIGEST.fullmatch(reference)
            ):
                if left[0] == 0:
                    raise CutError
                left[0] -= 1
            return real(self, repository, reference, *words)

        return changed

    with monkeypatch.context() as patch:
        patch.setattr(engine.Registry, "put_manifest", counted(put))
        patch.setattr(engine.Registry, "delete_manifest", counted(delete))
        try:
            call()
        except CutError:
            return True
    return False


@pytest.mark.parametrize("number", range(5))
def test_an_interrupted_promotion_loses_no_image_that_is_kept(place, promoter, monkeypatch, number):
    name = f"cut{number}"
    before = promoted(place, promoter, name, 4)
    assert tags(place, name) == before
    new = place.image(f"staging/{name}", "1", b"new")["digest"]
    subject = promoter.look(name, "1", "")
    cut = cut_at(monkeypatch, number, lambda: promote(promoter, subject))
    assert cut == (number < 4)
    if cut:
        promote(promoter, promoter.look(name, "1", ""))
    assert tags(place, name) == [new, *before[:3]]


@pytest.mark.parametrize("number", range(6))
def test_an_interrupted_way_back_is_ended_by_the_next(place, promoter, monkeypatch, number):
    name = f"back{number}"
    before = promoted(place, promoter, name, 4)
    subject = promoter.look(name, "1", "")
    cut = cut_at(monkeypatch, number, lambda: promoter.demote(subject, before[0]))
    assert cut == (number < 5)
    if cut:
        assert promoter.demote(promoter.look(name, "1", ""), before[0]) == before[1]
    assert tags(place, name) == before[1:]


@pytest.mark.parametrize("number", range(4))
def test_the_way_back_from_an_interrupted_promotion(place, promoter, monkeypatch, number):
    name = f"both{number}"
    before = promoted(place, promoter, name, 3)
    place.image(f"staging/{name}", "1", b"new")
    subject = promoter.look(name, "1", "")
    assert cut_at(monkeypatch, number, lambda: promote(promoter, subject))
    assert promoter.demote(promoter.look(name, "1", ""), before[0]) == before[1]
    assert tags(place, name) == before[1:]


def test_a_tag_whose_deletion_was_interrupted_is_no_image_to_go_back_to(place, promoter):
    before = promoted(place, promoter, "gone", 2)
    was = place.api().manifest("prod/gone", "1.rollback-1")
    empty = deletion.empty_index(before[1])
    place.api().put_manifest("prod/gone", "1.rollback-1", empty, engine.INDEX)
    with pytest.raises(UsageError, match="no image before this one is kept"):
        promoter.demote(promoter.look("gone", "1", ""), before[0])
    assert place.digest("prod/gone", "1") == before[0]
    # Nor is it one to keep.
    place.api().put_manifest("prod/gone", "1.rollback-1", *was)
    place.api().put_manifest("prod/gone", "1", deletion.empty_index(before[0]), engine.INDEX)
    subject = promoter.look("gone", "1", "")
    assert subject.there == ""
    promoter.promote(subject)
    assert tags(place, "gone") == before


def test_a_tag_that_moved_since_it_was_shown_stays(place, promoter):
    """As another machine promotes, while somebody thinks about the question."""
    first, *_ = promoted(place, promoter, "asked", 1)
    place.image("staging/asked", "1", b"new")
    subject = promoter.look("asked", "1", "")
    other = place.image("prod/asked", "1", b"of another machine")["digest"]
    with pytest.raises(UsageError, match="somebody else moved it"):
        promoter.promote(subject)
    with pytest.raises(UsageError, match="somebody else moved it"):
        promoter.demote(subject, first)
    assert tags(place, "asked") == [other]


@pytest.mark.parametrize(
    ("age", "age_of", "said"),
    [
        (120, "its first push", "2 of 1 minutes since its first push"),
        (None, "", "its age is not known"),
        (None, "its first push", "its age is not known: the clock of the source's host is wrong"),
    ],
)
def test_a_gate_says_why_no_age_is_known(place, promoter, age, age_of, said):
    place.image("staging/aged", "1", b"aged")
    subject = replace(promoter.look("aged", "1", ""), age=age, age_of=age_of)
    promoter.stage = replace(promoter.stage, min_age=60)
    (gate,) = promoter.gates(subject, Log())
    assert (gate.name, gate.passed) == ("min_age", bool(age))
    assert gate.said.partition(", or was")[0] == said
