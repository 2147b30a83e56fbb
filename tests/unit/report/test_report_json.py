"""The JSON documents, word for word as the Contract has them."""

import json

import jsonschema
import pytest
from making import CANARY
from reports import RELOAD, everything, failed, host, planned, report

from regfleet.plan.model import Change, Plan
from regfleet.report.as_json import apply_document, plan_document
from regfleet.smoke.outcome import Check


def exactly(**properties):
    """An object with these keys and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TEXT = {"type": "string"}
ERROR = {"type": ["string", "null"]}
ACTIVATION = {"enum": ["none", "reload", "restart"]}
CHANGES = {
    "type": "array",
    "items": exactly(
        resource=TEXT,
        action={"enum": ["create", "update", "delete", "run"]},
        reason=TEXT,
        activation=ACTIVATION,
    ),
}


def hosts_of(schema):
    return {"type": "object", "additionalProperties": schema}


PLAN = exactly(
    version={"const": 1},
    fleet=TEXT,
    hosts=hosts_of(
        exactly(
            changes=CHANGES,
            activation=ACTIVATION,
            containers_affected={"type": "integer", "minimum": 0},
            error=ERROR,
        )
    ),
)
APPLY = exactly(
    version={"const": 1},
    fleet=TEXT,
    hosts=hosts_of(
        exactly(
            status={
                "enum": ["unchanged", "changed", "rolled-back", "failed", "unreachable", "skipped"]
            },
            changes=CHANGES,
            error=ERROR,
            smoke={
                "type": "object",
                "additionalProperties": {"enum": ["passed", "failed", "skipped"]},
            },
        )
    ),
    ok={"type": "boolean"},
)


@pytest.mark.parametrize("made", [everything(), report()])
def test_the_contract(made):
    jsonschema.validate(json.loads(plan_document(made)), PLAN)
    jsonschema.validate(json.loads(apply_document(made)), APPLY)


def test_the_order_of_keys_and_hosts_is_the_contracts():
    document = json.loads(plan_document(everything()))
    assert list(document) == ["version", "fleet", "hosts"]
    assert list(document["hosts"]) == [
        "same", "changed", "secrets", "gone", "broken", "back", "later", "tested",
    ]  # fmt: skip
    assert list(json.loads(apply_document(everything()))) == ["version", "fleet", "hosts", "ok"]


def test_a_plan():
    made = report(planned(running=4, changes=(RELOAD, Change("x", "run", "y", "restart"))))
    assert json.loads(plan_document(made))["hosts"]["web1"] == {
        "changes": [
            {
                "resource": "daemon.json registry-mirrors",
                "action": "create",
                "reason": "client.build.mirrors",
                "activation": "reload",
            },
            {"resource": "x", "action": "run", "reason": "y", "activation": "restart"},
        ],
        "activation": "restart",
        "containers_affected": 4,
        "error": None,
    }


@pytest.mark.parametrize(
    ("running", "live_restore", "activation", "affected"),
    [(4, False, "restart", 4), (4, True, "restart", 0), (4, False, "reload", 0), (0, 0, "none", 0)],
)
def test_containers_that_stop(running, live_restore, activation, affected):
    plan = Plan("h", (Change("x", "run", "", activation),), (), "", (), (), running, live_restore)
    assert plan.containers_affected == affected


def test_an_apply():
    checks = (Check("main/push", "passed"), Check("main/pull", "failed", "why"))
    document = json.loads(apply_document(report(host(checks=checks), failed("web2"))))
    assert document["hosts"] == {
        "web1": {
            "status": "unchanged",
            "changes": [],
            "error": None,
            "smoke": {"main/push": "passed", "main/pull": "failed"},
        },
        "web2": {
            "status": "failed",
            "changes": [],
            "error": "it broke (hint: mend it)",
            "smoke": {},
        },
    }
    assert document["ok"] is False


@pytest.mark.parametrize(
    ("status", "verdict", "ok"),
    [
        ("unchanged", None, True),
        ("changed", "passed", True),
        ("changed", "skipped", True),
        ("changed", "failed", False),
        ("unchanged", "failed", False),
        ("rolled-back", None, False),
        ("failed", None, False),
        ("unreachable", None, False),
        ("skipped", None, False),
    ],
)
def test_ok(status, verdict, ok):
    checks = (Check("main/push", verdict),) if verdict else ()
    assert report(host(status=status, checks=checks), host("other")).ok is ok


def test_no_secret():
    for document in (plan_document(everything()), apply_document(everything())):
        assert CANARY not in document
        assert "/etc/regfleet/main/registry.key" in document


@pytest.mark.parametrize("text", ["ümlaut", "\x00\x1b[31m", "a\nb", '"', "\udcff", "\ufffe"])
def test_whatever_a_host_says_it_is_a_document(text):
    made = report(failed(message=text, hint=text))
    document = apply_document(made)
    document.encode()
    if text.isprintable() or text.isascii():
        assert text in json.loads(document)["hosts"]["web1"]["error"]
