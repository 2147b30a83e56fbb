"""How much of an image came from its source, while it is promoted."""

from types import SimpleNamespace

import gevent
import pytest

from regfleet.cli import promote, watch
from regfleet.cli.watch import Lines
from regfleet.errors import HostError
from regfleet.fleet.policies import Promotion, Stage
from regfleet.run.promoting import Subject

STAGE = Promotion("production", Stage("main", "staging/"), Stage("main", "prod/"))
SUBJECT = Subject(STAGE, "staging/web", "prod/web", "1.2", "sha256:1", "")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 0.02)
    monkeypatch.setattr(promote, "_EVERY", 0.001)


@pytest.mark.usefixtures("quick")
def test_it_says_how_much_came(capsys, monkeypatch):
    monkeypatch.setattr("regfleet.run.progress._SLOW", 0)
    with promote._shown(SimpleNamespace(received=1_200_000), SUBJECT, Lines()):
        gevent.sleep(0.1)
    first, still, *_ = capsys.readouterr().err.splitlines()
    assert first == "copying prod/web:1.2"
    assert still.endswith("(1.2 MB from main)"), still


def test_a_failure_is_one(capsys):
    def fail():
        with promote._shown(SimpleNamespace(received=0), SUBJECT, Lines(every=True)):
            raise HostError("main", "it broke")

    with pytest.raises(HostError):
        fail()
    assert capsys.readouterr().err.splitlines()[-1] == "prod/web:1.2: failed"
