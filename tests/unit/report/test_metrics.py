"""`status --metrics`, read back by Prometheus' own parser."""

from dataclasses import replace
from datetime import timedelta

import pytest
from making import NOW
from prometheus_client.parser import text_string_to_metric_families

from regfleet.model.contents import Contents
from regfleet.model.copies import CopyOutcome, CopyStatus
from regfleet.model.records import JobRecord, JobStatus
from regfleet.model.status import (
    Certificate,
    FleetStatus,
    HostStatus,
    RegistryStatus,
    Room,
    WrongLogins,
)
from regfleet.report import metrics
from regfleet.unproven import Unproven

AT = int(NOW.timestamp())
END = NOW + timedelta(days=30)
COPY = CopyStatus(
    "north.north",
    "main",
    "north",
    "north1",
    300,
    CopyOutcome(
        "failed",
        {"tags": 9, "copied": 8, "failed": 1},
        AT - 60,
        2.5,
        40,
        ("app:1: 500",),
        complete=AT - 360,
    ),
)
FLEET = FleetStatus(
    "acme",
    NOW,
    {
        "web1": HostStatus("web1", reachable=True, os="debian 12", skew=-3),
        "web2": HostStatus("web2", error="no route"),
    },
    {
        "main": RegistryStatus(
            "main",
            "reg:5000",
            external=False,
            health="healthy",
            certificate=Certificate(END, 30, warn=True, renewed=False),
            contents=Contents(2, 0, 3, 4_200_000_001, 3, broken=1),
            room=Room(10_000_000_000, 9_000_000_000, inodes=100, free_inodes=60),
            wrong_logins=WrongLogins(7, 2),
            jobs={
                "collection": JobStatus(
                    "collection",
                    last=JobRecord("timer-1", "a timer", AT - 3600, 5, "changed"),
                    figures={"blobs": 12},
                ),
                "backup": JobStatus("backup"),
            },
        ),
        "cache": RegistryStatus("cache", "cache:5000", external=True),
    },
    last_apply=NOW - timedelta(hours=1),
    unproven={"web1": Unproven(since="2026-01-31T12:00:00Z", run=1)},
    copies={"north.north": COPY},
)


@pytest.fixture
def found(tmp_path):
    """By name without `regfleet_` and labels without `fleet`: the value."""

    def of(status):
        path = tmp_path / "fleet.prom"
        metrics.write(status, path)
        samples = {}
        for family in text_string_to_metric_families(path.read_text()):
            assert family.documentation.endswith("."), family
            for sample in family.samples:
                labels = dict(sample.labels)
                assert labels.pop("fleet") == "acme"
                name = sample.name.removeprefix("regfleet_")
                of = metrics.FAMILIES[name][1]
                assert set(labels) == set(of)
                samples[(name, *map(labels.get, of))] = sample.value
        assert list(tmp_path.iterdir()) == [path], "it was written beside, and took its place"
        return samples

    return of


def test_all_that_is_known_is_there(found):
    told = found(FLEET)
    assert told["status_timestamp_seconds",] == AT
    assert told["last_apply_timestamp_seconds",] == AT - 3600
    assert told["status_ok",] == 0
    assert told["attention", "host web1", "not proven"] == 1
    assert told["attention", "registry main", "certificate"] == 1
    assert (told["host_up", "web1"], told["host_up", "web2"]) == (1, 0)
    assert (told["host_proven", "web1"], told["host_proven", "web2"]) == (0, 1)
    assert told["host_clock_skew_seconds", "web1"] == -3
    assert told["registry_healthy", "main"] == 1
    assert told["registry_read_only", "main"] == 0
    assert told["registry_images_bytes", "main"] == 4_200_000_001
    assert told["registry_missing_manifests", "main"] == 1
    assert told["registry_storage_free_bytes", "main"] == 9_000_000_000
    assert told["registry_storage_free_inodes", "main"] == 60
    assert told["registry_certificate_expiry_timestamp_seconds", "main"] == END.timestamp()
    assert told["registry_wrong_logins", "main"] == 7
    assert told["job_last_ok", "main", "collection"] == 1
    assert told["job_last_timestamp_seconds", "main", "collection"] == AT - 3600
    assert told["job_last_figure", "main", "collection", "blobs"] == 12
    whose = ("north.north", "main", "north")
    of_copy = {name[0]: value for name, value in told.items() if name[1:] == whose}
    assert of_copy == {
        "copy_lag_seconds": 360,
        "copy_last_ok": 0,
        "copy_last_timestamp_seconds": AT - 60,
        "copy_last_duration_seconds": 2.5,
        "copy_last_requests": 40,
        "copy_last_errors": 1,
    }
    assert told[("copy_last_count", *whose, "copied")] == 8


def test_what_is_not_known_is_absent(found):
    told = found(FLEET)
    assert ("host_changes", "web1") in told
    for name in (
        ("host_changes", "web2"),
        ("host_clock_skew_seconds", "web2"),
        ("registry_healthy", "cache"),
        ("registry_read_only", "cache"),
        ("registry_tags", "cache"),
        ("registry_storage_bytes", "cache"),
        ("registry_wrong_logins", "cache"),
        ("job_last_ok", "main", "backup"),
        ("ca_expiry_timestamp_seconds",),
    ):
        assert name not in told, name
    never = replace(COPY, last=None)
    told = found(replace(FLEET, copies={"north.north": never}, last_apply=None))
    assert not [name for name in told if name[0].startswith("copy_")]
    assert ("last_apply_timestamp_seconds",) not in told


def test_words_of_any_kind_stay_in_their_label(found):
    odd = 'web"1\\\n# TYPE x gauge\nx 1'
    assert found(replace(FLEET, hosts={odd: HostStatus(odd)}))["host_up", odd] == 0


def test_every_family_is_made(found):
    """So that none is declared and never told."""
    whole = replace(FLEET, authority=Certificate(END, 30, warn=False, renewed=True))
    told = {name for name, *_ in found(whole)}
    assert told == set(metrics.FAMILIES)
