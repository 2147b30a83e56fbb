"""A registry made by hand is adopted, and taken out again: killed at boundaries of both.

A third of the steps, all boundaries in the soak.
"""

import pytest
from driver import Driver, chosen, kill_at

from regfleet.jobs.recovery import Recovery

pytestmark = pytest.mark.long

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
storage = "/srv/registry"
tls = { source = "none" }
adopt = true
"""
APP = "localhost:5000/team/app"
OLD, NEW = ["old"], ["regfleet-main"]


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test")


@pytest.fixture
def host(twin, seeds):
    host = twin.hosts["reg1"]
    for archive in (seeds.registry, seeds.busybox):
        host.copy_in(archive, "/root/image.tar")
        host.read("docker load -q -i /root/image.tar")
    host.read(
        "docker run -d --name old --restart unless-stopped -p 5000:5000"
        f" -v /data:/var/lib/registry registry:2 && docker tag busybox {APP} && sleep 1;"
        f" until docker push -q {APP}; do sleep 1; done"
    )
    return host


def serving(host):
    """The containers that run; the image can be pulled from the one, which starts by itself."""
    host.read(f"docker rmi {APP} >/dev/null; i=0; until docker pull -q {APP}; do"
              " i=$((i + 1)); [ $i -lt 100 ]; sleep 0.5; done")  # fmt: skip
    found = host.read("docker ps --format '{{.Names}}'").split()
    policies = {"old": "unless-stopped", "regfleet-main": "always"}
    for name in found:
        form = "{{.HostConfig.RestartPolicy.Name}}"
        assert host.read(f"docker inspect --format '{form}' {name}").strip() == policies[name]
    return found


def test_a_kill_leaves_the_old_registry_or_the_new(host, twin, write_fleet, tally):
    driver = Driver(write_fleet(twin, BODY), twin)
    boundaries, ended = driver.boundaries("reg1")
    assert ended.result == "changed", ended
    assert {step for _, step in boundaries} >= {"stand-aside", "images", "images-copied"}
    assert serving(host) == NEW
    killed = chosen(boundaries, thin=3)
    for number, step in killed:
        where = f"killed at {number}, {step} of adoption"
        if serving(host) == NEW:
            assert driver.roll_back("reg1").result == "changed", where
            assert serving(host) == OLD, where
            assert host.run("ls -d /srv/registry /etc/regfleet").stdout == "", where
        assert driver.touch_with("reg1", kill_at(number)).cut, where
        ended = driver.do("reg1", Recovery()).outcome
        assert ended.result in {"changed", "unchanged", "rolled-back"}, (where, ended)
        assert serving(host) in (OLD, NEW), where
    tally("adoption of a registry, killed", len(killed), len(killed))
    driver.apply("reg1")
    boundaries, ended = driver.boundaries("reg1", gone=True)
    assert ended.result == "changed", ended
    assert "return" in {step for _, step in boundaries}
    assert serving(host) == OLD
    killed = chosen(boundaries, thin=3)
    for number, step in killed:
        where = f"killed at {number}, {step} of destroy"
        host.run("rm -rf /srv/registry")
        driver.apply("reg1")
        assert serving(host) == NEW, where
        assert driver.touch_with("reg1", kill_at(number), gone=True).cut, where
        driver.do("reg1", Recovery())
        assert serving(host) in (OLD, NEW), where
        driver.destroy("reg1")
        assert serving(host) == OLD, where
        assert host.run("ls -d /etc/regfleet /var/lib/regfleet").stdout == "", where
    tally("removal of what replaced an adopted registry, killed", len(killed), len(killed))
