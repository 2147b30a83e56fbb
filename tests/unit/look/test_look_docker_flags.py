"""When the look brings the files that have dockerd's flags: where there are more than usual."""

import pytest
import shells
from making import desired

from regfleet.look import request

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
USUAL = {
    "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock": False,
    "/usr/bin/dockerd -p /var/run/docker.pid": False,
    "/usr/bin/dockerd --config-file /srv/docker/daemon.json": False,
    "": False,
    "/usr/sbin/dockerd -H fd:// -D": True,
    "/usr/sbin/dockerd --insecure-registry=a": True,
    "/usr/sbin/dockerd --insecure-registry a": True,
    "/usr/sbin/dockerd -H tcp://0.0.0.0:2375": True,
    "/usr/sbin/dockerd *": True,
}


@EVERY_SHELL
@pytest.mark.parametrize("command", USUAL)
def test_unusual_flags(shell, command):
    flags = "\\n".join(command.split())
    calls = [f"flags=$(printf '{flags}')", "if unusual; then say odd; else say usual; fi"]
    said = shells.lines(shell, "\n".join([request.program("docker"), *calls, ""]))
    assert said == ["@odd" if USUAL[command] else "@usual"]


def test_engines_of_one_shell_are_told_apart():
    text = request.define(desired(engines=("docker-sysconfig",)), "")
    assert "  docker_look docker-sysconfig\n" in text
    assert "  docker_look\n" in request.define(desired(engines=("docker",)), "")
