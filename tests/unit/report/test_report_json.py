"""The JSON documents, word for word as the Contract has them."""

import json

import jsonschema
import pytest
from making import CANARY
from reports import FILE, RELOAD, everything, failed, host, planned, report

from regfleet.model.checks import Check
from regfleet.model.plan import Change, Plan
from regfleet.model.resource import Resource
from regfleet.report.as_json import apply_document, plan_document


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
        drift={"type": ["boolean", "null"]},
        impact={"type": ["string", "null"]},
    ),
}
COUNT = {"type": "integer", "minimum": 0}
CHANGED = {"changes": COUNT, "drift": COUNT, "drift_unknown": COUNT}
STATUSES = ["unchanged", "changed", "rolled-back", "failed", "unreachable", "skipped"]
VERDICTS = ["passed", "failed", "skipped"]


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
    totals=exactly(
        hosts=COUNT, hosts_to_change=COUNT, containers_affected=COUNT, errors=COUNT, **CHANGED
    ),
)
APPLY = exactly(
    version={"const": 1},
    fleet=TEXT,
    hosts=hosts_of(
        exactly(
            status={"enum": STATUSES},
            changes=CHANGES,
            error=ERROR,
            smoke={
                "type": "object",
                "additionalProperties": {"enum": VERDICTS},
            },
        )
    ),
    ok={"type": "boolean"},
    totals=exactly(
        hosts=COUNT,
        checks=exactly(**dict.fromkeys(VERDICTS, COUNT)),
        **dict.fromkeys(STATUSES, COUNT),
        **CHANGED,
    ),
)


@pytest.mark.parametrize("made", [everything(), report()])
def test_the_contract(made):
    jsonschema.validate(json.loads(plan_document(made)), PLAN)
    jsonschema.validate(json.loads(apply_document(made)), APPLY)


def test_the_order_of_keys_and_hosts_is_the_contracts():
    document = json.loads(plan_document(everything()))
    assert list(document) == ["version", "fleet", "hosts", "totals"]
    assert list(document["hosts"]) == [
        "same", "changed", "secrets", "gone", "broken", "back", "later", "tested",
    ]  # fmt: skip
    assert list(json.loads(apply_document(everything()))) == [
        *("version", "fleet", "hosts", "ok", "totals")
    ]


def test_a_plan():
    made = report(
        planned(running=4, changes=(RELOAD, Change(Resource("other", "x"), "run", "y", "restart")))
    )
    assert json.loads(plan_document(made))["hosts"]["web1"] == {
        "changes": [
            {
                "resource": "daemon.json registry-mirrors",
                "action": "create",
                "reason": "client.build.mirrors",
                "activation": "reload",
                "drift": False,
                "impact": "reload, no container stops",
            },
            {
                "resource": "x",
                "action": "run",
                "reason": "y",
                "activation": "restart",
                "drift": False,
                "impact": "restart, 4 containers stop",
            },
        ],
        "activation": "restart",
        "containers_affected": 4,
        "error": None,
    }


def test_what_is_drift_and_what_may_be():
    made = host(plan=Plan("web1", (RELOAD, FILE)), origins={RELOAD: "host", FILE: "unclear"})
    document = json.loads(plan_document(report(made)))
    assert [each["drift"] for each in document["hosts"]["web1"]["changes"]] == [True, None]
    assert document["totals"] == {
        "hosts": 1,
        "hosts_to_change": 1,
        "changes": 2,
        "drift": 1,
        "drift_unknown": 1,
        "containers_affected": 0,
        "errors": 0,
    }


def test_the_inside_of_a_change_when_asked_for_without_passwords():
    proxy = Change(
        Resource("daemon.json", "proxies"), "update", "x", diff="-http://u:sesame@p/\n+http://p/"
    )
    for document in (plan_document, apply_document):
        made = json.loads(document(report(host(plan=Plan("web1", (proxy,)))), diff=True))
        (change,) = made["hosts"]["web1"]["changes"]
        assert change["diff"] == "-http://u:***@p/\n+http://p/"
        assert "sesame" not in document(report(host(plan=Plan("web1", (proxy,)))), diff=True)
        assert CANARY not in document(everything(), diff=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            Change(Resource("container", "regfleet-main"), "update", ""),
            "its registry is away for a moment",
        ),
        (Change(Resource("container", "regfleet-main"), "delete", ""), "its registry is gone"),
        (Change(Resource("data", "/var/lib/registry"), "delete", ""), "its images are deleted"),
        (Change(Resource("file", "/etc/x"), "delete", ""), None),
        (Change(Resource("other", "x"), "run", "", "restart"), "restart, 1 container stops"),
    ],
)
def test_what_a_change_disturbs(change, words):
    made = report(planned(running=1, changes=(change,)))
    (found,) = json.loads(plan_document(made))["hosts"]["web1"]["changes"]
    assert found["impact"] == words


@pytest.mark.parametrize(
    ("running", "live_restore", "activation", "affected"),
    [(4, False, "restart", 4), (4, True, "restart", 0), (4, False, "reload", 0), (0, 0, "none", 0)],
)
def test_containers_that_stop(running, live_restore, activation, affected):
    change = Change(Resource("other", "x"), "run", "", activation)
    plan = Plan("h", (change,), running=running, live_restore=live_restore)
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
