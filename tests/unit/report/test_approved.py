"""A run may make the changes of an approved plan, and no others."""

import json

import pytest
from reports import RELOAD, planned, report

from regfleet.errors import UsageError
from regfleet.model.plan import Change
from regfleet.model.resource import Resource
from regfleet.report.approved import read, refused
from regfleet.report.as_json import plan_document

ADDED = Change(Resource("file", "/etc/a"), "create", "client.x", diff="+a")
MORE = Change(Resource("file", "/etc/b"), "create", "client.x", diff="+b")
OTHERWISE = Change(Resource("file", "/etc/a"), "create", "client.x", diff="+c")


def document(*changes, name="web1"):
    return plan_document(report(planned(name, changes)), diff=True)


@pytest.fixture
def approved(tmp_path):
    def made(text):
        file = tmp_path / "plan.json"
        file.write_text(text)
        return read(file)

    return made


@pytest.mark.parametrize("now", [(ADDED, MORE), (ADDED,), (MORE, ADDED), ()])
def test_what_was_approved_may_be_done_or_not_be_needed(approved, now):
    assert refused(approved(document(ADDED, MORE)), json.loads(document(*now))) is None


@pytest.mark.parametrize("now", [document(ADDED, MORE), document(OTHERWISE), document(RELOAD)])
def test_anything_else_is_refused(approved, now):
    error = refused(approved(document(ADDED)), json.loads(now))
    assert error
    assert "web1: " in error.message
    assert error.exit_code == 1


def test_another_host_is_refused(approved):
    now = json.loads(document(ADDED, name="web2"))
    assert refused(approved(document(ADDED)), now).message.endswith("web2: file /etc/a (create)")


def test_a_plan_of_another_fleet_is_refused(approved):
    now = {**json.loads(document(ADDED)), "fleet": "other"}
    assert "'other'" in refused(approved(document(ADDED)), now).message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 1}',
        '{"version": 2, "hosts": {}}',
        '{"version": 1, "hosts": []}',
        '{"version": 1, "hosts": {"a": 1}}',
        '{"version": 1, "hosts": {"a": {"changes": [1]}}}',
        '{"version": 1, "hosts": {"a": {"changes": [{"resource": "x"}]}}}',
        '{"version": 1, "hosts": {"a": {"changes": [], "unknown": ["x"]}}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_plan_is_refused(approved, text):
    with pytest.raises(UsageError):
        approved(text)


def test_a_plan_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "plan.json")
