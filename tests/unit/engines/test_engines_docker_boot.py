"""What is said of a dockerd that does not start when its machine boots, and what is refused."""

import pytest
from making import container, daemon_json, desired, engine, observed

from regfleet.engines import docker_boot
from regfleet.engines.docker import Docker
from regfleet.errors import HostError
from regfleet.record import Owned

OURS = daemon_json({"insecure-registries": ("ours:5000",)})
RESTARTED = daemon_json({}, {"data-root": "/srv"})


def seen(boot, state="up", init="systemd"):
    return observed(engine=engine(state, boot=boot), init=init)


@pytest.mark.parametrize(
    ("boot", "init", "said"),
    [
        ("masked", "systemd", "systemctl unmask docker.service && systemctl enable docker.service"),
        ("disabled", "systemd", "systemctl enable docker.service"),
        ("disabled", "openrc", "rc-update add docker default"),
        ("disabled", "scripts", "update-rc.d docker enable"),
    ],
)
def test_what_to_run(boot, init, said):
    made = Docker().plan(desired(daemon=OURS), seen(boot, init=init), Owned(), ())
    (note,) = made.notes
    assert note.endswith(f"run there: {said}")


@pytest.mark.parametrize("boot", ["enabled", "unknown", "socket"])
def test_nothing_is_said_of_others(boot):
    assert Docker().plan(desired(daemon=OURS), seen(boot), Owned(), ()).notes == ()


def test_a_socket_does_not_start_a_registry():
    want = desired(services=(container(),))
    (note,) = docker_boot.notes(want, seen("socket"))
    assert "waits for its socket" in note


@pytest.mark.parametrize(("state", "settings"), [("down", OURS), ("up", RESTARTED)])
def test_a_masked_one_that_has_to_start_is_refused(state, settings):
    with pytest.raises(HostError, match="is masked") as caught:
        Docker().plan(desired(daemon=settings), seen("masked", state), Owned(), ())
    assert "systemctl unmask docker.service" in caught.value.hint


def test_a_masked_one_can_reload():
    assert Docker().plan(desired(daemon=OURS), seen("masked"), Owned(), ()).configure
