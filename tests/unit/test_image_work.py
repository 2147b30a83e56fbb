"""What is kept of work on images: before it begins, when it ends, however it ends."""

import io
import json

import pytest
from rich.console import Console

from regfleet import image_work, state_paths
from regfleet.errors import StateError, UsageError
from regfleet.image_work import noted, read
from regfleet.report import history_json, history_text
from regfleet.state import StateDirectory


@pytest.fixture
def state(tmp_path):
    return StateDirectory(tmp_path / "state")


def test_it_is_noted_before_and_after(state, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/bin/regfleet", "delete", "my fleet.toml"])
    with noted(state, "delete") as note:
        (begun,) = read(state)
        assert (begun.ok, begun.ended, begun.did) == (None, "", ())
        note.did("deleted main/app:1")
        note.failed("main/app:2: refused")
    (entry,) = read(state)
    assert (entry.command, entry.line) == ("delete", "regfleet delete 'my fleet.toml'")
    assert (entry.ok, entry.did) == (False, ("deleted main/app:1", "not done: main/app:2: refused"))


@pytest.mark.parametrize(
    ("failure", "words"), [(UsageError("no", ""), "no"), (KeyboardInterrupt(), "interrupted")]
)
def test_what_was_done_before_it_failed_is_kept(state, failure, words):
    def prune():
        with noted(state, "prune") as note:
            note.did("deleted main/app:1")
            raise failure

    with pytest.raises(type(failure)):
        prune()
    (entry,) = read(state)
    assert (entry.ok, entry.did, entry.error) == (False, ("deleted main/app:1",), words)


def test_it_is_bounded(state, monkeypatch):
    monkeypatch.setattr(image_work, "KEPT", 3)
    for number in range(5):
        with noted(state, "prune") as note:
            for line in range(60):
                note.did(f"{number}.{line}" + "x" * 1000)
    assert len(state.names(state_paths.IMAGES)) == 3
    entry = read(state)[0]
    assert (len(entry.did), entry.more, len(entry.did[0])) == (50, 10, 300)


def test_what_somebody_else_wrote_is_refused(state):
    with noted(state, "gc"):
        pass
    (name,) = state.names(state_paths.IMAGES)
    state.write_text(f"{state_paths.IMAGES}/{name}", "{}")
    with pytest.raises(StateError, match="is not what regfleet wrote"):
        read(state)


def test_the_history_shows_it(state):
    with noted(state, "gc") as note:
        for number in range(8):
            note.did(f"thing {number}")
    said = Console(file=io.StringIO(), width=100)
    history_text.show_runs([], said, read(state))
    text = said.file.getvalue()
    assert "gc  " in text
    assert "thing 5" in text
    assert "and 2 more (-v shows 8)" in text
    (found,) = json.loads(history_json.document("acme", [], images=read(state)))["images"]
    assert (found["command"], found["ok"], len(found["did"])) == ("gc", True, 8)
