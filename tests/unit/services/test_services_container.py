"""What of a container's arguments the host decides: rights over others' files, log rotation."""

import pytest
from making import container, daemon_json, desired, observed

from regfleet.model.observed import ObservedEngine, ObservedPath
from regfleet.record import Owned
from regfleet.services import KINDS

STORE = "/var/lib/registry"
LOG = ("--log-opt=max-size=10m", "--log-opt=max-file=5")
RIGHT = "--cap-add=DAC_OVERRIDE"


def added(seen, want=None):
    before = container(storage=STORE, log_options=LOG)
    after = KINDS["container"].fitted(before, want or desired(services=(before,)), seen)
    return after.run.arguments[len(before.run.arguments) :]


def directory(path, uid):
    return {path: ObservedPath(path, directory=True, mode=0o755, owner=(uid, uid), digest="")}


@pytest.mark.parametrize(
    ("paths", "ours", "needed"),
    [
        ({}, (), False),
        (directory(STORE, 0), (), False),
        (directory(STORE, 1000), (), True),
        (directory(STORE, 0) | directory(f"{STORE}/docker/registry/v2", 1000), (), True),
        (directory(STORE, 1000), (STORE,), False),  # the plan gives it back to root
        (directory("/srv/other", 1000), (), False),
    ],
)
def test_the_right_to_write_anothers_files(paths, ours, needed):
    owned = {"acme": Owned(directories=ours)} if ours else {}
    assert (RIGHT in added(observed(paths=paths, owned=owned))) is needed


@pytest.mark.parametrize(
    ("engine", "text", "declared", "rotated"),
    [
        (ObservedEngine("missing"), None, {}, True),
        (ObservedEngine("up", values={"log-driver": "json-file"}), None, {}, True),
        (ObservedEngine("up", values={"log-driver": "local"}), None, {}, True),
        (ObservedEngine("up", values={"log-driver": "journald"}), None, {}, False),
        (ObservedEngine("down"), '{"log-driver": "journald"}', {}, False),
        (ObservedEngine("down"), "not JSON", {}, True),
        (ObservedEngine("up"), '{"log-opts": {"max-size": "1m"}}', {}, False),
        (ObservedEngine("up"), '{"log-opts": {"labels": "a"}}', {}, True),
        (ObservedEngine("up", flags=("--log-opt", "max-size=1m")), None, {}, False),
        (ObservedEngine("up"), None, {"log-driver": "journald"}, False),
        (ObservedEngine("up"), None, {"log-opts": {"max-size": "1m"}}, False),
        (
            ObservedEngine("up", values={"log-driver": "journald"}),
            None,
            {"log-driver": "json-file"},
            True,
        ),
    ],
)
def test_log_rotation(engine, text, declared, rotated):
    want = desired(daemon=daemon_json({}, declared))
    seen = observed(engine=engine, daemon_json=text)
    assert added(seen, want) == (LOG if rotated else ())


@pytest.mark.parametrize("labelled", [True, False])
def test_selinux_gets_a_label_on_what_is_mounted(labelled):
    given = ("--volume=/etc/regfleet/main:/etc/registry:ro", "--volume=/srv/a:/var/lib/registry")
    before = container(arguments=(*given, "--read-only"))
    seen = observed(engine=ObservedEngine("up", labelled=labelled))
    found = KINDS["container"].fitted(before, desired(services=(before,)), seen).run.arguments
    assert found[:2] == ((f"{given[0]},z", f"{given[1]}:z") if labelled else given)
    assert found[2] == "--read-only"
