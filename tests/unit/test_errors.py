from __future__ import annotations

import inspect

import pytest

from regfleet import errors
from regfleet.errors import (
    EXIT_FAILED,
    EXIT_USAGE,
    FleetFileError,
    HostError,
    Mistake,
    RegfleetError,
    UnreachableError,
    UsageError,
)

TREE = [
    each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, Exception)
]


def test_exit_codes_are_the_contract() -> None:
    codes = (errors.EXIT_OK, errors.EXIT_FAILED, errors.EXIT_USAGE, errors.EXIT_CHANGES)
    assert codes == (0, 1, 2, 3)


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_every_error_is_in_the_tree(error: type[Exception]) -> None:
    assert issubclass(error, RegfleetError)
    expected = EXIT_USAGE if issubclass(error, UsageError) else EXIT_FAILED
    assert error.exit_code == expected


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RegfleetError("it broke"), "it broke"),
        (RegfleetError("it broke", "mend it"), "it broke\n  hint: mend it"),
        (UsageError("no such file", "look again"), "no such file\n  hint: look again"),
        (HostError("web1", "disk full", "make room"), "disk full\n  hint: make room"),
    ],
)
def test_how_an_error_reads(error: RegfleetError, text: str) -> None:
    assert str(error) == text


def test_a_host_error_knows_its_host() -> None:
    error = UnreachableError("web1", "no route")
    assert (error.host, error.message, error.hint) == ("web1", "no route", "")


def test_a_fleet_files_mistakes_are_in_its_order() -> None:
    late, early, nowhere = (
        Mistake(9, "client.a", "is late"),
        Mistake(2, "ssh.port", "is early", "wait"),
        Mistake(0, "", "is nowhere"),
    )
    error = FleetFileError("f.toml", [late, early, nowhere])
    assert error.mistakes == (nowhere, early, late)
    assert str(error) == (
        "f.toml: 3 mistakes\n"
        "  is nowhere\n"
        "  line 2: ssh.port: is early\n"
        "      wait\n"
        "  line 9: client.a: is late"
    )


def test_one_mistake_is_not_many() -> None:
    assert str(FleetFileError("f", [Mistake(1, "a", "b")])) == "f: 1 mistake\n  line 1: a: b"
