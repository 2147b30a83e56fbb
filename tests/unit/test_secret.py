from __future__ import annotations

import copy
import json
import logging
import pickle
from dataclasses import dataclass

import pytest

from regfleet.secret import Secret

HIDDEN = Secret("hunter2")


@dataclass(frozen=True)
class Holder:
    password: Secret


@pytest.mark.parametrize(
    "shown",
    [
        str(HIDDEN),
        repr(HIDDEN),
        f"{HIDDEN}",
        f"{HIDDEN!r:>12}",
        f"{HIDDEN:>12}",
        "%s %r" % (HIDDEN, HIDDEN),  # noqa: UP031  logging formats so
        "{}".format(HIDDEN),  # noqa: UP032  same
        str([HIDDEN, {"password": HIDDEN}]),
        repr(Holder(HIDDEN)),
        str(ValueError(HIDDEN)),
    ],
)
def test_it_hides_wherever_it_is_formatted(shown: str) -> None:
    assert "hunter2" not in shown
    assert "[secret]" in shown


def test_it_hides_in_logs(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("regfleet").warning("the password is %s", HIDDEN)
    assert caplog.messages == ["the password is [secret]"]


def test_it_leaves_by_reveal() -> None:
    assert HIDDEN.reveal() == "hunter2"


@pytest.mark.parametrize("serialise", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_it_is_not_serialised(serialise: object) -> None:
    with pytest.raises(TypeError) as caught:
        serialise(HIDDEN)  # type: ignore[operator]
    assert "hunter2" not in str(caught.value)


def test_it_has_no_attributes_to_stumble_over() -> None:
    with pytest.raises(TypeError):
        vars(HIDDEN)
    with pytest.raises(AttributeError):
        HIDDEN.note = 1  # type: ignore[attr-defined]


def test_equality_is_of_secrets_only() -> None:
    assert Secret("hunter2") == HIDDEN
    assert hash(Secret("hunter2")) == hash(HIDDEN)
    assert Secret("other") != HIDDEN
    assert HIDDEN != "hunter2"
    assert len({HIDDEN, Secret("hunter2"), Secret("other")}) == 2
